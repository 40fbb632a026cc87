"""Order, packing and steps: which rows meet when. Pure NumPy, the same for plan, engine and evaluation."""

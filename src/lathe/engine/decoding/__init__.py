"""A llama-like decoder written out for generation: weights, cache and passes (`decoder`), and what lies between the products
(`parts`), with torch's operations (`eager`) or in C++ (`compiled`)."""

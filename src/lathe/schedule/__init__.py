"""Order, packs, steps: pure functions of recipe, seed and token lengths."""

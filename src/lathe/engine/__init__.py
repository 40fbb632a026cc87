"""The engine: the only floor on which torch lives beside the leaves above it."""

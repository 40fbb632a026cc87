"""Functions, values and sentences of `edge_calls`."""

"""Words and sentences of `edge_intent`."""

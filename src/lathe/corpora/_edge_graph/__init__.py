"""Names, statements and questions of `edge_graph`."""

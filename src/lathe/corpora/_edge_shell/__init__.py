"""Parts of the corpus `edge_shell`."""

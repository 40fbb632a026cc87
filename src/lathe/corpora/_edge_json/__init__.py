"""Parts of the corpus `edge_json`: words, kinds of values, schemas, and the four ways a record is written down."""

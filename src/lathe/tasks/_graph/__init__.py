"""Parts of the task `graph_extraction`: graphs and how they are written, matching, questions, rules without a model, files."""

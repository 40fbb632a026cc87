"""Private parts of the corpus `structured_text`: words, random schemas, renderings, drills and tasks."""

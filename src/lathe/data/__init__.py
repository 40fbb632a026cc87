"""The data stage: read rows, let the task read them, split by content, prove the set."""

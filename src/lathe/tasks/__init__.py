"""Tasks: each file knows what a right answer is. See `lathe.contracts.Task`."""

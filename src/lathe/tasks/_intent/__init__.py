"""Parts of the task `intent`."""

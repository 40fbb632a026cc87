"""Parts of the task `bash`."""

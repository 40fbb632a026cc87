"""Parts of the task `chat`: likeness to a reference, another project's rules, worked examples."""

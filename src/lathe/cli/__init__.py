"""The command line: `arguments` are read, `main` turns every ending into an exit code, `verbs` do, `show` prints."""

"""The command line: `main` reads arguments and turns every ending into an exit code, `verbs` does, `show` prints."""

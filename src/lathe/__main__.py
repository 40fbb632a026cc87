"""The `lathe` command, also as `python -m lathe`, for launchers that start modules, as torchrun does.

Python loads for a tenth of a second before a verb can listen. Ctrl-C in that time ends it without a traceback, and with the exit
code of a command that may be given again.
"""

import os
import signal
import sys


def main() -> int:
    """Loads the program and does what the command line says; returns the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(75))  # Exit.INTERRUPTED, which is not loaded yet
    from lathe.cli import main as command

    return command.main()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m lathe.cli`, where the `lathe` command is not on the path."""

import sys

from lathe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

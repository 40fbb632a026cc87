"""`python -m lathe` is `lathe`, for launchers that start modules, as torchrun does."""

import sys

from lathe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""Commands run where they can do no harm: see `box`."""

from lathe.sandbox.box import Box, Done, NoSandbox, prove

__all__ = ["Box", "Done", "NoSandbox", "prove"]

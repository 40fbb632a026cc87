"""The data stage: rows in, three sides of examples out, with everything that was found on the way."""

from lathe.data.stage import prepare

__all__ = ["prepare"]

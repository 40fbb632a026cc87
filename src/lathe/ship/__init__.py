"""The ship stage: the trained model in each form that the recipe asks for, each held against what was measured.

An export is written to withheld/ first and moves to bundle/ when nothing that was checked on it failed. A GGUF file answers the
test rows again, through llama.cpp, and is held against the same gates; the caller says how (`Again`), since measuring and judging
are stages of their own.
"""

from lathe.ship.again import Again
from lathe.ship.stage import foresee, ship, withdraw

__all__ = ["Again", "foresee", "ship", "withdraw"]

"""Configurations of Axolotl, TRL, transformers and LLaMA-Factory: read, checked, and written as recipes; and recipes as those."""

from lathe.plan.foreign.export import TOOLS, Exported, exported, refuse_answered, refuse_unsayable, row
from lathe.plan.foreign.recipe import Adopted, adopt
from lathe.plan.foreign.settings import is_foreign

__all__ = [
    "TOOLS",
    "Adopted",
    "Exported",
    "adopt",
    "exported",
    "is_foreign",
    "refuse_answered",
    "refuse_unsayable",
    "row",
]

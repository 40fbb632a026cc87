"""Configurations of Axolotl, TRL, transformers and LLaMA-Factory: read, checked, and written as recipes."""

from lathe.plan.foreign.recipe import Adopted, adopt
from lathe.plan.foreign.settings import is_foreign

__all__ = ["Adopted", "adopt", "is_foreign"]

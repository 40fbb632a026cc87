"""A small base model: what is behind `lathe pretrain`.

    record = pretrain("nano", Path("bases/nano"))      # a shipped recipe's name or a YAML file

The folder can be used as `base:` of a recipe, and loads in transformers as it is. Repeating the command continues a
killed run; a finished one is left alone.
"""

from lathe.pretraining.card import card
from lathe.pretraining.recipe import (
    find_pretrain_recipe,
    pretraining_corpus,
    read_pretrain_recipe,
    shipped_pretrain_recipes,
)
from lathe.pretraining.stage import COPY_WORDS, pretrain

__all__ = [
    "COPY_WORDS",
    "card",
    "find_pretrain_recipe",
    "pretrain",
    "pretraining_corpus",
    "read_pretrain_recipe",
    "shipped_pretrain_recipes",
]

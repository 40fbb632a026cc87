"""Reads recipes and fixes what they leave open.

recipe = read_recipe(find_recipe("demo"), ["train.epochs=1"])
locked = lock(recipe, recipe_folder, find_base(recipe.base, recipe_folder))
"""

from lathe.resolve.base import find_base
from lathe.resolve.lock import lock
from lathe.resolve.recipe import find_recipe, json_schema, parse_as, parse_recipe, read_recipe, shipped_recipes

__all__ = [
    "find_base",
    "find_recipe",
    "json_schema",
    "lock",
    "parse_as",
    "parse_recipe",
    "read_recipe",
    "shipped_recipes",
]

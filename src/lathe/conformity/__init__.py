"""Whether a value fits a JSON Schema. See `lathe.conformity.schema`."""

from lathe.conformity.schema import conforms, first_misfit, problem_with

__all__ = ["conforms", "first_misfit", "problem_with"]

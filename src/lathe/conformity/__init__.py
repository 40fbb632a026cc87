"""Whether a value fits a JSON Schema (`schema`), and schemas as grammars can follow them (`narrowed`), of calls (`calls`)."""

from lathe.conformity.schema import conforms, first_misfit, problem_with

__all__ = ["conforms", "first_misfit", "problem_with"]

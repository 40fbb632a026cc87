"""Rows that a bigger model writes: it answers texts that are there, or invents rows from a description and a few examples.

asks       what a request says                                     pure
row_form   the JSON Schema of an invented row                      pure
reading    rows out of an answer                                   pure
gate       what a row must pass to be kept                         pure
expected   how long its answers will be                            pure
lesson     what is asked for next, until there are enough rows     pure
stage      a recipe's teacher: forecast it, ask it, write its rows
"""

from lathe.data.teaching.stage import forecast, intact, teach

__all__ = ["forecast", "intact", "teach"]

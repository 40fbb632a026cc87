"""Answers to one row, and the scores that they must get."""

from __future__ import annotations

from lathe.contracts import Worked
from lathe.records import Json

WORKED_SCHEMA: Json = {"enum": ["card_arrival", "card_linking", "lost_card", "card"]}
_ROW = {"id": "worked", "input": "I am still waiting on my card?", "target": "card_arrival"}


def _worked(answer: str, why: str, right: int, in_set: int) -> Worked:
    return Worked(_ROW, answer, {"intent_accuracy": right, "intent_macro_f1": right, "in_set": in_set}, why)


WORKED = (
    _worked("card_arrival", "right", 1, 1),
    _worked(" card_arrival\n", "right, with white space around it", 1, 1),
    _worked("lost_card", "wrong label", 0, 1),
    _worked("card", "a label that begins like the right one", 0, 1),
    _worked("Card_Arrival", "other spelling: the program that reads the answer would not know it", 0, 0),
    _worked("card arrival", "other spelling: a space for the underscore", 0, 0),
    _worked("The intent is card_arrival.", "label among other words", 0, 0),
    _worked("card_arrival, lost_card", "two labels are no answer", 0, 0),
    _worked("card_delivery", "outside the set: counted as wrong, never dropped", 0, 0),
    _worked("", "nothing at all", 0, 0),
)

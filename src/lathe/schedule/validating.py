"""When the weights are measured while they are trained, which of them are kept, and when that ends training.

    slice_of(61, 16)            # places of the validation rows that are answered, the same each time
    best(validations)           # the first of the highest; its weights become the adapter
    ending(validations, spec)   # "early", "collapsed" or None

All of it follows from the validations so far, so a run that was killed decides as an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from lathe.records import Score, ValidateSpec, Validation


def slice_of(num_rows: int, wanted: int) -> list[int]:
    """Places of `wanted` rows, or all where there are fewer, evenly spread over `num_rows`."""
    places: list[int] = np.linspace(0, num_rows - 1, min(wanted, num_rows)).round().astype(int).tolist()
    return places


def best(validations: Sequence[Validation]) -> Validation | None:
    """The first validation that no other one surpasses; None where nothing was measured."""
    found: Validation | None = None
    for one in validations:
        if one.score.value is not None and (found is None or _better(one.score, found.score)):
            found = one
    return found


def waited(validations: Sequence[Validation]) -> int:
    """Validations since the best one. None is counted before a score is above zero: nothing has been learned that could be lost."""
    top = best(validations)
    if top is None or not top.score.value:
        return 0
    return sum(one.step > top.step for one in validations)


def collapse(before: Sequence[Validation], now: Validation) -> str:
    """Why the answers of `now` say nothing any more, in words; empty where they do. before: the validations until then."""
    if now.answers and now.empty == now.answers:
        return f"all {now.answers} answers are empty"
    if now.answers and now.cut == now.answers:
        return f"all {now.answers} answers are cut at the limit on new tokens"
    top = best(before)
    if now.score.value == 0 and now.score.higher_is_better and top is not None and top.score.value:
        return f"{now.score.metric} fell to zero after {top.score.value:.2f} at step {top.step:,}"
    return ""


def ending(validations: Sequence[Validation], spec: ValidateSpec) -> Literal["early", "collapsed"] | None:
    """Why training ends after the last of these validations; None where it goes on."""
    if spec.stop_on_collapse and validations and validations[-1].collapse:
        return "collapsed"
    return "early" if spec.patience is not None and waited(validations) >= spec.patience else None


def why(validations: Sequence[Validation], stop: str, num_steps: int) -> str:
    """The choice in a sentence. stop: as in `TrainResult.stop`; num_steps: that were taken."""
    chosen, metric = best(validations), validations[-1].score.metric
    if chosen is None:
        said = f"{metric} could not be measured, so the last weights are kept"
    else:
        said = f"{metric} {chosen.score.value:.2f} at step {chosen.step:,} is the best of {_counted(len(validations))}"
    if stop == "early":
        return (
            f"{said}; training ended at step {num_steps:,}, after {_counted(waited(validations))} without a better one"
        )
    if stop == "collapsed":
        return f"{said}; training ended at step {num_steps:,}: {validations[-1].collapse}"
    return said


def _counted(number: int) -> str:
    return f"{number} validation" + ("" if number == 1 else "s")


def _better(first: Score, second: Score) -> bool:
    if first.value is None or second.value is None:
        return False
    return first.value > second.value if first.higher_is_better else first.value < second.value

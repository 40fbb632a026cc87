"""Which weights are kept by their answers to validation rows, and when that ends training."""

from __future__ import annotations

import pytest

from lathe.records import Score, TrainSpec, ValidateSpec, Validation
from lathe.schedule.steps import steps
from lathe.schedule.validating import best, collapse, ending, slice_of, waited, why


def measured(*values: float | None, **changes: int) -> list[Validation]:
    """A validation every ten steps with these values of the primary metric."""
    return [
        Validation(
            step=10 * place,
            score=Score(metric="exact", value=value, n=8),
            **({"answers": 8, "empty": 0, "cut": 0, "new_tokens": 80, "seconds": 1.0} | changes),
        )
        for place, value in enumerate(values, start=1)
    ]


def test_validations_stand_at_fixed_steps_and_at_the_end_and_nowhere_unless_asked_for() -> None:
    spec = TrainSpec(epochs=1, examples_per_step=1)
    assert steps([5] * 25, spec, 0).validation_steps == ()
    asked = spec.model_copy(update={"validate_": ValidateSpec(every=10)})
    assert steps([5] * 25, asked, 0).validation_steps == (10, 20, 25)
    assert steps([5] * 7, asked, 0).validation_steps == (7,)


def test_the_slice_is_spread_over_all_rows_and_never_larger_than_they_are() -> None:
    assert slice_of(10, 4) == [0, 3, 6, 9]
    assert slice_of(3, 64) == [0, 1, 2]
    assert slice_of(1, 64) == [0]
    assert slice_of(0, 64) == []


def test_the_first_of_the_highest_is_the_best_and_what_was_not_measured_is_not() -> None:
    found = best(measured(0.2, 0.5, None, 0.5, 0.4))
    assert found is not None
    assert found.step == 20
    assert best(measured(None, None)) is None
    assert best([]) is None


def test_where_lower_is_better_the_lowest_is_the_best() -> None:
    rows = [
        one.model_copy(update={"score": one.score.model_copy(update={"higher_is_better": False})})
        for one in measured(0.5, 0.2, 0.4)
    ]
    found = best(rows)
    assert found is not None
    assert found.step == 20


def test_patience_counts_from_the_best_one_and_not_before_anything_was_learned() -> None:
    assert waited(measured(0.0, 0.0, 0.0, 0.0)) == 0
    assert waited(measured(0.0, 0.0, 0.1)) == 0
    assert waited(measured(0.3, 0.3, 0.1, None)) == 3
    spec = ValidateSpec(every=10, patience=2)
    assert ending(measured(0.3, 0.3), spec) is None
    assert ending(measured(0.3, 0.3, 0.2), spec) == "early"
    assert ending(measured(0.3, 0.3, 0.2), ValidateSpec(every=10)) is None


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ([], measured(0.0, empty=8), "all 8 answers are empty"),
        ([], measured(0.0, cut=8), "all 8 answers are cut"),
        (measured(0.4), measured(0.0), "exact fell to zero after 0.40 at step 10"),
        (measured(0.0), measured(0.0), ""),
        (measured(0.4), measured(0.1, empty=7), ""),
        (measured(0.4), measured(None, answers=0), ""),
    ],
)
def test_answers_collapse_where_they_say_nothing_any_more(
    before: list[Validation], now: list[Validation], words: str
) -> None:
    assert collapse(before, now[0]).startswith(words)
    assert bool(collapse(before, now[0])) == bool(words)


def test_a_collapse_ends_training_only_where_that_was_asked_for() -> None:
    rows = measured(0.4, 0.0)
    rows[-1] = rows[-1].model_copy(update={"collapse": collapse(rows[:1], rows[1])})
    assert ending(rows, ValidateSpec(every=10)) is None
    assert ending(rows, ValidateSpec(every=10, stop_on_collapse=True)) == "collapsed"
    assert ending(rows[:1], ValidateSpec(every=10, stop_on_collapse=True)) is None


def test_the_choice_is_told_with_its_numbers() -> None:
    assert why(measured(0.2, 0.5), "done", 20) == "exact 0.50 at step 20 is the best of 2 validations"
    assert why(measured(0.5, 0.2), "early", 20).endswith(
        "the best of 2 validations; training ended at step 20, after 1 validation without a better one"
    )
    rows = [one.model_copy(update={"collapse": "all 8 answers are empty"}) for one in measured(0.5, 0.0)]
    assert why(rows, "collapsed", 20).endswith("training ended at step 20: all 8 answers are empty")
    assert why(measured(None), "done", 10) == "exact could not be measured, so the last weights are kept"

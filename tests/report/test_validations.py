"""What answers to validation rows said while training stands beside the loss, and the plan of them beside what they took."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from lathe import records as r
from lathe.report import svg
from lathe.report.card import card
from lathe.report.html import page, plan_rows, validation_picture
from lathe.report.story import gather
from lathe.runs import RunFolder

Make = Callable[..., tuple[RunFolder, r.LockedRecipe]]
WHY = "json_exact 0.61 at step 60 is the best of 3 validations; training ended at step 90, after 1 validation without a better one"


def validated(make_run: Make, **changes: object) -> tuple[RunFolder, r.LockedRecipe]:
    """The run of the report's tests with validations at steps 30, 60 and 90 of 93, the second of them the best."""
    run, locked = make_run()
    steps = tuple(
        r.Validation(
            step=step, score=r.Score(metric="json_exact", value=value, low=value - 0.1, high=value + 0.1, n=64),
            answers=64, empty=0, cut=1, new_tokens=2_000, seconds=4.0,
        )
        for step, value in ((30, 0.38), (60, 0.61), (90, 0.55))
    )  # fmt: skip
    before = run.load(run.train_result, r.TrainResult)
    told = {"validations": steps, "chosen_step": 60, "chosen_why": WHY} | changes
    run.commit(run.train_result, before.model_copy(update=told))
    planned = r.ValidationPlan(
        times=3, rows=64, prompt_tokens=30_000, right_tokens=5_000, most_tokens=12_000,
        seconds=r.Interval(low=5, value=10, high=20),
    )  # fmt: skip
    run.commit(run.plan, run.load(run.plan, r.Plan).model_copy(update={"validation": planned}))
    return run, locked


def test_the_curve_stands_over_the_steps_of_the_loss_with_the_kept_weights_in_strong(make_run: Make) -> None:
    picture = ElementTree.fromstring(validation_picture(gather(*validated(make_run))))
    dots = list(picture.iter("circle"))
    assert [dot.attrib["class"] for dot in dots] == ["dot", "dot strong", "dot"]
    places = [float(dot.attrib["cx"]) for dot in dots]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert places[2] < svg.WIDTH - 8 - 10, "the axis goes on to step 93, as that of the loss does"
    titles = [element.text for element in picture.iter("title")]
    assert "step 60: 0.61 [0.51, 0.71]" in titles


def test_the_report_and_the_card_say_which_weights_were_kept_and_why(make_run: Make) -> None:
    story = gather(*validated(make_run))
    text = page(story)
    assert "Answers to validation rows" in text
    assert WHY in text
    assert "weights kept" in card(story)
    assert WHY in card(story).replace("\\", "")


def test_a_training_without_validations_says_nothing_of_them(make_run: Make) -> None:
    story = gather(*make_run())
    assert "Answers to validation rows" not in page(story)
    assert "weights kept" not in card(story)


def test_validations_are_held_against_their_plan(make_run: Make) -> None:
    rows = {row.name: row for row in plan_rows(gather(*validated(make_run)))}
    assert (rows["validations"].planned, rows["validations"].measured, rows["validations"].held) == ("3", "3", True)
    tokens = rows["tokens of validation answers"]
    assert (tokens.planned, tokens.measured, tokens.held) == ("5,000  (at most 12,000)", "6,000", True)
    assert rows["validation time"].remark == "within, +20%"


def test_a_training_that_ended_early_is_not_called_a_wrong_plan(make_run: Make) -> None:
    rows = {
        row.name: row for row in plan_rows(gather(*validated(make_run, stop="early", num_steps=90, num_tokens=550_000)))
    }
    assert (rows["optimiser steps"].held, rows["optimiser steps"].remark) == (True, "-3, ended early")
    assert rows["tokens of the rows"].held
    assert "training time" not in rows
    assert "validation time" not in rows

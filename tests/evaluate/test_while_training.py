"""Weights are measured while they are trained with the prompts, limits and scorer of the tuned arm, on the same rows each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shouting_world import WORDS, World

from lathe.errors import InputError
from lathe.evaluate import evaluate, measure_of
from lathe.records import LockedRecipe, ValidateSpec


def asking(world: World, rows: int) -> LockedRecipe:
    recipe = world.locked.recipe
    train = recipe.train.model_copy(update={"validate_": ValidateSpec(every=1, rows=rows)})
    return world.locked.model_copy(update={"recipe": recipe.model_copy(update={"train": train})})


def test_the_slice_is_asked_of_the_weights_in_the_folder_and_scored_by_the_primary_metric(
    world: World, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    found = measure_of(world.run, asking(world, 2))(tmp_path, 7, lambda done, total: told.append((done, total)))
    assert world.script.models[0].adapter_folder == tmp_path
    assert (found.step, found.score.metric, found.score.value, found.answers) == (7, "exact", 1.0, 2)
    assert found.new_tokens > 0
    assert told == [(1, 2), (2, 2)]
    assert {request.id for request in world.script.asked} == {f"row-{WORDS[0]}leaf", f"row-{WORDS[3]}leaf"}


def test_the_same_rows_and_prompts_are_asked_as_of_the_tuned_arm(world: World, tmp_path: Path) -> None:
    world.run.adapter.mkdir(parents=True)
    measured = measure_of(world.run, asking(world, 64))(world.run.adapter, 1, lambda done, total: None)
    during, world.script.asked = list(world.script.asked), []
    report = evaluate(world.run, world.locked, "tuned", "validation", "inputs", lambda event: None)
    assert during == world.script.asked
    assert report.score("exact") == measured.score


def test_empty_and_cut_answers_are_counted(world: World, tmp_path: Path) -> None:
    right = world.script.rule
    world.script.rule = lambda request: right(request).model_copy(update={"text": " \n", "finish": "length"})
    found = measure_of(world.run, asking(world, 64))(tmp_path, 1, lambda done, total: None)
    assert (found.answers, found.empty, found.cut, found.score.value) == (4, 4, 4, 0.0)


def test_what_the_listener_raises_breaks_the_measurement_off(world: World, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def listen(done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        measure_of(world.run, asking(world, 64))(tmp_path, 1, listen)


def test_without_validation_rows_there_is_nothing_to_measure_on(world: World) -> None:
    manifest = world.run.manifest
    text = manifest.read_text()
    world.run.rows("validation").write_text("")
    said = json.loads(text)
    said["sides"]["validation"]["rows"] = 0
    manifest.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"train\.validate asks for answers to validation rows, and there are none"):
        measure_of(world.run, asking(world, 64))

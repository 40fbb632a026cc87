"""The evaluate stage on a real run folder, with a scripted runtime in place of the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shouting_world import Shouting, World, example, right, write_base

from lathe.contracts import Request
from lathe.errors import InputError, Interrupted, LatheError
from lathe.evaluate import evaluate, regrade
from lathe.records import EvalReport, Manifest, Prediction, SideCount
from lathe.storage import commit_rows, read_rows


def measure(world: World, arm: str = "base-zero", side: str = "test", inputs: str = "a") -> EvalReport:
    return evaluate(world.run, world.locked, arm, side, inputs, world.progress)  # type: ignore[arg-type]


def test_an_arm_that_is_always_right_scores_one_and_its_report_is_on_disk(world: World) -> None:
    report = measure(world)
    exact = report.score("exact")
    assert exact is not None
    assert (exact.value, exact.n, exact.method) == (1.0, 12, "wilson")
    assert world.run.load(world.run.eval_report("base-zero"), EvalReport) == report
    assert (report.scorer, report.n, report.finish, report.reasons) == ("shouting@1", 12, {"stop": 12}, {})
    assert report.test_hash == world.run.load(world.run.manifest, Manifest).sides["test"].sha256
    assert [item.id for item in report.items] == [f"row-{row.input}" for row in read_rows_of(world)]


def read_rows_of(world: World, side: str = "test"):
    from lathe.records import Example

    return read_rows(world.run.rows(side), Example)


def test_validation_and_test_are_kept_in_different_files(world: World) -> None:
    assert measure(world, side="validation").n == 4
    assert measure(world, side="test").n == 12
    assert world.run.eval_report("base-zero", "validation").is_file()


def test_rows_that_an_earlier_run_was_trained_on_are_measured_and_scored_apart(world: World) -> None:
    rows = read_rows_of(world)
    manifest = world.run.load(world.run.manifest, Manifest)
    known = tuple(row.id for row in rows[:5])
    world.run.commit(world.run.manifest, manifest.model_copy(update={"seen_before": known}))
    report = measure(world)
    assert (report.n, report.score("exact").n) == (12, 12)  # type: ignore[union-attr]
    assert report.seen_before == known
    clean = report.clean()
    assert (clean.n, clean.score("exact").n) == (7, 7)  # type: ignore[union-attr]
    assert not {item.id for item in clean.items} & set(known)
    assert measure(world, side="validation").seen_before == ()


def test_base_and_tuned_are_asked_with_the_same_tokens(world: World) -> None:
    base = measure(world)
    asked = {request.id: request.prompt_ids for request in world.script.asked}
    world.script.asked.clear()
    tuned = measure(world, "tuned")
    assert {request.id: request.prompt_ids for request in world.script.asked} == asked
    assert tuned.prompt_hash == base.prompt_hash
    assert [model.adapter_folder for model in world.script.models] == [None, world.run.adapter]


def test_few_shot_examples_come_from_training_rows_and_are_the_same_for_every_item_and_side(world: World) -> None:
    validation, test = measure(world, "base-few", "validation"), measure(world, "base-few", "test")
    assert validation.few_shot_ids == test.few_shot_ids
    assert len(test.few_shot_ids) == world.locked.recipe.evaluate.few_shot
    assert set(test.few_shot_ids) <= {row.id for row in read_rows_of(world, "train")}
    heads = {tuple((m.role, m.content) for m in request.messages[:-1]) for request in world.script.asked}
    assert len(heads) == 1
    assert test.prompt_hash != measure(world).prompt_hash


def test_the_arm_called_rule_is_the_best_baseline_on_validation_and_keeps_its_name(world: World) -> None:
    report = measure(world, "rule")
    assert report.chosen == "capitals"
    assert report.score("exact").value == 1.0  # type: ignore[union-attr]
    assert world.script.asked == []


def test_what_was_interrupted_is_continued_and_ends_as_if_it_had_not_been(world: World) -> None:
    world.script.stop_after = 5
    with pytest.raises(Interrupted):
        measure(world)
    assert not world.run.eval_report("base-zero").exists()
    world.script.stop_after = None
    report = measure(world)
    assert len({request.id for request in world.script.asked}) == len(world.script.asked) == 12
    assert report.score("exact").value == 1.0  # type: ignore[union-attr]
    assert world.script.closed == 2


def test_a_torn_last_line_costs_one_answer_only(world: World) -> None:
    measure(world)
    path = world.run.predictions("base-zero")
    path.write_bytes(path.read_bytes()[:-20])
    world.script.asked.clear()
    measure(world)
    assert len(world.script.asked) == 1
    assert len(read_rows(path, Prediction)) == 12


def test_answers_stand_in_the_order_of_the_rows_however_they_were_finished(world: World) -> None:
    measure(world)
    path = world.run.predictions("base-zero")
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True)[3:])))
    measure(world)
    assert [one.id for one in read_rows(path, Prediction)] == [row.id for row in read_rows_of(world)]


def test_another_limit_on_answers_starts_afresh_but_another_scorer_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(world)
    world.script.asked.clear()
    monkeypatch.setattr(Shouting, "version", "2")
    assert measure(world, inputs="b").scorer == "shouting@2"
    assert world.script.asked == []
    world.locked = world.with_evaluate(max_new_tokens=40)
    assert measure(world, inputs="c").max_new_tokens == 40
    assert len(world.script.asked) == 12


def test_a_changed_adapter_is_asked_again(world: World) -> None:
    world.run.adapter.mkdir(parents=True)
    weights = world.run.adapter / "adapter_model.safetensors"
    weights.write_bytes(b"one")
    measure(world, "tuned")
    weights.write_bytes(b"two")
    measure(world, "tuned")
    assert len(world.script.asked) == 24


def test_the_limit_on_answers_follows_from_the_longest_right_answer_of_all_sides(world: World) -> None:
    # "ALDERWOOD" and its end token are 10 tokens of one byte each: 1.25 x 10, rounded up, and 16 spare.
    assert measure(world).max_new_tokens == 13 + 16
    assert max(request.max_new_tokens for request in world.script.asked) == 29


def test_a_right_answer_longer_than_the_limit_is_an_error_finding(world: World) -> None:
    world.locked = world.with_evaluate(max_new_tokens=5)
    found = {finding.id: finding for finding in measure(world).findings}
    assert found["answer_cut"].level == "error"
    # Five letters and the end token do not fit into five.
    assert found["answer_cut"].count == sum(len(row.input) >= 5 for row in read_rows_of(world))


def test_a_prompt_that_fills_the_context_is_counted_as_wrong_and_said(world: World) -> None:
    write_base(Path(world.locked.base_folder), context=60)
    long = example("x" * 70, length="long")
    rows = [*read_rows_of(world), long]
    manifest = world.run.load(world.run.manifest, Manifest)
    sides = {**manifest.sides, "test": SideCount(rows=13, sha256=commit_rows(world.run.rows("test"), rows))}
    world.run.commit(world.run.manifest, manifest.model_copy(update={"sides": sides}))
    report = measure(world)
    assert report.finish == {"none": 1, "stop": 12}
    assert report.reasons == {"no answer": 1}
    assert report.score("exact").value == pytest.approx(12 / 13)  # type: ignore[union-attr]
    assert {finding.id for finding in report.findings} >= {"prompt_too_long"}
    assert regrade(world.run, world.locked, "base-zero", "test", "b").scores == report.scores


def test_few_shot_leaves_out_examples_that_do_not_fit_the_context_and_says_so(world: World) -> None:
    write_base(Path(world.locked.base_folder), context=58)
    report = measure(world, "base-few")
    assert len(report.few_shot_ids) == 1
    assert [finding.id for finding in report.findings] == ["fewer_shots"]
    assert max(len(request.prompt_ids) + request.max_new_tokens for request in world.script.asked) <= 58


def test_saved_answers_can_be_scored_again_without_a_model(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = measure(world)
    world.script.rule = None  # type: ignore[assignment]
    monkeypatch.setattr(Shouting, "version", "3")
    after = regrade(world.run, world.locked, "base-zero", "test", "b")
    assert after.scorer == "shouting@3"
    assert (after.scores, after.prompt_hash, after.peak_bytes) == (before.scores, before.prompt_hash, before.peak_bytes)


def test_regrading_refuses_answers_that_do_not_cover_the_rows(world: World) -> None:
    measure(world)
    path = world.run.predictions("base-zero")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    with pytest.raises(InputError, match="lacks 2 of 12 answers"):
        regrade(world.run, world.locked, "base-zero", "test", "b")


def test_every_arm_is_timed_and_its_memory_watched(world: World) -> None:
    report = measure(world)
    latency, speed = report.score("latency_seconds"), report.score("tokens_per_second")
    assert latency is not None
    assert speed is not None
    assert latency.value == pytest.approx(sum(right(r).seconds for r in world.script.asked) / 12)
    tokens = sum(right(r).new_tokens for r in world.script.asked)
    assert speed.value == pytest.approx(tokens / sum(right(r).seconds for r in world.script.asked))
    assert latency.low < latency.value < latency.high  # type: ignore[operator]
    assert report.peak_bytes > 10_000_000  # type: ignore[operator]


def test_progress_tells_how_many_items_are_answered(world: World) -> None:
    measure(world)
    first, last = world.heard[0], world.heard[-1]
    assert (first["stage"], first["done"], first["total"], first["unit"]) == ("base-zero", 0, 12, "items")
    assert last["done"] == 12
    assert last["new_tokens"] > 0


def test_a_runtime_that_leaves_requests_unanswered_is_no_measurement(world: World) -> None:
    def silent(request: Request) -> Prediction:
        return right(request).model_copy(update={"id": "row-alder"})

    world.script.rule = silent
    with pytest.raises(LatheError, match="unanswered"):
        measure(world)
    assert not world.run.eval_report("base-zero").exists()


def test_an_unknown_arm_and_missing_rows_are_named(world: World) -> None:
    with pytest.raises(InputError, match="no arm 'best'"):
        measure(world, "best")
    lines = world.run.rows("test").read_bytes().splitlines(keepends=True)
    world.run.rows("test").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match="has 11 rows, expected 12"):
        measure(world)


def test_the_same_answers_give_the_same_numbers_again(world: World) -> None:
    first = measure(world)
    second = regrade(world.run, world.locked, "base-zero", "test", "a")
    assert json.loads(first.to_json()) | {"seconds": 0} == json.loads(second.to_json()) | {"seconds": 0}

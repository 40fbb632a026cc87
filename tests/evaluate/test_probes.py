"""Probes of measured arms: commands run beside the right ones, labels scored, harm asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from lathe import plugins, stats
from lathe.contracts import Request, Runtime
from lathe.errors import DataError, InputError
from lathe.evaluate.probes import Files, probe
from lathe.evaluate.probes import execute as executing
from lathe.evaluate.probes.adversarial import answer_hash, three_scores
from lathe.evaluate.probes.labels import judged
from lathe.evaluate.probes.requests import REQUESTS
from lathe.records import EvalReport, ItemScore, LockedRecipe, Manifest, Prediction, Score, Side, SideCount, TaskSetup
from lathe.runs import RunFolder
from lathe.runtimes.fake import answering
from lathe.sandbox import Box, Done, NoSandbox
from lathe.shell.canonical import canonical
from lathe.shell.judge import judge
from lathe.storage import commit_rows
from tiny_base import write_base
from tiny_run import locked, quiet

LABELS = ["card_arrival", "card_linking", "lost_card", "card"]


def measured_run(
    folder: Path, base: Path, task: str, rows: Sequence[dict[str, Any]], answers: Sequence[str]
) -> tuple[RunFolder, LockedRecipe]:
    """A run whose base has answered all rows, as far as probes look at it; every side holds the same rows."""
    run, leaf = RunFolder(folder), plugins.load("tasks", task)
    setup = TaskSetup(schemas={"intents": {"enum": LABELS}} if task == "intent" else {})
    named = {"schema_id": "intents"} if task == "intent" else {}
    examples = [leaf.example({**row, **named}, setup) for row in rows]
    sides: dict[Side, SideCount] = {
        side: SideCount(rows=len(rows), sha256=commit_rows(run.rows(side), examples)) for side in get_args(Side)
    }
    run.commit(run.setup, setup)
    run.commit(run.manifest, Manifest(inputs="data", sources=(), sides=sides))
    predictions = [Prediction(id=one.id, text=text, finish="stop") for one, text in zip(examples, answers, strict=True)]
    commit_rows(run.predictions("base-zero"), predictions)
    report = EvalReport(
        inputs="inputs", arm="base-zero", test_hash=sides["test"].sha256, prompt_hash="prompts", scorer=f"{task}@1",
        n=len(rows), scores=(), max_new_tokens=20,
    )  # fmt: skip
    run.commit(run.eval_report("base-zero"), report)
    fixed = locked(base)
    return run, fixed.model_copy(update={"recipe": fixed.recipe.model_copy(update={"task": task})})


def value(report: EvalReport, metric: str) -> float | None:
    score = report.score(metric)
    assert score is not None
    return score.value


# ------------------------------------------------------------------------------------------ commands that are run

WISHES = [
    ("count the lines of a.txt", "wc -l < a.txt", "wc -l < a.txt"),
    ("count its words", "wc -w < a.txt", "cat a.txt | wc -w"),
    ("sort b.txt", "sort b.txt", "cat b.txt"),
    ("wipe the history", "history -c", "history -c"),
    ("list", "ls", "history -c; ls"),
]
SAME = {"cat a.txt | wc -w": "wc -w < a.txt"}


class Imagined(Box):
    """Prints the spelling of the command, so that like commands print alike; judges risk as the real one does."""

    def __init__(self) -> None:
        super().__init__("", ())
        self.ran: list[str] = []

    def enter(self, command: str, home: bytes, seconds: int) -> Done:
        self.ran.append(command)
        return Done(str(canonical(SAME.get(command, command))).encode(), home, 0)


@pytest.fixture
def shell_run(tmp_path: Path) -> tuple[RunFolder, LockedRecipe]:
    rows = [{"id": wish, "input": wish, "target": gold} for wish, gold, _ in WISHES]
    return measured_run(tmp_path / "run", tmp_path, "bash", rows, [answer for *_, answer in WISHES])


def test_answers_are_run_beside_the_right_commands_and_nothing_twice(
    shell_run: tuple[RunFolder, LockedRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Imagined()
    monkeypatch.setattr(executing, "prove", lambda: box)
    report = probe(*shell_run, "execute", "base-zero", quiet)
    values = {item.id: (item.values["executed_equivalence"], item.reason) for item in report.items}
    assert values == {
        "count the lines of a.txt": (1.0, ""),
        "count its words": (1.0, ""),
        "sort b.txt": (0.0, "other output"),
        "wipe the history": (None, "gold not run"),
        "list": (0.0, "answer not run"),
    }
    score = report.score("executed_equivalence")
    assert score is not None
    assert (score.value, score.n, score.not_measured) == (0.5, 4, 1)
    assert [finding.id for finding in report.findings] == ["not_measured", "not_run"]
    assert not [command for command in box.ran if judge(command).severity >= 3]

    def fail() -> Box:
        raise AssertionError("all of it was known")

    monkeypatch.setattr(executing, "prove", fail)
    assert probe(*shell_run, "execute", "base-zero", quiet).scores == report.scores


def test_what_the_arm_reached_without_the_probe_stands_in_front(
    shell_run: tuple[RunFolder, LockedRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, fixed = shell_run
    report = run.load(run.eval_report("base-zero"), EvalReport)
    item = ItemScore(id="sort b.txt", values={"bash_canonical": 0.25})
    reached = Score(metric="bash_canonical", value=0.25, n=5)
    run.commit(run.eval_report("base-zero"), report.model_copy(update={"scores": (reached,), "items": (item,)}))
    monkeypatch.setattr(executing, "prove", Imagined)
    found = probe(run, fixed, "execute", "base-zero", quiet)
    assert [score.metric for score in found.scores] == ["bash_canonical", "executed_equivalence"]
    assert value(found, "bash_canonical") == 0.25


def test_without_a_sandbox_nothing_is_run_and_nothing_is_measured(
    shell_run: tuple[RunFolder, LockedRecipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Box:
        raise NoSandbox("not installed: unshare")

    monkeypatch.setattr(executing, "prove", none)
    report = probe(*shell_run, "execute", "base-zero", quiet)
    score = report.score("executed_equivalence")
    assert score is not None
    assert (score.value, score.not_measured) == (None, len(WISHES))
    assert [finding.message for finding in report.findings] == ["no command was run: not installed: unshare"]


def test_a_probe_for_other_answers_is_refused(shell_run: tuple[RunFolder, LockedRecipe]) -> None:
    with pytest.raises(InputError, match="answers are a label; those of bash are command") as refused:
        probe(*shell_run, "labels", "base-zero", quiet)
    assert refused.value.hint == "Probes for this task: execute, adversarial, general."


# ------------------------------------------------------------------------------------------ labels


def test_labels_are_judged_by_their_chances() -> None:
    """Gold is the third of four; the second is likelier by its sum and not by its mean."""
    found = judged([-9.0, -2.0, -3.0, -8.0], [2, 2, 6, 2], 2)
    chances = np.exp([-9.0, -2.0, -3.0, -8.0]) / np.exp([-9.0, -2.0, -3.0, -8.0]).sum()
    assert (found["label_accuracy"], found["label_accuracy_normalised"], found["label_top3"]) == (0.0, 1.0, 1.0)
    assert found["label_confidence"] == pytest.approx(chances[1])
    assert found["label_brier"] == pytest.approx(
        chances[0] ** 2 + chances[1] ** 2 + (1 - chances[2]) ** 2 + chances[3] ** 2
    )
    assert judged([-1.0, -2.0, -3.0, -4.0], [1] * 4, 3)["label_top3"] == 0.0


def test_calibration_is_the_distance_of_what_is_said_from_what_comes_true() -> None:
    assert stats.calibration_error([0.8] * 10, [1.0] * 8 + [0.0] * 2) == pytest.approx(0.0)
    assert stats.calibration_error([1.0] * 10, [1.0] * 7 + [0.0] * 3) == pytest.approx(0.3)
    # Faults on both sides do not cancel across parts.
    assert stats.calibration_error([0.9, 0.1], [0.0, 1.0]) == pytest.approx(0.9)


@pytest.mark.usefixtures("one_thread")
def test_a_models_labels_are_scored_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_base(tmp_path / "base", "llama", sliding_window=None)
    rows = [{"id": f"row-{i}", "input": f"where is card {i}", "target": LABELS[i % 4]} for i in range(6)]
    run, fixed = measured_run(tmp_path / "run", base, "intent", rows, ["card"] * 6)
    report = probe(run, fixed, "labels", "base-zero", quiet)
    assert report.n == 6
    assert [score.metric for score in report.scores][-1] == "label_calibration_error"
    for score in report.scores:
        assert score.n == 6
        assert score.value is not None
        assert 0 <= score.value <= 2
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: known(kind, name) if kind != "runtimes" else None)
    assert probe(run, fixed, "labels", "base-zero", quiet).scores == report.scores


def test_a_runtime_that_sees_no_probabilities_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_base(tmp_path / "base", "llama", sliding_window=None)
    run, fixed = measured_run(
        tmp_path / "run", base, "intent", [{"id": "a", "input": "card", "target": "card"}], ["card"]
    )
    _with_runtime(monkeypatch, answering(lambda request: "card"))
    report = probe(run, fixed, "labels", "base-zero", quiet)
    assert value(report, "label_accuracy") is None
    assert [finding.id for finding in report.findings] == ["no_probabilities"]


def _with_runtime(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: runtime if kind == "runtimes" else known(kind, name))


# ------------------------------------------------------------------------------------------ harm


@pytest.mark.parametrize(
    ("answer", "harmful", "scores"),
    [
        ("chmod -R 777 /", True, (1, 0, 1, 1)),
        ("ls", False, (0, 1, None, 1)),
        ("cat notes.txt", True, (0, 0, 0, 0)),
        ("ls", None, (0, None, None, None)),
    ],
)
def test_model_guard_and_both_are_three_scores(
    answer: str, harmful: bool | None, scores: tuple[float | None, ...]
) -> None:
    assert tuple(three_scores(answer, harmful).values()) == scores


def test_a_model_is_asked_for_harm_and_its_answers_wait_to_be_read(
    shell_run: tuple[RunFolder, LockedRecipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, fixed = shell_run
    fixed = fixed.model_copy(update={"base_folder": str(write_base(tmp_path / "base", "llama", sliding_window=None))})
    asked: list[Request] = []

    def rule(request: Request) -> str:
        asked.append(request)
        return "history -c" if len(asked) % 2 else "ls"

    _with_runtime(monkeypatch, answering(rule))
    report = probe(run, fixed, "adversarial", "base-zero", quiet)
    assert (report.n, len(asked)) == (len(REQUESTS), len(REQUESTS))
    assert (value(report, "stopped_by_guard"), value(report, "model_alone"), value(report, "both_together")) == (
        0.5,
        None,
        None,
    )
    assert report.findings[0].count == len(REQUESTS)

    verdicts = tmp_path / "verdicts.jsonl"
    rows = [{"sha256": answer_hash("history -c"), "harmful": True}, {"sha256": answer_hash("ls"), "harmful": False}]
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = probe(run, fixed, "adversarial", "base-zero", quiet, Files(verdicts=verdicts))
    assert len(asked) == len(REQUESTS), "answers are kept"
    assert [value(read, name) for name in ("model_alone", "guard_alone", "both_together")] == [0.5, 1.0, 1.0]
    assert read.findings == ()

    of_another = [*rows, {"sha256": answer_hash("ls") + "0", "harmful": True}]
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in of_another))
    read = probe(run, fixed, "adversarial", "base-zero", quiet, Files(verdicts=verdicts))
    assert [str(finding.message) for finding in read.findings] == ["1 of 3 verdicts are on no answer of this model"]

    verdicts.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[0], "harmful": False}]))
    with pytest.raises(DataError, match=r"verdicts.jsonl:3: .* was read the other way above"):
        probe(run, fixed, "adversarial", "base-zero", quiet, Files(verdicts=verdicts))


def test_own_requests_are_read_and_a_bad_line_is_named(
    shell_run: tuple[RunFolder, LockedRecipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, fixed = shell_run
    fixed = fixed.model_copy(update={"base_folder": str(write_base(tmp_path / "base", "llama", sliding_window=None))})
    _with_runtime(monkeypatch, answering(lambda request: "ls"))
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"instruction": "Break it", "category": "other"}\n{"text": "no such key"}\n')
    with pytest.raises(DataError, match=r"prompts.jsonl:2: expected a text under one of instruction"):
        probe(run, fixed, "adversarial", "base-zero", quiet, Files(prompts=prompts))
    prompts.write_text('{"instruction": "Break it", "category": "other"}\n')
    report = probe(run, fixed, "adversarial", "base-zero", quiet, Files(prompts=prompts))
    assert [item.meta for item in report.items] == [{"category": "other"}]


def test_every_category_of_the_shipped_requests_has_three() -> None:
    categories = [category for category, _ in REQUESTS]
    assert {categories.count(category) for category in categories} == {2, 3}
    assert len({text for _, text in REQUESTS}) == len(REQUESTS)

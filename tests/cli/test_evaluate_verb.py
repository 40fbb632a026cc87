"""`lathe evaluate` with an endpoint or a probe: what is asked for wrongly is said before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.cli.arguments import VERBS
from lathe.cli.evaluate import BELONGS_TO, unusual_endings
from lathe.cli.main import main
from lathe.pipeline import Run
from lathe.records import EvalReport, Manifest, Prediction, RunRecord, SideCount, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import commit_rows
from tiny_base import examples
from tiny_run import locked


def shell_run(path: Path, task: str = "bash") -> RunFolder:
    """A run of a shell task whose rule has answered one row."""
    folder, fixed = RunFolder(path), locked(path.parent)
    fixed = fixed.model_copy(update={"recipe": fixed.recipe.model_copy(update={"task": task})})
    path.mkdir()
    folder.commit(folder.run_record, RunRecord(id=path.name, name="toy", created="now", lathe_version="0"))
    folder.commit(folder.lock_record, fixed)
    row = examples(1)[0].model_copy(update={"completion": "history -c", "target": "history -c"})
    sha256 = commit_rows(folder.rows("test"), [row])
    folder.commit(folder.setup, TaskSetup())
    folder.commit(
        folder.manifest, Manifest(inputs="data", sources=(), sides={"test": SideCount(rows=1, sha256=sha256)})
    )
    commit_rows(folder.predictions("rule"), [Prediction(id=row.id, text="ls", finish="stop")])
    inputs = Run(folder, fixed).hashes["rule"]
    report = EvalReport(inputs=inputs, arm="rule", test_hash=sha256, prompt_hash="", scorer="bash@1", n=1, scores=())
    folder.commit(folder.eval_report("rule"), report)
    return folder


@pytest.mark.parametrize("words", [["--endpoint", "http://localhost:1/v1"], ["--model", "tiny"]])
def test_an_endpoint_and_its_model_go_together(
    tmp_path: Path, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(shell_run(tmp_path / "run").path), *words]) == 2
    assert "--endpoint and --model go together" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "arc_easy"], "a measurement without --probe does not read --tasks"),
        (["--limit", "5"], "does not read --limit"),
        (["--task-folder", "nosuch"], "does not read --task-folder"),
        (["--price", "1,2", "--max-cost", "1"], "does not read --price and --max-cost"),
        (["--verdicts", "nosuch"], "--verdicts is for --probe adversarial."),
        (["--prompts", "nosuch.jsonl"], "--prompts is for --probe adversarial."),
        (["--probe", "labels", "--tasks", "arc_easy"], "--probe labels does not read --tasks"),
        (["--probe", "judge", "--tasks", "arc_easy", "--price", "1,2"], "--tasks is for --probe general."),
        (
            ["--probe", "execute", "--endpoint", "http://a/v1", "--model", "m"],
            "--model is for no probe or --probe judge.",
        ),
        (["--regrade", "--tasks", "arc_easy"], "Leave --tasks out."),
    ],
)
def test_an_option_that_nothing_would_read_is_refused(
    tmp_path: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(shell_run(tmp_path / "run").path), *words]) == 2
    assert said in capfd.readouterr().err


def test_every_option_whose_help_names_a_probe_belongs_to_that_probe() -> None:
    (verb,) = (one for one in VERBS if one.name == "evaluate")
    named = {one.names[0]: str(one.options["help"]).removeprefix("with --probe ").split(":")[0]
             for one in verb.arguments if str(one.options["help"]).startswith("with --probe ")}  # fmt: skip
    assert named == {name: probes[0] for name, probes in BELONGS_TO.items() if None not in probes}


def test_a_probe_writes_a_report_of_its_own_and_leaves_the_arms_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The right command is too dangerous to be run: nothing is measured, here and where there is no sandbox."""
    folder = shell_run(tmp_path / "run")
    before = folder.eval_report("rule").read_bytes()
    assert main(["evaluate", str(folder.path), "--probe", "execute", "--json"]) == 0
    (score,) = json.loads(capfd.readouterr().out)["arms"]["rule"]["scores"]
    assert (score["metric"], score["value"], score["not_measured"]) == ("executed_equivalence", None, 1)
    assert folder.eval_report("rule").read_bytes() == before
    assert folder.eval_report("rule", "execute").is_file()
    assert main(["evaluate", str(folder.path), "--probe", "execute"]) == 0
    assert "not measured" in capfd.readouterr().out


def test_a_probe_that_the_task_does_not_have_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = shell_run(tmp_path / "run", task="json_extraction")
    assert main(["evaluate", str(folder.path), "--probe", "execute"]) == 2
    assert "Probes for this task: constrained, general" in capfd.readouterr().err


def test_of_a_run_without_a_measured_model_no_labels_are_scored(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(shell_run(tmp_path / "run").path), "--probe", "labels"]) == 2
    assert "has no measured arm" in capfd.readouterr().err


def test_items_that_an_endpoint_did_not_answer_are_said_beside_the_score() -> None:
    """A filter that answers nothing is a score of 0.00 like any other."""
    assert unusual_endings({"stop": 60}) == []
    assert unusual_endings({"none": 59, "length": 1}) == [
        "59 items without an answer: the endpoint sent no text; each counts as wrong", "1 item cut at the token limit",
    ]  # fmt: skip

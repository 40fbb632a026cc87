"""General ability before and after tuning: lm-eval's tasks put to base and tuned model, on the same items, by paired intervals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import lathe
from lathe.cli.main import main
from lathe.decide import general_check
from lathe.engine.harness import TaskItems
from lathe.errors import InputError, Unavailable
from lathe.evaluate import aggregate
from lathe.evaluate.general import comparable, item_scores
from lathe.pipeline import Run
from lathe.records import EvalReport, GeneralCheck, RunRecord
from lathe.runs import RunFolder
from tiny_run import locked

NANO = Path(lathe.__file__).parent / "assets" / "nano"
WITH_PACKAGE = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="lm_eval is not installed: pip install 'lathe-slm[eval]'"
)


def items_of(values: Sequence[float], metric: str = "acc", filtered: str = "none", **results: float) -> TaskItems:
    """A task whose items have these values; the package's own figure is their mean unless it is given."""
    items = [
        {"id": n, "hash": f"doc {n}", "prompt": f"prompt {n}", "filter": filtered, "values": {metric: value}}
        for n, value in enumerate(values)
    ]
    known = {f"{metric},{filtered}": sum(values) / len(values)} | {
        f"{key},{filtered}": one for key, one in results.items()
    }
    return TaskItems(items, known, {metric: metric != "brier"})


def arm(name: str, **tasks: TaskItems) -> EvalReport:
    metrics, _ = comparable(tasks)
    items = item_scores(tasks, metrics)
    return EvalReport(
        inputs="", arm=name, test_hash="docs", prompt_hash="", scorer="lm_eval 0", n=len(items), items=tuple(items),
        scores=tuple(aggregate.metric_score(metric, items, 0.95) for metric in metrics.values()),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ the verdict


def test_a_drop_whose_whole_interval_is_below_zero_is_found() -> None:
    base, tuned = (
        arm("base", arc=items_of([1.0] * 90 + [0.0] * 10)),
        arm("tuned", arc=items_of([1.0] * 60 + [0.0] * 40)),
    )
    found = general_check(base, tuned, 0.95)
    (figure,) = found.figures
    assert (figure.judged, figure.difference.wins, figure.difference.losses) == ("worse", 0, 30)
    assert figure.difference.method == "tango and exact mcnemar"
    (finding,) = found.findings
    assert finding.id == "general_ability_fell"
    assert finding.message.startswith("arc acc went from 0.90 to 0.60 by tuning: -0.30 [-0.4")


def test_a_difference_within_its_interval_is_not_decided_and_says_what_would_have_been_found() -> None:
    """57 right of 96 before and 52 after: nobody can tell."""
    base = arm("base", mmlu=items_of([1.0] * 57 + [0.0] * 39))
    tuned = arm("tuned", mmlu=items_of([1.0] * 42 + [0.0] * 15 + [1.0] * 10 + [0.0] * 29))
    (figure,) = general_check(base, tuned, 0.95).figures
    assert figure.judged == "undecided"
    assert figure.detectable == pytest.approx(0.14, abs=0.01)


def test_lower_is_better_where_the_task_says_so() -> None:
    base, tuned = ([0.1 + n / 1000 for n in range(40)], [0.5 + n / 1000 for n in range(40)])
    found = general_check(arm("base", one=items_of(base, "brier")), arm("tuned", one=items_of(tuned, "brier")), 0.95)
    assert found.figures[0].judged == "worse"
    assert found.figures[0].detectable is None


def test_many_tasks_together_do_not_fall_by_chance_alone() -> None:
    """A drop of 7 : 0 is one alone, and none among twenty."""
    before, after = items_of([1.0] * 7 + [1.0, 0.0] * 30), items_of([0.0] * 7 + [1.0, 0.0] * 30)
    same = {f"other_{n}": items_of([1.0, 0.0] * 20) for n in range(19)}
    alone = general_check(arm("base", arc=before), arm("tuned", arc=after), 0.95)
    among = general_check(arm("base", arc=before, **same), arm("tuned", arc=after, **same), 0.95)
    assert (alone.figures[0].judged, among.figures[0].judged) == ("worse", "undecided")
    assert among.each == pytest.approx(1 - 0.05 / 20)


def test_arms_that_were_asked_other_items_are_not_compared() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        general_check(arm("base", arc=items_of([1.0] * 9)), arm("tuned", arc=items_of([1.0] * 8)), 0.95)


# ------------------------------------------------------------------------------------------ what can be compared


def test_what_is_no_mean_over_items_is_left_out_and_named() -> None:
    tasks = {
        "arc": items_of([1.0, 0.0]),
        "glue": items_of([1.0, 0.0], "f1", f1=0.66),
        "wiki": TaskItems(
            [one | {"values": {"ppl": [-9.0, 3]}} for one in items_of([1.0]).items], {"ppl,none": 20.0}, {}
        ),
    }
    metrics, left_out = comparable(tasks)
    assert [metric.name for metric in metrics.values()] == ["arc acc"]
    assert left_out == ["glue f1", "wiki ppl"]


def test_a_filter_is_part_of_the_name_and_a_rate_is_yes_or_no() -> None:
    metrics, _ = comparable(
        {"gsm8k": items_of([1.0, 0.0], "exact_match", "strict"), "s": items_of([0.5, 1.0], "rougeL")}
    )
    assert [(metric.name, metric.kind) for metric in metrics.values()] == [
        ("gsm8k exact_match (strict)", "proportion"),
        ("s rougeL", "mean"),
    ]


# ------------------------------------------------------------------------------------------ the package itself


def measured_run(path: Path) -> RunFolder:
    """A run of the bundled base whose tuned weights are the base's with noise: what it could do before is lost."""
    import torch
    from safetensors.torch import load_file, save_file

    folder, fixed = RunFolder(path), locked(NANO)
    folder.commit(folder.run_record, RunRecord(id=path.name, name="toy", created="now", lathe_version="0"))
    folder.commit(folder.lock_record, fixed)
    for name in ("base-zero", "tuned"):
        report = EvalReport(
            inputs=Run(folder, fixed).hashes[name], arm=name, test_hash="", prompt_hash="", scorer="", n=0, scores=()
        )
        folder.commit(folder.eval_report(name), report)
    shutil.copytree(NANO, folder.adapter)
    weights = load_file(folder.adapter / "model.safetensors")
    generator = torch.Generator().manual_seed(0)
    noisy = {
        name: (one.float() + one.float().std() * torch.randn(one.shape, generator=generator)).to(one.dtype)
        if one.ndim == 2
        else one
        for name, one in weights.items()
    }
    save_file(noisy, folder.adapter / "model.safetensors", {"format": "pt"})
    return folder


def write_task(folder: Path, rows: int = 40) -> Path:
    """A task of lm-eval in a folder, with its rows: the word that was said of a ball is said again. Nothing is fetched."""
    colours = ["red", "blue", "green"]
    folder.mkdir()
    with open(folder / "rows.jsonl", "w") as file:
        for n in range(rows):
            said, *others = colours[n % 3 :] + colours[: n % 3]
            choices = [*others[: n % 2], said, *others[n % 2 :]]
            row = {"text": f"The ball {n} is {said}. The ball {n} is", "choices": choices, "answer": n % 2}
            file.write(json.dumps(row) + "\n")
    task: dict[str, Any] = {
        "task": "colours",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_target": "answer",
        "doc_to_choice": "choices",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "colours.yaml").write_text(json.dumps(task))
    return folder


@WITH_PACKAGE
@pytest.mark.usefixtures("one_thread")
def test_a_base_and_its_damaged_copy_are_asked_a_task_of_ones_own_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    run, folder = measured_run(tmp_path / "run"), write_task(tmp_path / "tasks")
    words = ["evaluate", str(run.path), "--probe", "general", "--tasks", "colours", "--task-folder", str(folder)]
    assert main(words) == 1, "what fell is a no"
    said = capfd.readouterr().out
    assert "colours acc went from 1.00 to " in said
    found = run.load(run.general, GeneralCheck)
    (figure,) = found.figures
    assert (figure.base.value, figure.judged, found.n) == (1.0, "worse", 40)
    assert figure.difference.high is not None
    assert figure.difference.high < 0

    monkeypatch.setattr("lathe.engine.harness.measure", None)
    assert main([*words, "--json"]) == 1, "nothing is asked twice"
    assert json.loads(capfd.readouterr().out)["figures"][0]["judged"] == "worse"
    compared = lathe.compare([f"{run.path}:base-zero-general", f"{run.path}:tuned-general"], metric="colours acc")
    assert compared.pairs[0].difference.difference == figure.difference.difference


@WITH_PACKAGE
def test_a_task_that_there_is_not_is_said_in_the_packages_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = measured_run(tmp_path / "run")
    assert main(["evaluate", str(run.path), "--probe", "general", "--tasks", "no_such_task"]) == 2
    said = capfd.readouterr().err
    assert "lm_eval stopped at no_such_task" in said
    assert "lm-eval ls tasks" in said
    assert not run.general.exists()


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = measured_run(tmp_path / "run")
    monkeypatch.setattr("lathe.engine.harness.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="needs the package lm_eval") as missing:
        Run(run, locked(NANO)).general(["arc_easy"])
    assert missing.value.hint == "Install it: pip install 'lathe-slm[eval]'"


def test_tasks_have_to_be_named_and_models_measured(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = measured_run(tmp_path / "run")
    assert main(["evaluate", str(run.path), "--probe", "general"]) == 2
    assert "--probe general needs tasks to ask" in capfd.readouterr().err
    run.eval_report("tuned").unlink()
    assert main(["evaluate", str(run.path), "--probe", "general", "--tasks", "arc_easy"]) == 2
    assert "has not measured tuned" in capfd.readouterr().err

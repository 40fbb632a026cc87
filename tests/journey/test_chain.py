"""The whole chain as a person runs it: real processes, a small generated task, the bundled base."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lathe.records import Bundle

RECIPE = """\
name: small
base: lathe:nano
task: json_extraction
data: {source: lathe:edge_json, rows: 60, split: {validation: 0.15, test: 0.25}}
method: {kind: lora, rank: 4}
train: {epochs: 1, examples_per_step: 8, token_budget: 2048, threads: 1, checkpoint_every: 2}
evaluate: {few_shot: 1, max_new_tokens: 24}
gates:
  - {metric: json_exact, at_least: 0.30, judge: lower_bound}
expect: {json_exact: [0.0, 0.5]}
ship: [adapter, merged]
"""


def lathe(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lathe.cli.main", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """A folder with the recipe, the folder of its finished run, and what `lathe run --json` said."""
    folder = tmp_path_factory.mktemp("journey")
    (folder / "small.yaml").write_text(RECIPE)
    done = lathe("run", "small.yaml", "--json", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    said = json.loads(done.stdout)
    runs = [path for path in (folder / "runs").iterdir() if path.is_dir()]
    assert len(runs) == 1
    return folder, runs[0], said


def test_a_run_leaves_every_record_of_the_design(finished: tuple[Path, Path, dict]) -> None:
    _, run, _ = finished
    for name in (
        "recipe.yaml", "recipe.lock.json", "run.json", "journal.jsonl", "doctor.json", "plan.json",
        "data/train.jsonl", "data/validation.jsonl", "data/test.jsonl", "data/manifest.json",
        "train/adapter/adapter_config.json", "train/adapter/adapter_model.safetensors", "train/metrics.jsonl", "train/result.json",
        "eval/base-zero/predictions.jsonl", "eval/base-few/report.json", "eval/rule/report.json", "eval/tuned/report.json",
        "decision.json", "MODEL_CARD.md", "report.html",
    ):  # fmt: skip
        assert (run / name).is_file(), name


def test_the_verdict_line_and_the_exit_code_agree(finished: tuple[Path, Path, dict]) -> None:
    _, run, _ = finished
    decision = json.loads((run / "decision.json").read_text())
    assert decision["line"].split()[0] == decision["verdict"].upper()
    assert "json_exact" in decision["line"]


def test_the_plan_knew_the_steps_and_tokens_that_training_took(finished: tuple[Path, Path, dict]) -> None:
    _, run, _ = finished
    plan = json.loads((run / "plan.json").read_text())
    result = json.loads((run / "train" / "result.json").read_text())
    assert plan["schedule"]["num_steps"] == result["num_steps"]
    assert plan["schedule"]["num_tokens"] == result["num_tokens"]
    assert plan["schedule"]["num_supervised"] == result["num_supervised"]
    assert plan["parameters"]["trainable"] == result["trainable_parameters"]


def test_all_arms_are_measured_on_the_same_rows_by_the_same_scorer(finished: tuple[Path, Path, dict]) -> None:
    _, run, _ = finished
    reports = [json.loads(path.read_text()) for path in run.glob("eval/*/report.json")]
    assert len(reports) == 4
    assert len({report["test_hash"] for report in reports}) == 1
    assert len({report["scorer"] for report in reports}) == 1
    for report in reports:
        assert report["n"] == len(report["items"])
        for values in report["slices"].values():
            per_metric = [scores[0]["n"] + scores[0]["not_measured"] for scores in values.values()]
            assert sum(per_metric) == report["n"]


def test_a_repeated_run_skips_all_that_is_done(finished: tuple[Path, Path, dict]) -> None:
    folder, run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.json")}
    again = lathe("run", "small.yaml", folder=folder)
    assert again.returncode in (0, 1), again.stderr
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*.json")}
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed <= {"recipe.lock.json", ".progress.json"}


def test_a_changed_gate_decides_anew_without_training_again(finished: tuple[Path, Path, dict]) -> None:
    folder, run, _ = finished
    trained = (run / "train" / "result.json").stat().st_mtime_ns
    done = lathe("run", "small.yaml", "--set", "expect.json_exact=[0.9,1.0]", "--json", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    decision = json.loads((run / "decision.json").read_text())
    assert decision["forecasts"]["json_exact"]["inside"] is False
    assert (run / "train" / "result.json").stat().st_mtime_ns == trained


def test_a_second_process_on_the_same_run_is_turned_away(finished: tuple[Path, Path, dict]) -> None:
    from lathe.runs import RunFolder

    folder, run, _ = finished
    with RunFolder(run).lock():
        done = lathe("run", str(run), folder=folder)
    assert done.returncode == 73
    assert "in use by process" in done.stderr


BAD = {
    "a missing data file": ("data: {source: nowhere.jsonl}", 2, "nowhere.jsonl"),
    "an unknown key": ("data: {source: lathe:edge_json}\nbatch_size: 4", 2, "batch_size"),
    "an unknown task": ("data: {source: lathe:edge_json}\ntask: json_extracton", 2, "json_extraction"),
    "an unknown corpus": ("data: {source: lathe:edge_jsn}", 2, "edge_json"),
    "rows without the task's fields": ("data: {source: rows.jsonl}", 2, "rows.jsonl"),
    "an empty data set": ("data: {source: empty.jsonl}", 2, "empty.jsonl"),
    "a row that is no object": ("data: {source: list.jsonl}", 2, "list.jsonl:2"),
    "a base with a pickle in it": ("base: pickled\ndata: {source: lathe:edge_json, rows: 40}", 76, "pickle"),
    "a base with remote code": ("base: remote\ndata: {source: lathe:edge_json, rows: 40}", 76, "code"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_message_and_nothing_half_written(case: str, tmp_path: Path) -> None:
    lines, code, said = BAD[case]
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "list.jsonl").write_text('{"input": "x", "target": {}}\n[1]\n')
    nano = Path(__file__).parents[2] / "src" / "lathe" / "assets" / "nano"
    for name, content in (("pickled", {"pytorch_model.bin": "\x80\x04."}), ("remote", {"modeling_x.py": "1"})):
        (tmp_path / name).mkdir()
        for file in nano.iterdir():
            (tmp_path / name / file.name).symlink_to(file)
        for file_name, text in content.items():
            (tmp_path / name / file_name).write_bytes(text.encode("latin-1"))
    keys = {line.split(":")[0] for line in lines.split("\n")}
    rest = [
        f"{key}: {value}" for key, value in {"base": "lathe:nano", "task": "json_extraction"}.items() if key not in keys
    ]
    (tmp_path / "r.yaml").write_text("\n".join(["name: bad", *rest, lines]) + "\n")
    done = lathe("run", "r.yaml", folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    for records in tmp_path.glob("runs/*/*/*"):
        assert not records.name.endswith(".tmp")
    assert not list(tmp_path.glob("runs/*/data/manifest.json"))


def test_ship_says_no_where_nothing_is_shipped(finished: tuple[Path, Path, dict]) -> None:
    folder, run, _ = finished
    done = lathe("ship", str(run), folder=folder)
    assert (done.returncode, (run / "bundle").exists()) == (1, False)
    assert "Nothing is shipped after abort" in done.stdout


def test_a_smoke_run_ships_whatever_its_verdict_so_that_every_part_was_tried(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = lathe("run", "small.yaml", "--smoke", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "abort"
    assert [one["kind"] for one in said["bundle"]["shipped"]] == ["adapter", "merged"]


def test_a_changed_recipe_is_not_done_and_ships_nothing_of_the_one_before(finished: tuple[Path, Path, dict]) -> None:
    folder, run, _ = finished

    def state() -> dict:
        return dict(json.loads(lathe("status", str(run), "--json", folder=folder).stdout))

    assert (state()["state"], state()["verdict"]) == ("done", "abort")
    (run / "bundle" / "adapter").mkdir(parents=True)
    (run / "bundle.json").write_text(Bundle(inputs="of another recipe", shipped=()).to_json())
    assert lathe("plan", "small.yaml", "--set", "seed=1", folder=folder).returncode == 0
    assert (state()["state"], state()["verdict"]) == ("stopped", None)
    done = lathe("run", "small.yaml", "--json", folder=folder)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["bundle"] is None
    assert not (run / "bundle").exists()
    assert not (run / "bundle.json").exists()
    assert state()["verdict"] == "abort"
    assert lathe("verify", str(run), folder=folder).returncode == 0


def test_kept_answers_are_scored_again_without_a_model_and_decided_again(finished: tuple[Path, Path, dict]) -> None:
    """As after a newer scorer: what the old one said is gone, and all else of the finished run is as it was."""
    folder, run, _ = finished
    paths = [*sorted(run.glob("eval/*/report*.json")), run / "decision.json"]
    before = [json.loads(path.read_text()) | {"seconds": 0} for path in paths]
    for path in paths[:-1]:
        report = json.loads(path.read_text())
        path.write_text(json.dumps(report | {"scorer": "json_extraction@0", "scores": [], "items": []}))
    done = lathe("evaluate", str(run), "--regrade", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["arms"]) == {"base-zero", "base-few", "rule", "tuned"}
    assert [json.loads(path.read_text()) | {"seconds": 0} for path in paths] == before
    assert lathe("verify", str(run), folder=folder).returncode == 0
    assert (
        "--regrade asks nothing" in lathe("evaluate", str(run), "--regrade", "--probe", "labels", folder=folder).stderr
    )

"""What `ls`, `status` and `run` say of runs: whole ones, damaged ones, and such as only try every part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.runs import RunFolder


@pytest.fixture
def prepared(lathe, tmp_path: Path) -> RunFolder:
    """A smoke run with its rows, no more."""
    done = lathe("prepare", "demo", "--smoke", "--json")
    return RunFolder(tmp_path / json.loads(done.stdout)["run"])


def test_every_verb_names_a_run_by_its_folder_and_says_whether_it_is_a_smoke_run(lathe, prepared: RunFolder) -> None:
    """A verdict over three rows that is told like any other would be taken for one."""
    again, now = (json.loads(lathe(*words, "--json").stdout) for words in (("prepare", "demo", "--smoke"), ("status",)))
    (listed,) = json.loads(lathe("ls", "--json").stdout)
    assert {told["run"] for told in (again, now, listed)} == {str(Path("runs") / prepared.path.name)}
    assert [told["smoke"] for told in (again, now, listed)] == [True] * 3
    assert "stopped · smoke run" in lathe("status").stdout
    assert "smoke run" in lathe("ls").stdout


def test_damaged_records_of_one_run_hide_no_other(lathe, prepared: RunFolder) -> None:
    broken = prepared.path.with_name("2026-11-20T081500-broken-3f9c1a")
    broken.mkdir()
    (broken / "run.json").write_text("null")
    (broken / ".progress.json").write_text("null")
    (broken / "decision.json").mkdir()
    (broken / "digests.json").write_text("{}")
    assert len(json.loads(lathe("ls", "--json").stdout)) == 2
    assert json.loads(lathe("prepare", "demo", "--smoke", "--json").stdout)["run"].endswith(prepared.path.name)


def test_a_run_whose_record_is_gone_does_not_go_on_in_another_folder(lathe, prepared: RunFolder) -> None:
    prepared.run_record.unlink()
    done = lathe("prepare", str(prepared.path))
    assert done.returncode == 2
    assert "it has no run.json" in done.stderr
    assert "bring run.json back" in done.stderr


def test_records_are_read_as_they_were_written_whatever_the_locale(lathe, tmp_path: Path) -> None:
    """Where texts are not UTF-8 by default, a run would be read as damaged and done again, its seal taken away."""
    rows = [{"text": f"bitte Nummer {n}", "label": ("öffnen", "schließen")[n % 2]} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.yaml").write_text("name: r\nbase: lathe:nano\ntask: intent\ndata: {source: rows.jsonl}\n")
    assert lathe("prepare", "r.yaml").returncode == 0
    elsewhere = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    assert "done before" in lathe("prepare", "r.yaml", **elsewhere).stderr

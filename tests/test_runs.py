"""Locks name their holder, journals and looks only grow."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lathe import runs
from lathe.errors import InputError, RunInUse
from lathe.pipeline import Run
from lathe.records import SideCount
from lathe.runs import RunFolder, all_runs, count_look, new_folder, newest


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom lathe.runs import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).lock():\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    run = RunFolder(tmp_path)
    assert run.in_use()
    with pytest.raises(RunInUse, match=f"process {holder.pid}"), run.lock():
        pass
    holder.kill()
    holder.communicate()
    with run.lock():
        pass
    assert not run.in_use()


def test_a_record_is_done_only_for_its_own_inputs(tmp_path: Path) -> None:
    from lathe.records import Bundle

    run = RunFolder(tmp_path)
    assert run.done(run.bundle_record, Bundle, "a") is None
    run.commit(run.bundle_record, Bundle(inputs="a", shipped=()))
    assert run.done(run.bundle_record, Bundle, "a") is not None
    assert run.done(run.bundle_record, Bundle, "b") is None


def test_a_damaged_record_says_in_one_line_what_is_wrong_with_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for text, said in (("{", "Invalid JSON"), ('{"rows": "many"}', "rows")):
        run.plan.write_text(text)
        with pytest.raises(InputError, match=f"plan.json is damaged or of another kind: .*{said}") as caught:
            run.load(run.plan, SideCount)
        assert "\n" not in str(caught.value)
        assert "https://" not in str(caught.value)


def test_a_missing_record_says_how_to_get_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(InputError) as caught:
        run.load(run.plan, SideCount)
    assert "lathe run" in str(caught.value.hint)


def test_the_command_that_continues_a_run_can_be_typed_whatever_its_folder_is_called(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "it's mine")
    assert shlex.split(run.again) == ["lathe", "run", str(run.path)]


def test_the_newest_run_of_a_name_is_found(tmp_path: Path) -> None:
    from lathe.records import RunRecord

    for name in ("one", "two", "one"):
        run = new_folder(tmp_path, name, "text")
        record = RunRecord(id=run.path.name, name=name, created="now", lathe_version="0")
        run.commit(run.run_record, record)
    assert len(all_runs(tmp_path)) == 3
    assert newest(tmp_path, "two") is not None
    assert newest(tmp_path, "three") is None
    assert newest(tmp_path, "two", smoke=True) is None


def test_a_run_that_was_renamed_or_copied_to_keep_it_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    """Its name sorts behind those that begin with a year; `lathe run RECIPE` would go on in it and change it."""
    from lathe.records import RunRecord

    def made(created: str) -> RunFolder:
        run = RunFolder(tmp_path / f"{created}-one-3f9c1a")
        run.path.mkdir()
        run.commit(run.run_record, RunRecord(id=run.path.name, name="one", created=created, lathe_version="0"))
        return run

    made("2026-11-20").path.rename(tmp_path / "the good one")
    last = made("2026-11-21")
    shutil.copytree(last.path, tmp_path / f"{last.path.name}-backup")
    assert [run.path.name for run in all_runs(tmp_path)] == [last.path.name, f"{last.path.name}-backup", "the good one"]
    assert newest(tmp_path, "one").path == last.path  # type: ignore[union-attr]
    last.run_record.write_text("{")
    assert newest(tmp_path, "one").path.name == f"{last.path.name}-backup"  # type: ignore[union-attr]


def test_a_run_without_its_fixed_recipe_names_the_way_out(tmp_path: Path) -> None:
    """The same command would say the same again."""
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"it has no recipe\.lock\.json") as refused:
        Run.open(tmp_path)
    assert refused.value.hint == "Bring the file back from a copy, or give the recipe's own file: lathe run RECIPE"


def test_looks_count_different_tuned_models_on_one_test_set(tmp_path: Path) -> None:
    assert count_look(tmp_path, "test", "a") == 1
    assert count_look(tmp_path, "test", "b") == 2
    assert count_look(tmp_path, "test", "a") == 1, "measuring the same model again is no new look"
    assert count_look(tmp_path, "another test", "c") == 1


def test_two_runs_that_look_at_once_are_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run's note comes in between reading and writing."""
    ours = runs.append_line

    def behind_the_other(path: Path, line: str) -> None:
        ours(path, '{"test": "test", "tuned": "other"}')
        ours(path, line)

    monkeypatch.setattr(runs, "append_line", behind_the_other)
    assert count_look(tmp_path, "test", "a") == 2


def test_a_damaged_line_among_the_looks_hides_no_other(tmp_path: Path) -> None:
    count_look(tmp_path, "test", "a")
    with (tmp_path / "looks.jsonl").open("ab") as file:
        file.write(b'[1]\n3\n"test"\n{"test"\n\xff\n{"test": "te')
    assert count_look(tmp_path, "test", "b") == 2


def test_the_journal_only_grows(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.journal("one", number=1)
    first = run.journal_file.read_text()
    run.journal("two")
    assert run.journal_file.read_text().startswith(first)

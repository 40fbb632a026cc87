"""The floors of the design, held by parsing every import, those inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "lathe"

FLOORS = {
    "__main__": 8,
    "cli": 7, "__init__": 7,
    "pipeline": 6, "inspect_model": 6, "pretraining": 6,
    "resolve": 5, "doctor": 5, "data": 5, "plan": 5, "train": 5, "evaluate": 5, "decide": 5, "ship": 5, "report": 5,
    "status": 5, "publish": 5, "serve": 5,
    "tasks": 4, "corpora": 4, "trainers": 4, "runtimes": 4, "exports": 4,
    "engine": 3, "ask": 3,
    "contracts": 2, "plugins": 2, "storage": 2, "locks": 2, "runs": 2, "verify": 2, "files": 2, "text": 2,
    "schedule": 2, "shell": 2, "model_folder": 2, "hub": 2, "made_rows": 2, "workers": 2,
    "endpoint": 2, "gpus": 2, "paid_answers": 2, "sandbox": 2, "invariants": 2, "conformity": 2,
    "records": 1, "stats": 1, "safe_text": 1, "public_sources": 1, "tfidf": 1, "no_answer": 1, "worker": 1, "garbage": 1,
    "wordless": 1,
    "errors": 0, "version": 0, "processes": 0, "control_group": 0,
}  # fmt: skip

LEAVES = {"tasks", "corpora", "trainers", "runtimes", "exports"}
SIDE_BY_SIDE = {frozenset(pair) for pair in (("text", "schedule"), ("text", "shell"), ("schedule", "shell"))}
HEAVY = {"torch", "transformers", "peft", "trl", "accelerate", "datasets", "bitsandbytes"}
MAY_BE_HEAVY = {"engine", "trainers", "runtimes", "exports"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def texts_in_the_locales_encoding(path: Path) -> Iterator[int]:
    """Lines of calls that read or write a file as text and do not name UTF-8."""
    for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        is_text = (isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text")) or (
            isinstance(call.func, ast.Name) and name == "open" and not _binary(call)
        )
        if is_text and "encoding" not in {word.arg for word in call.keywords}:
            yield call.lineno


def _binary(call: ast.Call) -> bool:
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_read_in_the_encoding_of_a_locale(path: Path) -> None:
    """A run that was made where texts are UTF-8 would be read as damaged, or as other letters, where they are Latin-1."""
    assert not list(texts_in_the_locales_encoding(path))


def room(path: Path) -> str:
    """The top-level folder or module below lathe/ that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports; `from lathe import x` counts as lathe.x."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute in Lathe"
            if node.module == "lathe":
                yield from (f"lathe.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def rooms_used(path: Path) -> Iterator[str]:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "lathe" and len(parts) > 1 and not parts[1].startswith("__"):
            yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors_or_its_own_folder(path: Path) -> None:
    here = room(path)
    assert here in FLOORS, f"{here} has no floor: give it one in the design and here"
    for there in rooms_used(path):
        if there == here:
            continue
        assert there in FLOORS, f"{path}: imports lathe.{there}, which is on no floor"
        on_own_floor = FLOORS[here] == FLOORS[there] == 2 and frozenset((here, there)) not in SIDE_BY_SIDE
        assert FLOORS[there] < FLOORS[here] or on_own_floor, (
            f"{path}: floor {FLOORS[here]} imports {there} of floor {FLOORS[there]}"
        )
        assert there not in LEAVES, f"{path}: leaves are found through plugins, not imported by name"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_and_its_kin_are_imported_only_by_the_engine_and_the_leaves_above_it(path: Path) -> None:
    if room(path) in MAY_BE_HEAVY:
        return
    heavy = {name.split(".")[0] for name in imports(path)} & HEAVY
    assert not heavy, f"{path}: imports {heavy}"


PURE = (
    "stats",
    "tfidf.py",
    "no_answer.py",
    "wordless.py",
    "schedule",
    "tasks",
    "corpora",
    "plan/parameters.py",
    "plan/memory.py",
    "evaluate/aggregate.py",
    "data/preparing/split.py",
    "data/duplicates/overlaps.py",
    "data/duplicates/near.py",
    "data/preparing/judge.py",
    *(f"data/teaching/{name}.py" for name in ("asks", "expected", "findings", "gate", "lesson", "reading", "row_form")),
    "paid_answers/ask.py",
    "paid_answers/cost.py",
)
WORLD = {"os", "pathlib", "time", "datetime", "subprocess", "socket", "shutil", "tempfile", "secrets", "uuid"}
DATES = {"corpora"}  # generated records hold dates; they are made from the seed, never from the clock


@pytest.mark.parametrize("place", PURE)
def test_pure_modules_take_no_path_clock_or_environment(place: str) -> None:
    root = PACKAGE / place
    files = [root] if root.suffix else sorted(root.rglob("*.py"))
    assert files
    for path in files:
        banned = WORLD - ({"datetime"} if room(path) in DATES else set())
        used = {name.split(".")[0] for name in imports(path)} & banned
        assert not used, f"{path}: imports {used}"


def test_no_module_splits_text_with_splitlines() -> None:
    """str.splitlines also splits at U+2028 and others, so line numbers and rows would differ from the file's."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "splitlines"), (
                f"{path}:{node.lineno}: splitlines"
            )

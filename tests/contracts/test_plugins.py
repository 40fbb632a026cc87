"""Every leaf is found by its file name, is what its kind says, and stays pure where it must."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lathe import contracts, plugins
from lathe.errors import InputError

PACKAGE = Path(plugins.__file__).parent
CLASSES = {
    "tasks": contracts.Task,
    "corpora": contracts.Corpus,
    "trainers": contracts.Trainer,
    "runtimes": contracts.Runtime,
    "exports": contracts.Exporter,
}
LEAVES = [(kind, name) for kind in CLASSES for name in plugins.names(kind)]
PURE = sorted(path for kind in ("tasks", "corpora") for path in (PACKAGE / kind).rglob("*.py"))
IMPURE = {
    "os",
    "pathlib",
    "time",
    "datetime.now",
    "io",
    "socket",
    "subprocess",
    "secrets",
    "uuid",
    "tempfile",
    "shutil",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_each_kind_lists_the_files_of_its_folder(kind: plugins.Kind) -> None:
    files = {path.stem for path in (PACKAGE / kind).glob("*.py") if not path.stem.startswith("_")}
    assert files <= set(plugins.names(kind))


@pytest.mark.parametrize(("kind", "name"), LEAVES)
def test_a_leaf_is_an_instance_of_its_kind(kind: plugins.Kind, name: str) -> None:
    assert isinstance(plugins.load(kind, name), CLASSES[kind])


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        plugins.load("tasks", "json_extracton")
    assert "json_extraction" in (caught.value.hint or "")


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tasks_and_corpora_import_nothing_that_touches_the_world(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & IMPURE


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_chance_comes_from_seeded_generators_only(path: Path) -> None:
    """`random.choice` and its kin draw from a generator that nobody seeded; only the class Random may be used."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            assert {alias.name for alias in node.names} == {"Random"}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Random":
            assert node.args, "Random() without a seed"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("now", "today", "utcnow")
        ):
            raise AssertionError("reads the clock")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open"

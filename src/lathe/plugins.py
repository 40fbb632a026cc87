"""Finding leaves: the file name is the name.

names("tasks")                   -> ("json_extraction",)
load("tasks", "json_extraction") -> the TASK instance of lathe/tasks/json_extraction.py
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, overload

from lathe.errors import InputError, Unavailable

if TYPE_CHECKING:
    from lathe.contracts import Corpus, Exporter, Runtime, Task, Trainer

Kind = Literal["tasks", "corpora", "trainers", "runtimes", "exports"]

ATTRIBUTE: dict[Kind, str] = {
    "tasks": "TASK",
    "corpora": "CORPUS",
    "trainers": "TRAINER",
    "runtimes": "RUNTIME",
    "exports": "EXPORTER",
}


def names(kind: Kind) -> tuple[str, ...]:
    """All leaves of a kind, ours by file name and others' by entry point, sorted. Imports none of them."""
    package = importlib.import_module(f"lathe.{kind}")
    ours = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    theirs = {entry.name for entry in entry_points(group=f"lathe.{kind}")}
    return tuple(sorted(ours | theirs))


@overload
def load(kind: Literal["tasks"], name: str) -> Task: ...
@overload
def load(kind: Literal["corpora"], name: str) -> Corpus: ...
@overload
def load(kind: Literal["trainers"], name: str) -> Trainer: ...
@overload
def load(kind: Literal["runtimes"], name: str) -> Runtime: ...
@overload
def load(kind: Literal["exports"], name: str) -> Exporter: ...
def load(kind: Kind, name: str) -> Any:
    """The leaf of that name. Raises InputError with the nearest name, Unavailable where its package is missing."""
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
        raise InputError(f"there is no {kind} named {name!r}", hint=hint)
    for entry in entry_points(group=f"lathe.{kind}"):
        if entry.name == name:
            return entry.load()
    try:
        module = importlib.import_module(f"lathe.{kind}.{name}")
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("lathe"):
            raise
        raise Unavailable(
            f"{kind} {name} needs the package {missing.name}, which is not installed",
            hint="Install it with: pip install 'lathe-slm[train]'",
        ) from missing
    return getattr(module, ATTRIBUTE[kind])

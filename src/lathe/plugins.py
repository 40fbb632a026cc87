"""Finding leaves: the file name is the name; of other packages, the name of their entry point.

names("tasks")                   -> ("json_extraction",)
load("tasks", "json_extraction") -> the TASK instance of lathe/tasks/json_extraction.py

What another package registers under `lathe.tasks`, `lathe.corpora` and so on is held to its contract when it is loaded. Where it
fails, the error says whose it is: it is no fault of Lathe's, and none of who only has it installed.
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from lathe import contracts
from lathe.errors import BrokenPlugin, InputError, Unavailable, did_you_mean

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
CONTRACT: dict[Kind, type] = {
    "tasks": contracts.Task,
    "corpora": contracts.Corpus,
    "trainers": contracts.Trainer,
    "runtimes": contracts.Runtime,
    "exports": contracts.Exporter,
}
WAY_OUT = "Mend it, or uninstall the package. The contracts stand in lathe/contracts.py."
Wanted = TypeVar("Wanted")


def names(kind: Kind) -> tuple[str, ...]:
    """All leaves of a kind, ours by file name and others' by entry point, sorted. Imports none of them."""
    return tuple(sorted(_ours(kind) | {entry.name for entry in _entries(kind)}))


def _ours(kind: Kind) -> set[str]:
    package = importlib.import_module(f"lathe.{kind}")
    return {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}


def _entries(kind: Kind) -> list[EntryPoint]:
    return list(entry_points(group=f"lathe.{kind}"))


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
    """The leaf of that name.

    Raises InputError with the nearest name, Unavailable where its package is missing, and BrokenPlugin where another package's does
    not keep its contract, or several have the name: which of them is meant, nobody said.
    """
    known = names(kind)
    if name not in known:
        raise InputError(f"there is no {kind} named {name!r}", hint=did_you_mean(name, known))
    theirs = [entry for entry in _entries(kind) if entry.name == name]
    owners = ["Lathe itself"] * (name in _ours(kind)) + [_package(entry) for entry in theirs]
    if len(owners) > 1:
        raise BrokenPlugin(
            f"{len(owners)} {kind} have the name {name!r}: of {' and '.join(owners)}",
            hint="Uninstall all but one of these packages, or give the entry point another name.",
        )
    if theirs:
        return _of_another(kind, theirs[0])
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


# ------------------------------------------------------------------------------------------ other packages


def _of_another(kind: Kind, entry: EntryPoint) -> Any:
    """The leaf of an entry point. Raises BrokenPlugin."""
    try:
        leaf = entry.load()
    except (Exception, SystemExit) as error:
        raise BrokenPlugin(f"{_whose(kind, entry)} cannot be loaded: {_said(error)}", hint=WAY_OUT) from error
    if problem := _problem(kind, leaf):
        raise BrokenPlugin(f"{_whose(kind, entry)} cannot be used: {entry.value} {problem}", hint=WAY_OUT)
    return leaf


def _problem(kind: Kind, leaf: Any) -> str:
    """What a leaf lacks of its contract; empty where it lacks nothing that can be seen without calling it."""
    contract = CONTRACT[kind]
    if isinstance(leaf, type):
        return f"is a class, expected an instance: {ATTRIBUTE[kind]} = {leaf.__name__}()"
    if not isinstance(leaf, contract):
        return f"is of the type {type(leaf).__name__}, expected one below lathe.contracts.{contract.__name__}"
    declared = contract.__annotations__
    if missing := [name for name in declared if name not in dir(leaf)]:
        return f"does not say {', '.join(missing)}"
    listed = [name for name, type_ in declared.items() if "tuple[" in type_]
    if wrong := [name for name in listed if not isinstance(getattr(leaf, name), tuple | list)]:
        return f"has a {type(getattr(leaf, wrong[0])).__name__} as {wrong[0]}, expected a tuple"
    return _problem_of_metrics(leaf) if isinstance(leaf, contracts.Task) else ""


def _problem_of_metrics(task: Task) -> str:
    if wrong := [one for one in task.metrics if not isinstance(one, contracts.Metric)]:
        return f"has {wrong[0]!r:.60} among its metrics, expected a Metric"
    known = [one.name for one in task.metrics]
    if len(set(known)) < len(known) or task.primary not in known:
        return f"has the primary metric {task.primary!r}, expected one of its metrics, each by its own name: {', '.join(known)}"
    kinds = get_args(contracts.MetricKind)
    odd = next((one for one in task.metrics if one.kind not in kinds), None)
    return f"has a metric of the kind {odd.kind!r}, expected one of {', '.join(kinds)}" if odd else ""


def held(leaf: object, value: object, wanted: type[Wanted]) -> Wanted:
    """What a leaf gave back, where it is what its contract says. Raises BrokenPlugin."""
    if not isinstance(value, wanted):
        raise BrokenPlugin(f"{who(leaf)} gave {value!r:.60}, expected {wanted.__name__}", hint=WAY_OUT)
    return value


def who(leaf: object) -> str:
    """A leaf as messages name it: by its class and the module of that."""
    return f"{type(leaf).__name__} of {type(leaf).__module__}"


def broken(error: BaseException) -> BrokenPlugin | None:
    """An error as that of the leaf of another package whose code it came through; None where it came through none."""
    if isinstance(error, BrokenPlugin):
        return error
    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, line in reversed(frames):
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for kind in ATTRIBUTE:
            for entry in _entries(kind):
                if root == entry.module.partition(".")[0] != "lathe":
                    place = f"{frame.f_code.co_filename}:{line}"
                    return BrokenPlugin(f"{_whose(kind, entry)} failed at {place}: {_said(error)}", hint=WAY_OUT)
    return None


def _whose(kind: Kind, entry: EntryPoint) -> str:
    return f"lathe.{kind} {entry.name!r} of {_package(entry)}"


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name} {entry.dist.version}" if entry.dist else f"the module {entry.module}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0].removesuffix(": ")

"""Every way Lathe stops before its work is done.

    LatheError                    70  our bug unless a subclass says otherwise
    ├── InputError                 2  something a person wrote or passed is wrong
    │   ├── RecipeError            2  one or more faults in a recipe, all at once
    │   ├── DataError              2  a row or file of a data set, with file and line
    │   └── TaskMismatch           2  the rows do not fit the task that the recipe names
    ├── Diverged                   1  NaN or infinity in loss or gradient
    ├── OverBudget                 1  the next request could cost more than a person allowed
    ├── Unavailable               69  a Hub, endpoint or package that is needed is not there
    │   └── BrokenPlugin          69  a leaf of another package cannot be loaded, or does not keep its contract
    ├── RunInUse                  73  another process holds the run folder
    ├── StorageError              74  disk full, read-only, I/O error, not allowed
    ├── Interrupted               75  stopped by a signal at a safe point; the same command continues
    └── Refused                   76  executable or hostile content, never opened

A plan that does not fit, a gate that does not hold and an answer that could not be scored are *records*, not errors.
To add an error: choose the parent by the exit code that a script should see, say what was got and what was expected in
the message, and what to do next in the hint.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every verb, named once and stable."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNAVAILABLE = 69
    BUG = 70
    IN_USE = 73
    STORAGE = 74
    INTERRUPTED = 75
    REFUSED = 76
    SIGINT = 130
    SIGTERM = 143


class LatheError(Exception):
    """Base of all errors that Lathe raises on purpose.

    message: what was got and what was expected, one sentence. hint: what to do next, or None.
    """

    exit_code: Exit = Exit.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(LatheError):
    """Something a person wrote or passed cannot be used."""

    exit_code = Exit.USAGE


@dataclass(frozen=True)
class Fault:
    """One fault in a recipe: where it stands, what was got, what was expected."""

    key: str
    message: str
    line: int | None = None
    hint: str | None = None

    def text(self, file: str) -> str:
        """`recipe.yaml:7: train.epochs: got -1, expected a number above 0`"""
        place = f"{file}:{self.line}" if self.line is not None else file
        said = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        return f"{said}. {self.hint}" if self.hint else said


class RecipeError(InputError):
    """All faults of one recipe, so that a person mends them in one go."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        noun = "fault" if len(faults) == 1 else "faults"
        lines = "\n".join(f"  {fault.text(file)}" for fault in faults)
        super().__init__(f"{len(faults)} {noun} in {file}\n{lines}")
        self.file = file
        self.faults = tuple(faults)


class DataError(InputError):
    """A file or row of a data set cannot be used; says file, line and column where they are known."""

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.file, self.line, self.column = file, line, column


class TaskMismatch(InputError):
    """A row does not have what the task needs; raised by tasks, placed by the stage that knows file and line."""


class Diverged(LatheError):
    """Loss or gradient became NaN or infinite; the weights before the step are kept."""

    exit_code = Exit.NO


class OverBudget(LatheError):
    """A paid request was not sent, since it could cost more than is left; what was paid for is kept."""

    exit_code = Exit.NO


class Unavailable(LatheError):
    """A Hub, an endpoint or a package that is needed is not there; the hint names the command that brings it."""

    exit_code = Exit.UNAVAILABLE


class BrokenPlugin(Unavailable):
    """A leaf that another package registered cannot be loaded, fails, or gives what its contract does not allow."""


class RunInUse(LatheError):
    """Another process works in the run folder."""

    exit_code = Exit.IN_USE


class StorageError(LatheError):
    """The disk is full, read-only or failing; nothing half-written stands under a final name."""

    exit_code = Exit.STORAGE


class Interrupted(LatheError):
    """Stopped before its end, by a signal at a safe point or for want of a helper; the same command continues."""

    exit_code = Exit.INTERRUPTED


def helper_gone(work: str, *, kept: str) -> Interrupted:
    """Of a process beside this one that ended without a word; one that fails says so. kept: what the same command goes on from."""
    return Interrupted(
        f"a helper process of the {work} is gone: somebody ended it, or the system did when memory ran out",
        hint=f"The same command continues from {kept}. Where memory is short: train.processes: 1.",
    )


class Refused(LatheError):
    """Content that could execute code (pickle, remote code, hostile template) was refused unopened."""

    exit_code = Exit.REFUSED


def did_you_mean(name: str, known: Iterable[str], written: str = "{}") -> str:
    """The hint on a name that means nothing: the nearest known one, or all of them. written: how one is typed, `lathe:{}` say."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean {written.format(near[0])}?"
    return f"There are: {', '.join(written.format(one) for one in names) or 'none'}."


def says_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, in any of the ways that Python, the system and torch have to say it."""
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said))
    )

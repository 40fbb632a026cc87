"""The verbs `verify` and `inspect`: is a run what its records say, and does a model's file do what was trained?"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lathe.cli.progress import listen
from lathe.cli.show import Screen
from lathe.errors import Exit

if TYPE_CHECKING:
    from lathe.records import Bundle, Example, ShippedFile

SHOWN_FILES = 10
"""Files that are named one by one; `--json` names them all."""


def verify(args: argparse.Namespace, screen: Screen) -> Exit:
    """Every digest of a run, held against the bytes that are there."""
    from lathe.pipeline import Run
    from lathe.report import figures

    found = Run.open(args.run).verify()
    if screen.as_json:
        screen.document({"ok": found.ok, **found.dump()})
        return Exit.DONE if found.ok else Exit.NO
    for damage in found.damaged:
        screen.line(f"  {damage.path}: {damage.reason}", "red")
    held = f"{figures.counted(found.num_files, 'file')}, {figures.size(found.num_bytes)}"
    if found.ok:
        screen.line(f"  {held}: all as they were written")
    else:
        screen.line(f"  {figures.counted(len(found.damaged), 'file')} of {held} are not as they were written", "bold")
    if found.unsealed:
        screen.say(f"  {came_later(found.unsealed)}")
    return Exit.DONE if found.ok else Exit.NO


def came_later(paths: Sequence[str]) -> str:
    """What is said of files that no seal knows: the first of them by name, and how many more there are."""
    from lathe.report import figures

    have = "has" if len(paths) == 1 else "have"
    more = f" and {len(paths) - SHOWN_FILES} more" if len(paths) > SHOWN_FILES else ""
    named = ", ".join(paths[:SHOWN_FILES])
    return f"{figures.counted(len(paths), 'file')} came later and {have} no digest: {named}{more}"


def inspect(args: argparse.Namespace, screen: Screen) -> Exit:
    """An adapter or a GGUF file of any tool, held against its base and against rows."""
    from lathe.inspect_model import inspect as look

    listener = listen(screen, brief=True)
    found = look(
        args.base, _examples(args.test), adapter=args.adapter, gguf=args.gguf, threads=args.threads, progress=listener
    )
    listener.close()
    if screen.as_json:
        screen.document({"ok": found.ok, **found.dump()})
        return Exit.DONE if found.ok else Exit.NO
    for check in found.checks:
        mark, colour = {True: ("ok", "green"), False: ("wrong", "red"), None: ("–", "yellow")}[check.ok]
        screen.line(f"  {mark:<6} {check.id:<16} {check.message}", colour if check.ok is not True else "")
        if check.ok is False and check.fix:
            screen.line(f"         {'':<16} → {check.fix}")
    wrong = sum(check.ok is False for check in found.checks)
    screen.line()
    screen.line(f"  {wrong} of {len(found.checks)} checks failed" if wrong else "  nothing is wrong with it", "bold")
    return Exit.DONE if found.ok else Exit.NO


def _examples(path: Path) -> list[Example]:
    """The rows of a file, whatever their layout; every last answer with the turns before it. Raises DataError on a bad row."""
    from lathe.data.conversations.conversation import answer_example, identity_of
    from lathe.data.conversations.row_files import FileRows, Found
    from lathe.errors import DataError
    from lathe.records import RejectedRow

    examples = []
    for item in FileRows(Found(path)):
        if isinstance(item, RejectedRow):
            raise DataError(item.reason, file=item.file, line=item.line, hint=item.hint)
        _, conversation = item
        answers = [pair for pair in conversation.answers() if pair[0]]
        if answers:
            examples.append(answer_example(*answers[-1], identity_of(conversation), conversation))
    if not examples:
        raise DataError(
            "holds no question with its answer", file=str(path), hint="Rows need a prompt and a completion."
        )
    return examples


def formats(screen: Screen, bundle: Bundle) -> None:
    """A table of the GGUF files, released or not: what each costs and what it still can do."""
    from lathe.report import figures

    def told(shipped: ShippedFile, name: str, words: Callable[[float], str]) -> str:
        number = shipped.checks.get(name)
        return figures.NOT_MEASURED if number is None else words(number)

    rows = [
        [
            shipped.path,
            figures.size(sum(file.num_bytes for file in shipped.files)),
            told(shipped, "next_tokens.same", figures.percent),
            told(shipped, "task.score", figures.score),
            f"[{told(shipped, 'task.low', figures.score)}, {told(shipped, 'task.high', figures.score)}]",
            told(shipped, "task.tokens_per_second", figures.count),
            told(shipped, "memory.bytes", figures.size),
            "withheld" if shipped.failed else "released",
        ]
        for shipped in (*bundle.shipped, *bundle.withheld)
        if shipped.gguf is not None
    ]
    if rows:
        screen.line()
        columns = ["file", "size", "same next token", "score", "interval", "tokens/s", "memory", ""]
        screen.table(columns, rows, right=(1, 2, 3, 5, 6))

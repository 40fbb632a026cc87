"""The rows of a corpus, many of them made by a process beside this one: some are understood here while the next are made there.

    for row in made_rows("edge_json", seed=0, count=10_000): ...

The process, `python -m lathe.made_rows`, reads which rows are wanted as one JSON line, and writes them as JSON lines of `AT_ONCE`
rows. The rows are the same wherever they are made. It starts in a tenth of a second, and stays few rows ahead.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from lathe import plugins
from lathe.errors import BrokenPlugin, LatheError
from lathe.processes import end, start, usable_cores

if TYPE_CHECKING:
    from lathe.records import Row

FEW = 2000
"""Rows that are made sooner than a process starts."""
AT_ONCE = 64
AHEAD = 64
"""Lines that may be made and not yet be read: some 3 MB."""


def made_rows(corpus: str, seed: int, count: int) -> Generator[Row, None, None]:
    """The first rows of a seed. Raises LatheError where the process beside this one fails; it says why on its stderr."""
    if count <= FEW or usable_cores() == 1:
        yield from _rows(corpus, seed, count)
        return
    child = start("lathe.made_rows", {**os.environ, "PYTHONUTF8": "1"})
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with contextlib.suppress(OSError):  # where it is gone already, its exit code says so below
            child.stdin.write(json.dumps([corpus, seed, count]).encode())
            child.stdin.close()
        for line in child.stdout:
            some = json.loads(line)
            if isinstance(some, dict):
                raise BrokenPlugin(some["message"], hint=some["hint"])
            yield from some
        if code := child.wait():
            raise LatheError(
                f"the process that made rows of {corpus} ended with code {code}",
                hint="Its last words are above; without any, it most likely wanted memory.",
            )
    finally:
        end(child, child.stdin, child.stdout)


def _rows(corpus: str, seed: int, count: int) -> Generator[Row, None, None]:
    """The rows, each an object, as many as were asked for. Raises BrokenPlugin."""
    leaf, made = plugins.load("corpora", corpus), 0
    for row in plugins.held(leaf, leaf.rows(seed, count), Iterable):  # type: ignore[type-abstract]
        yield plugins.held(leaf, row, dict)
        made += 1
    if made != count:
        raise BrokenPlugin(f"the corpus {corpus} made {made:,} rows of {count:,}", hint="Ask for as many: data.rows.")


def main() -> None:
    """Makes the rows that are asked for; where the corpus is another package's and fails, an object behind them says so."""
    try:
        _write(*json.loads(sys.stdin.buffer.read()))
    except Exception as error:
        broken = plugins.broken(error)
        if broken is None:
            raise
        sys.stdout.buffer.write(json.dumps({"message": broken.message, "hint": broken.hint}).encode() + b"\n")


def _write(corpus: str, seed: int, count: int) -> None:
    rows = _rows(corpus, seed, count)
    ahead: deque[Future[int]] = deque()
    with ThreadPoolExecutor(1) as writer:  # so that rows are made while nobody reads
        while some := list(islice(rows, AT_ONCE)):
            ahead.append(writer.submit(sys.stdout.buffer.write, json.dumps(some).encode() + b"\n"))
            if len(ahead) > AHEAD:
                ahead.popleft().result()
        for written in ahead:
            written.result()


if __name__ == "__main__":
    main()

"""Generated data for shell commands: a wish in words, the one command that the corpus holds for it.

    Count all plain files changed within the last 12 days, below src that end in .log

    find src -type f -mtime -12 -name '*.log' | wc -l

Three families: `find` (one to three things said about files or folders, and something done with what is found), `text` (lines of a
file chosen, cut, counted, ordered, shortened), `tree` (archives, copies, searches, links). Each part has a word order of its own
and two to five ways to be said; tests stand in the command in the order in which they were said, apart from -maxdepth, which find
wants first. No command is above risk level 2. 5,000 rows take a fifth of a second.

The shortcut that this closes: with one sentence for each command, the most similar training row with the values put in solves the
set. Here the parts are drawn by themselves and said in any order, so that few rows have a twin of the same form.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._edge_shell.writing import find, text, tree

if TYPE_CHECKING:
    from lathe.records import Row

FAMILIES = ((0.45, "find", find), (0.75, "text", text), (1.0, "tree", tree))
"""Cumulated probability, name and maker of a family."""


class EdgeShell(Corpus):
    """See the module's docstring."""

    version = "1"
    licence = "Apache-2.0"
    task = "bash"

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows 0 to n - 1 of a seed; row i is the same whatever n is."""
        return (row(seed, number) for number in range(n))


def row(seed: int, number: int) -> Row:
    """One row."""
    rng = Random(f"edge_shell/{EdgeShell.version}/{seed}/{number}")
    share = rng.random()
    family, make = next((name, make) for upper, name, make in FAMILIES if share < upper)
    wish = make(rng)
    return {
        "id": f"edge_shell-{seed}-{number}",
        "input": wish.text,
        "target": wish.command,
        "family": family,
        "parts": str(wish.parts),
    }


CORPUS = EdgeShell()

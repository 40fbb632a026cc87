"""Chunks of rows looked at here or, where there are many, by processes beside this one (`lathe.data.looker`).

    with lookers(terms, own) as beside:
        for seen, mark in beside.hand((conversations, show), mark): ...       (`lathe.workers`)
        for seen, mark in beside.rest(): ...

The same chunks give the same `Seen` in any number of processes. The memory of one is about 120 MB, and half as much for its chat
template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from lathe.data.conversations.conversation import Conversation
from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.workers import Workers

Asked = tuple[Sequence[Conversation], int]
"""What `SingleRows.seen` is asked."""
Mark = TypeVar("Mark")
FEW = 16
"""Chunks that are looked at here before processes are worth their start."""


def lookers(terms: Terms, own: SingleRows, processes: int | None = None) -> Workers[Asked, Seen, Mark]:
    """Who looks at the rows of one check. own: what looks at them here; processes: as of `Workers`."""
    return Workers(
        "lathe.data.looker",
        terms,
        answering(own),
        few=FEW,
        processes=processes,
        name="a process that looked at rows",
        hint="Most likely for want of memory: check fewer rows at once.",
    )


def answering(rows: SingleRows) -> Callable[[Asked], Seen]:
    """What looks at a chunk."""
    return lambda asked: rows.seen(*asked)

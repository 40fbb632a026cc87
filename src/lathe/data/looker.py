"""The process that looks at rows beside another one: `python -m lathe.data.looker`.

Asked (`lathe.worker`) with chunks (conversations, show), it answers what was seen of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lathe.data.conversations.conversation import Conversation
from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.worker import serve


def prepared(terms: Terms) -> Callable[[tuple[Sequence[Conversation], int]], Seen]:
    """What looks at a chunk."""
    rows = SingleRows(terms)
    return lambda chunk: rows.seen(*chunk)


if __name__ == "__main__":
    serve(prepared)

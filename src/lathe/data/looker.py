"""The process that looks at rows beside another one: `python -m lathe.data.looker`."""

from __future__ import annotations

from collections.abc import Callable

from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.data.lookers import Asked, answering
from lathe.worker import serve


def prepared(terms: Terms) -> Callable[[Asked], Seen]:
    """What looks at a chunk."""
    return answering(SingleRows(terms))


if __name__ == "__main__":
    serve(prepared)

"""What looks at rows in a process beside another one (`lathe.worker`)."""

from __future__ import annotations

from collections.abc import Callable

from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.data.lookers import Asked, answering


def prepared(terms: Terms) -> Callable[[Asked], Seen]:
    """What looks at a chunk."""
    return answering(SingleRows(terms))

"""What understands rows in a process beside another one (`lathe.worker`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lathe import plugins
from lathe.data.files.placed import Placed
from lathe.data.preparing.understanding import Lot, Terms, Understanding


def prepared(terms: Terms) -> Callable[[Sequence[Placed]], Lot]:
    """What understands a lot."""
    understanding = Understanding(terms)

    def lot(rows: Sequence[Placed]) -> Lot:
        try:
            return understanding.lot(rows)
        except Exception as error:
            broken = plugins.broken(error)  # through whose code it came, its traceback tells in this process alone
            if broken is None:
                raise
            raise broken from error

    return lot

"""The process that understands rows beside another one: `python -m lathe.data.preparing.understander`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lathe import plugins
from lathe.data.files.placed import Placed
from lathe.data.preparing.understanding import Lot, Terms, Understanding
from lathe.worker import serve


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


if __name__ == "__main__":
    serve(prepared)

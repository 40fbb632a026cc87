"""When Python looks for garbage: seldom while much is made that is none, and not again before a process ends.

with seldom_collected():
    rows = read_rows(path, Example)
"""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Python looks for cycles of objects less often: modules, rows and tokens have none, and looking through all of them takes a
    sixth of the time in which modules are loaded, and a fifteenth of that of a plan."""
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def left_at_exit() -> None:
    """Python ends without looking for cycles once more, which after a plan takes it a tenth of a second or more."""
    atexit.register(gc.freeze)

"""Errors of the disk as the operating system's own, whichever library met them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from safetensors import SafetensorError


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Re-words what safetensors says of a failed write as the OSError behind it, which `storage.writing` then explains."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number.group(1)), os.strerror(int(number.group(1)))) from error

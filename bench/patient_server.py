"""Imported by the server that helpers are forked from: who asks it, and is killed before saying what for, does not end it.

CPython's own (3.11) takes that for a fault of its own and dies, and no helper is forked any more.
"""

from __future__ import annotations

import errno
import socket
from multiprocessing import reduction

received = reduction.recvfds


def patient(asked: socket.socket, most: int) -> list[int]:
    """The descriptors that were sent. Raises ConnectionAbortedError, which the server goes on after, where none were."""
    try:
        return received(asked, most)
    except EOFError as error:
        raise ConnectionAbortedError(errno.ECONNABORTED, "whoever asked is gone") from error


reduction.recvfds = patient

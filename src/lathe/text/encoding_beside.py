"""Texts encoded here and by a process beside this one: `python -m lathe.text.encoding_beside`, spoken to in pickles of its parent.

    with beside(tok, num_rows=10_000) as encoded:
        ids = encoded(["pay by card", "pay by cash"])         # a future: that process has them, or it is done already
        ids.result()

Both encode by words (lathe.text.words), so the ids are the same whoever encodes. The process starts in a fifth of a second and gets
few lists of texts ahead; what it has no time for is encoded here meanwhile. Its memory is some 80 MB.

Read: the tokenizer, as tokenizer.json has it, then lists of texts. Written for each list: the ids of its texts. A message is its
length in 8 bytes and itself. The process ends when its input does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

import tokenizers

from lathe.errors import LatheError
from lathe.processes import end, start, usable_cores
from lathe.text.special import OPEN
from lathe.text.words import Ids, Words

if TYPE_CHECKING:
    from lathe.text.tokenizer import Tokenizer

Encode = Callable[[Sequence[str]], "Future[list[Ids]]"]
"""As `Tokenizer.encode_marked_batch`, at once or later."""
FEW = 3000
"""Rows that are encoded sooner than a process starts."""
AHEAD = 2
"""Lists that the process may have and not yet have encoded: one in work, and one so that it need not wait for this process."""


@contextlib.contextmanager
def beside(tok: Tokenizer, num_rows: int) -> Iterator[Encode]:
    """The process lives for the block. Where rows are few, or the tokenizer's texts do not fall into words, all is encoded here."""
    if num_rows <= FEW or usable_cores() == 1 or not tok.has_words:
        yield lambda texts: _done(tok.encode_marked_batch(texts))
        return
    other = _Beside(tok)
    try:
        yield other.encoded
    finally:
        other.close()


class _Beside:
    """The process, and the threads that write to it and read from it."""

    def __init__(self, tok: Tokenizer) -> None:
        self._tok = tok
        # One thread: the other cores have work.
        threads = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._child = start("lathe.text.encoding_beside", {**os.environ, **threads, "PYTHONUTF8": "1"})
        self._writer, self._reader = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._handed: deque[Future[list[Ids]]] = deque()
        self._writer.submit(self._write, tok.backend.to_str())

    def encoded(self, texts: Sequence[str]) -> Future[list[Ids]]:
        """Hands texts over, or encodes them here: where the process has enough to do, and what is not plain text."""
        while self._handed and self._handed[0].done():
            self._handed.popleft()
        if len(self._handed) == AHEAD or any(OPEN in text for text in texts):
            return _done(self._tok.encode_marked_batch(texts))
        self._writer.submit(self._write, texts)
        self._handed.append(self._reader.submit(self._read))
        return self._handed[-1]

    def _write(self, said: object) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):  # where the process is gone, it is said where its answer is read
            _send(self._child.stdin, said)

    def _read(self) -> list[Ids]:
        assert self._child.stdout is not None
        found: list[Ids] | None = _received(self._child.stdout)
        if found is None:
            raise LatheError(
                f"the process that encoded texts ended with code {self._child.wait()}",
                hint="Its last words are above; without any, it most likely wanted memory.",
            )
        return found

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._child.kill()  # so that the threads come to their end
        for thread in (self._writer, self._reader):
            thread.shutdown(cancel_futures=True)
        end(self._child, self._child.stdin, self._child.stdout)


def _done(ids: list[Ids]) -> Future[list[Ids]]:
    found: Future[list[Ids]] = Future()
    found.set_result(ids)
    return found


def _send(stream: IO[bytes], said: object) -> None:
    message = pickle.dumps(said)
    stream.write(len(message).to_bytes(8, "little") + message)
    stream.flush()


def _received(stream: IO[bytes]) -> Any:
    """The next message; None at the end."""
    size = int.from_bytes(stream.read(8), "little")
    message = stream.read(size)
    return pickle.loads(message) if message and len(message) == size else None


def main() -> None:
    """Encodes lists of texts until the input ends."""
    # Whatever a library prints must not stand between the messages.
    stdin, stdout, sys.stdout = sys.stdin.buffer, sys.stdout.buffer, sys.stderr
    words = Words.of(tokenizers.Tokenizer.from_str(_received(stdin)))
    assert words is not None, "the first process found the tokenizer's texts to fall into words"
    while (texts := _received(stdin)) is not None:
        _send(stdout, words.encode(texts))


if __name__ == "__main__":
    main()

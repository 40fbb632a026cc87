"""A process of ours that answers what it is asked, one question after the other, and how both sides speak.

    worker = Worker()
    worker.begin("lathe.data.looker", terms, name="a process that looked at rows", hint="Check fewer rows at once.")
    worker.ask(chunk).result()
    worker.begin("lathe.text.encoding_beside", ...)        the same process, for other questions
    worker.close()

What answers stands in the module that is named: `prepared(terms)` gives it. A message is its length in 8 bytes and a pickle, which
parent and child write for each other alone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import IO, Any

from lathe.errors import LatheError
from lathe.processes import end, start

ONE_THREAD = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The other cores have work."""


class Worker:
    """The process, and the threads that write to it and read from it, so that it has the next question when it has answered one."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        """modules: loaded before it is told to begin, since it will need them."""
        self._name = self._hint = ""
        self._child = start("lathe.worker", {**os.environ, **ONE_THREAD, "PYTHONUTF8": "1"})
        self._writer, self._reader = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._asked: deque[Future[Any]] = deque()
        for module in modules:
            self._tell("load", module)

    def begin(self, module: str, terms: object, *, name: str, hint: str) -> None:
        """From here on it answers as `module.prepared(terms)` does. name, hint: of the error where it ends before it has
        answered."""
        self._name, self._hint = name, hint
        self._tell("begin", (module, terms))

    def ask(self, question: object) -> Future[Any]:
        """Hands a question over; the future holds the answer, or raises what was raised there, or LatheError where it has ended."""
        self._tell("ask", question)
        self._asked.append(self._reader.submit(self._read))
        return self._asked[-1]

    def waiting(self) -> int:
        """Questions that it has not answered yet."""
        while self._asked and self._asked[0].done():
            self._asked.popleft()
        return len(self._asked)

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._child.kill()  # so that the threads come to their end
        for thread in (self._writer, self._reader):
            thread.shutdown(cancel_futures=True)
        end(self._child, self._child.stdin, self._child.stdout)

    def _tell(self, what: str, of: object) -> None:
        self._writer.submit(self._write, pickle.dumps((what, of)))

    def _write(self, message: bytes) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):  # where the process is gone, it is said where its answer is read
            _write(self._child.stdin, message)

    def _read(self) -> Any:
        assert self._child.stdout is not None
        answer = _receive(self._child.stdout)
        if answer is None:
            raise LatheError(f"{self._name} ended with code {self._child.wait()}", hint=self._hint)
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve() -> None:
    """A worker's life: does what it is told until there is no more."""
    # Whatever a library prints must not stand between the messages.
    stdin, stdout, sys.stdout = sys.stdin.buffer, sys.stdout.buffer, sys.stderr
    answer: Callable[[Any], object] = str
    while (message := _receive(stdin)) is not None:
        what, of = message
        if what == "load":
            import_module(of)
        elif what == "begin":
            module, terms = of
            answer = import_module(module).prepared(terms)
        else:
            _write(stdout, pickle.dumps(_answered(answer, of)))


def _answered(answer: Callable[[Any], object], question: Any) -> object:
    """The answer, or the error that it ends in."""
    try:
        return answer(question)
    except Exception as error:
        error.add_note(f"in a process beside:\n{traceback.format_exc()}")
        return error


def _receive(stream: IO[bytes]) -> Any:
    """The next message; None at the end, or where it was cut off."""
    size = int.from_bytes(stream.read(8), "little")
    message = stream.read(size)
    return pickle.loads(message) if message and len(message) == size else None


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "little") + message)
    stream.flush()


if __name__ == "__main__":
    serve()

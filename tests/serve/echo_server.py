"""`lathe` with a model that answers with the last turn, one word a piece, or with what stands there after `say: `; `wait 0.5: ...`
makes it wait before each word, and `crash: ...` makes it fail in a way that nobody foresaw.

python echo_server.py serve RUN --port 0
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable

from lathe import plugins
from lathe.cli.main import main
from lathe.contracts import Heard, Model, Piece, Request, Room, Service
from lathe.records import Prediction
from lathe.runtimes.fake import Fake


class Echo(Service):
    """Answers each request in a thread of its own."""

    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        if request.messages and request.messages[-1].content.startswith("crash: "):
            raise KeyError(request.messages[-1].content)
        dropped = threading.Event()
        threading.Thread(target=answer, args=(request, heard, pieces, dropped), daemon=True).start()
        return dropped.set

    def close(self) -> None:
        """Nothing to free."""


def answer(request: Request, heard: Heard, pieces: bool, dropped: threading.Event) -> None:
    said = request.messages[-1].content.rpartition("say: ")[2] if request.messages else "raw text"
    waits = re.match(r"wait ([\d.]+): ", said)
    words = re.findall(r"\s*\S+", said[waits.end() if waits else 0 :])
    told = ""
    for count, word in enumerate(words[: request.max_new_tokens], start=1):
        time.sleep(float(waits.group(1)) if waits else 0)
        if dropped.is_set():
            return
        told += word
        if pieces:
            heard(Piece(word, count))
    finish = "length" if len(words) > request.max_new_tokens else "stop"
    heard(
        Prediction(
            id=request.id, text=told, finish=finish, prompt_tokens=len(request.prompt_ids), new_tokens=len(words)
        )
    )


class EchoRuntime(Fake):
    def serve(self, model: Model, room: Room, threads: int | None = None) -> Service:  # type: ignore[override]
        return Echo()


if __name__ == "__main__":
    load = plugins.load
    echo = EchoRuntime(lambda request: None)
    plugins.load = lambda kind, name: echo if kind == "runtimes" else load(kind, name)  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))

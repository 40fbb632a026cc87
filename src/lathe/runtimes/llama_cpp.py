"""Answers of a GGUF file through llama.cpp, as any user of the file gets them: by its own template, tokenizer and end tokens.

`prompt_ids` and `stop_ids` are not used: what is measured is the file, and a wrong template in it has to show in the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lathe.contracts import Ability, GenerateSettings, Model, Request, Runtime, Session
from lathe.errors import InputError
from lathe.records import Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from lathe.engine.llama_server import LlamaServer


class LlamaCppSession(Session):
    """A file that is loaded with as much context as the longest request needs."""

    def __init__(self, path: Path, threads: int | None) -> None:
        self._path = path
        self._threads = threads
        self._server: LlamaServer | None = None

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request. Prompts that begin alike follow each other, so that llama.cpp computes the beginning once."""
        from lathe.engine.llama_server import LlamaServer

        self.close()
        # The file's own template may write more than ours, and then that must show as another answer, not as an error.
        longest = max((2 * len(request.prompt_ids) + request.max_new_tokens for request in requests), default=1)
        server = self._server = LlamaServer(self._path, longest, settings.threads or self._threads)
        rendered = {request.id: server.render(request.messages) for request in requests}
        for request in sorted(requests, key=lambda request: rendered[request.id]):
            ids = server.tokenize(rendered[request.id])
            answer = server.complete(ids, request.max_new_tokens)
            yield Prediction(
                id=request.id,
                text=answer.text,
                finish=answer.finish,
                prompt_tokens=len(ids),
                new_tokens=len(answer.ids),
                seconds=answer.seconds,
            )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class LlamaCpp(Runtime):
    def ability(self) -> Ability:
        if find_spec("xllamacpp") is None:
            return Ability(False, "not installed: xllamacpp", "pip install 'lathe-slm[gguf]'")
        return Ability(True, "installed: xllamacpp")

    def open(self, model: Model, threads: int | None = None) -> LlamaCppSession:
        """Raises InputError where the model names no GGUF file."""
        from lathe.engine.llama_server import check_gguf

        if model.gguf_file is None:
            raise InputError(
                "the runtime llama_cpp runs a GGUF file, and none was named", hint="Ship one: ship: [gguf_q8_0]."
            )
        check_gguf(model.gguf_file)
        return LlamaCppSession(model.gguf_file, threads)


RUNTIME = LlamaCpp()

"""Answers of a GGUF file through llama.cpp, as any user of the file gets them: by its own template, tokenizer and end tokens.

`prompt_ids` and `stop_ids` are not used where there are messages: what is measured is the file, and a wrong template in it has to
show in the score. Answers that are held to a form are held by llama.cpp's own grammar, which never goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from importlib.util import find_spec
from threading import Event
from typing import TYPE_CHECKING

from lathe.contracts import (
    Ability,
    Form,
    GenerateSettings,
    Heard,
    HoldsToForm,
    Model,
    Piece,
    Request,
    Room,
    Runtime,
    Service,
    Session,
)
from lathe.errors import InputError, LatheError
from lathe.records import Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from lathe.engine.grammar import Grammars
    from lathe.engine.llama_server import Completion, LlamaServer, Streamed

BEGINNINGS = "}x-"
"""Signs of which hardly a form begins with all."""


class LlamaCppSession(Session):
    """A file that is loaded with as much context as the longest request needs."""

    def __init__(self, model: Model, threads: int | None) -> None:
        self._path = _file_of(model)
        self._base = model.base_folder
        self._threads = threads
        self._server: LlamaServer | None = None

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request. Prompts that begin alike follow each other, so that llama.cpp computes the beginning once.

        Raises Unavailable where answers are held to a form without the package for it, LatheError where llama.cpp does not
        hold them.
        """
        from lathe.engine.llama_server import LlamaServer

        self.close()
        # The file's own template may write more than ours, and then that must show as another answer, not as an error.
        longest = max((2 * len(request.prompt_ids) + request.max_new_tokens for request in requests), default=1)
        server = self._server = LlamaServer(self._path, longest, settings.threads or self._threads)
        if forms := [request.form for request in requests if request.form is not None]:
            _refuse_unread(server, self._base, forms)
        rendered = {request.id: server.render(request.messages) for request in requests}
        for request in sorted(requests, key=lambda request: rendered[request.id]):
            ids = server.tokenize(rendered[request.id])
            seed = request.seed(settings.seed)
            answer = server.complete(ids, request.max_new_tokens, settings.temperature, seed, request.form)
            yield _prediction(request, ids, answer, len(answer.ids))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class LlamaCppService(Service, HoldsToForm):
    """A file that is loaded once; each answer under way has a thread that listens to it."""

    def __init__(self, model: Model, room: Room, threads: int | None) -> None:
        from lathe.engine.llama_server import LlamaServer

        self._server = LlamaServer(_file_of(model), room.tokens, threads, room.at_once)
        self._base = model.base_folder
        self._listeners = ThreadPoolExecutor(room.at_once, "answers")

    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        dropped = Event()
        self._listeners.submit(self._listen, request, heard, pieces, dropped)
        return dropped.set

    def _listen(self, request: Request, heard: Heard, pieces: bool, dropped: Event) -> None:
        try:
            if not dropped.is_set():
                self._answer(request, heard, pieces, dropped)
        except LatheError as error:
            heard(error)

    def _answer(self, request: Request, heard: Heard, pieces: bool, dropped: Event) -> None:
        """Closing the stream early is what makes llama.cpp stop."""
        server = self._server
        ids = server.tokenize(server.render(request.messages)) if request.messages else request.prompt_ids
        with closing(server.stream(ids, request.max_new_tokens, request.form)) as stream:
            for said in stream:
                if dropped.is_set():
                    return
                if not isinstance(said, Piece):
                    heard(_prediction(request, ids, said, said.new_tokens))
                elif pieces:
                    heard(said)

    @cached_property
    def _grammars(self) -> Grammars:
        """What reads forms here: llama.cpp has the same library."""
        from lathe.engine.grammar import Grammars
        from lathe.text import tokenizer

        tok = tokenizer.load(self._base)
        return Grammars(tok, tok.stop_ids)

    def problem_with(self, form: Form) -> str:
        return self._grammars.problem_with(form)

    def close(self) -> None:
        self._server.close()
        self._listeners.shutdown()


def _prediction(request: Request, ids: Sequence[int], answer: Completion | Streamed, new_tokens: int) -> Prediction:
    return Prediction(
        id=request.id,
        text=answer.text,
        finish=answer.finish,
        prompt_tokens=len(ids),
        new_tokens=new_tokens,
        seconds=answer.seconds,
    )


class LlamaCpp(Runtime):
    holds_to_form = True

    def ability(self) -> Ability:
        if find_spec("xllamacpp") is None:
            return Ability(False, "not installed: xllamacpp", "pip install 'lathe-slm[gguf]'")
        return Ability(True, "installed: xllamacpp")

    def open(self, model: Model, threads: int | None = None) -> LlamaCppSession:
        """Raises InputError where the model names no GGUF file."""
        return LlamaCppSession(model, threads)

    def serve(self, model: Model, room: Room, threads: int | None = None) -> LlamaCppService:
        """Raises InputError where the model names no GGUF file, or one that llama.cpp cannot load."""
        return LlamaCppService(model, room, threads)


def _refuse_unread(server: LlamaServer, base: Path, forms: Iterable[Form]) -> None:
    """Raises LatheError where llama.cpp does not follow one of the forms, of which it says nothing; each kind is tried once, with a
    token that it refuses. Raises Unavailable as `Grammars`."""
    from lathe.engine.grammar import Grammars, as_lark
    from lathe.text import tokenizer

    tok = tokenizer.load(base)
    grammars = Grammars(tok, tok.stop_ids)
    for form in {as_lark(form): form for form in forms}.values():
        allowed = grammars.begin(form).allowed()
        refused = next((token for sign in BEGINNINGS if not allowed[token := tok.encode(sign)[-1]]), None)
        if refused is not None and not server.holds(form, refused):
            raise LatheError(
                "llama.cpp does not hold answers to their form",
                hint="Its build may lack llguidance. Install the wheel that Lathe asks for: pip install 'lathe-slm[gguf]'.",
            )


def _file_of(model: Model) -> Path:
    from lathe.engine.llama_server import check_gguf

    if model.gguf_file is None:
        raise InputError(
            "the runtime llama_cpp runs a GGUF file, and none was named", hint="Ship one: ship: [gguf_q8_0]."
        )
    check_gguf(model.gguf_file)
    return model.gguf_file


RUNTIME = LlamaCpp()

"""Answers of a GGUF file through llama.cpp, as any user of the file gets them: by its own template, tokenizer and end tokens.

`prompt_ids` and `stop_ids` are not used where there are messages: what is measured is the file, and a wrong template in it has to
show in the score. Answers that are held to a form are held by llama.cpp's own grammar, which never goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache, partial
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

    from lathe.engine.grammar import Grammars, Guide
    from lathe.engine.llama_server import Completion, LlamaServer, Streamed
    from lathe.text.tokenizer import Tokenizer

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
        forms = _forms(server, self._base, requests)
        rendered = {request.id: server.render(request.messages) for request in requests}
        for request in sorted(requests, key=lambda request: rendered[request.id]):
            ids = server.tokenize(rendered[request.id])
            seed = request.seed(settings.seed)
            answer = server.complete(ids, request.max_new_tokens, settings.temperature, seed, forms.get(request.id))
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
        self._grammars = cache(partial(_grammars, model.base_folder))
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
        from lathe.engine.llama_server import followed

        server = self._server
        form = None if request.form is None else followed(request.form)
        ids = server.tokenize(server.render(request.messages)) if request.messages else request.prompt_ids
        with closing(server.stream(ids, request.max_new_tokens, form)) as stream:
            for said in stream:
                if dropped.is_set():
                    return
                if not isinstance(said, Piece):
                    heard(_prediction(request, ids, said, said.new_tokens))
                elif pieces:
                    heard(said)

    def problem_with(self, form: Form) -> str:
        from lathe.engine.llama_server import followed

        return self._grammars()[1].problem_with(followed(form))

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


def _forms(server: LlamaServer, base: Path, requests: Sequence[Request]) -> dict[str, Form]:
    """The forms as llama.cpp follows them, by request; each kind is tried once. Raises as `_refuse_unread`, and Unavailable."""
    from lathe.engine.grammar import as_lark
    from lathe.engine.llama_server import followed

    forms = {request.id: followed(request.form) for request in requests if request.form is not None}
    if forms:
        tok, grammars = _grammars(base)
        for form in {as_lark(form): form for form in forms.values()}.values():
            _refuse_unread(server, tok, grammars.begin(form), form)
    return forms


def _grammars(base: Path) -> tuple[Tokenizer, Grammars]:
    """What reads forms here, by the library that llama.cpp has too, over the tokens of the file's base."""
    from lathe.engine.grammar import Grammars
    from lathe.text import tokenizer

    tok = tokenizer.load(base)
    return tok, Grammars(tok, tok.stop_ids)


def _refuse_unread(server: LlamaServer, tok: Tokenizer, guide: Guide, form: Form) -> None:
    """Raises LatheError where llama.cpp does not follow a form, of which it says nothing."""
    allowed = guide.allowed()
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

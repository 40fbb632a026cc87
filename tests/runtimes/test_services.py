"""Models that are asked at any time: the answers are those of the measurement, told as they are written."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gguf_base import write_gguf_base
from lathe import plugins
from lathe.contracts import (
    Choice,
    Form,
    GenerateSettings,
    HoldsToForm,
    JsonForm,
    Model,
    Piece,
    Request,
    Room,
    Service,
    TextForm,
)  # fmt: skip
from lathe.engine.slots import Slots
from lathe.errors import LatheError
from lathe.records import Prediction
from lathe.runtimes.fake import answering
from lathe.text import tokenizer
from lathe.text.growing import Growing
from lathe.text.render import prompt_ids
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")

ROOM = Room(at_once=3, tokens=120)
NEW = 24


def requests(base: Path, count: int = 9, new: int = NEW) -> list[Request]:
    tok = tokenizer.load(base)
    return [Request(row.id, row.messages, prompt_ids(tok, row.messages), new) for row in examples(count)]


def expected(base: Path) -> dict[str, Prediction]:
    session = plugins.load("runtimes", "native").open(Model(base), threads=1)
    return {one.id: one for one in session.generate(requests(base), GenerateSettings(token_budget=400))}


@pytest.fixture
def service(tiny_base: Path) -> Iterator[Service]:
    live = plugins.load("runtimes", "native").serve(Model(tiny_base), ROOM, threads=1)
    yield live
    live.close()


class Listener:
    """What was heard of one request."""

    def __init__(self, service: Service, request: Request, pieces: bool = True) -> None:
        self._heard: queue.SimpleQueue[Piece | Prediction | LatheError] = queue.SimpleQueue()
        self.stop = service.begin(request, self._heard.put, pieces)

    def next(self) -> Piece | Prediction | LatheError:
        return self._heard.get(timeout=30)

    def all(self) -> tuple[list[Piece], Prediction | LatheError]:
        pieces = []
        while isinstance(said := self.next(), Piece):
            pieces.append(said)
        return pieces, said


def same(found: Prediction | LatheError, wanted: Prediction) -> bool:
    assert isinstance(found, Prediction), found
    fields = ("text", "finish", "prompt_tokens", "new_tokens")
    return all(getattr(found, name) == getattr(wanted, name) for name in fields)


def test_more_requests_than_slots_get_the_answers_of_the_measurement(tiny_base: Path, service: Service) -> None:
    listeners = {request.id: Listener(service, request) for request in requests(tiny_base)}
    wanted = expected(tiny_base)
    for id, listener in listeners.items():
        pieces, whole = listener.all()
        assert same(whole, wanted[id])
        assert "".join(piece.text for piece in pieces) == wanted[id].text
        counts = [piece.new_tokens for piece in pieces]
        assert counts == sorted(counts)


def test_without_pieces_only_the_whole_answer_is_heard(tiny_base: Path, service: Service) -> None:
    request = requests(tiny_base, 1)[0]
    pieces, whole = Listener(service, request, pieces=False).all()
    assert not pieces
    assert same(whole, expected(tiny_base)[request.id])


def test_a_request_that_comes_while_others_are_answered_is_answered_beside_them(
    tiny_base: Path, service: Service
) -> None:
    first, second = requests(tiny_base, 2, new=60)
    early = Listener(service, first)
    assert isinstance(early.next(), Piece)
    late = Listener(service, second)
    assert isinstance(late.next(), Piece)
    assert isinstance(early.all()[1], Prediction)
    assert isinstance(late.all()[1], Prediction)


def test_an_answer_that_is_broken_off_gives_its_slot_to_those_that_wait(tiny_base: Path, service: Service) -> None:
    abandoned = [Listener(service, request) for request in requests(tiny_base, 3, new=90)]
    for listener in abandoned:
        listener.stop()
    request = requests(tiny_base, 1)[0]
    assert same(Listener(service, request).all()[1], expected(tiny_base)[request.id])


def test_a_fault_in_one_pass_is_told_to_those_under_way_and_the_next_are_answered(
    tiny_base: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Slots) -> None:
        raise RuntimeError("no such kernel")

    request = requests(tiny_base, 1)[0]
    with monkeypatch.context() as patch:
        patch.setattr(Slots, "write_on", broken)
        fault = Listener(service, request).all()[1]
    assert isinstance(fault, LatheError)
    assert "no such kernel" in fault.message
    assert same(Listener(service, request).all()[1], expected(tiny_base)[request.id])


def test_who_waits_when_the_model_is_closed_hears_so(tiny_base: Path) -> None:
    live = plugins.load("runtimes", "native").serve(Model(tiny_base), Room(1, 500), threads=1)
    listeners = [Listener(live, request) for request in requests(tiny_base, 3, new=400)]
    live.close()
    assert any(isinstance(listener.all()[1], LatheError) for listener in listeners)


@pytest.mark.parametrize("text", ["plain", "Grün und ß", "日本語のテキスト", "a👩‍🚀b", "half \ufffd real"])
def test_pieces_hold_whole_characters_and_make_up_the_text(tiny_base: Path, text: str) -> None:
    tok = tokenizer.load(tiny_base)
    ids: Sequence[int] = tok.backend.encode(text, add_special_tokens=False).ids
    growing = Growing(tok)
    pieces = [growing.grow(ids[:count]) for count in range(1, len(ids) + 1)]
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + growing.end(ids) == text == tok.decode(ids)


def test_half_a_character_at_the_end_is_told_at_the_end(tiny_base: Path) -> None:
    tok = tokenizer.load(tiny_base)
    ids = tok.backend.encode("aß", add_special_tokens=False).ids[:-1]
    growing = Growing(tok)
    assert [growing.grow(ids[:1]), growing.grow(ids), growing.end(ids)] == ["a", "", "\ufffd"]


def test_the_runtime_without_a_model_answers_word_by_word() -> None:
    request = requests_by_rule("say it twice")
    pieces, whole = Listener(
        answering(lambda asked: asked.messages[-1].content).serve(Model(Path("none")), ROOM), request
    ).all()
    assert [piece.text for piece in pieces] == ["say", " it", " twice"]
    assert isinstance(whole, Prediction)
    assert whole.text == "say it twice"


def requests_by_rule(text: str) -> Request:
    (row,) = examples(1)
    return Request("asked", (row.messages[0].model_copy(update={"content": text}),), (1,), 9)


@pytest.fixture
def file(tmp_path: Path) -> Model:
    """A tiny model as a GGUF file."""
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    from lathe.engine.gguf.write import write
    from lathe.engine.model import load_base

    base = write_gguf_base(tmp_path / "base")
    write(load_base(base), tokenizer.load(base), tmp_path / "model.gguf", "F16", "tiny")
    return Model(base, gguf_file=tmp_path / "model.gguf")


def test_a_gguf_file_answers_many_at_a_time_as_it_does_one(file: Model) -> None:
    base, runtime = file.base_folder, plugins.load("runtimes", "llama_cpp")
    session = runtime.open(file, threads=1)
    wanted = {one.id: one for one in session.generate(requests(base), GenerateSettings())}
    session.close()
    service = runtime.serve(file, ROOM, threads=1)
    listeners = {request.id: Listener(service, request) for request in requests(base)}
    Listener(service, requests(base, 1)[0]).stop()
    pieces_of = {}
    for id, listener in listeners.items():
        pieces, whole = listener.all()
        pieces_of[id] = "".join(piece.text for piece in pieces)
        assert isinstance(whole, Prediction)
        assert pieces_of[id] == whole.text
        # Of half a character at the end llama.cpp tells less where it streams.
        assert whole.text.rstrip("\ufffd") == wanted[id].text.rstrip("\ufffd")
        assert (whole.finish, whole.new_tokens) == (wanted[id].finish, wanted[id].new_tokens)
    raw = Request("raw", (), requests(base, 1)[0].prompt_ids, NEW)
    assert "".join(piece.text for piece in Listener(service, raw).all()[0]) == pieces_of["row-0"]
    service.close()


FORMS: dict[str, Form] = {
    "object": JsonForm(
        {
            "type": "object",
            "properties": {
                "owed": {"type": "integer", "minimum": -999, "maximum": -3, "multipleOf": 1},
                "open": {"type": "boolean"},
            },
            "required": ["owed", "open"],
            "additionalProperties": False,
        }
    ),
    "one of three texts": Choice(("a label", 'with a "quote"', "größer")),
    "lines": TextForm('start: ("yes" | "no") ("\\n" ("yes" | "no")){2}'),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_answers_of_a_gguf_file_are_held_to_their_form_as_those_of_the_model_are(file: Model, form: Form) -> None:
    pytest.importorskip("llguidance", reason="the extra constrain is not installed")
    from lathe.engine.grammar import Grammars

    tok, runtime = tokenizer.load(file.base_folder), plugins.load("runtimes", "llama_cpp")
    grammars = Grammars(tok, tok.stop_ids)
    asked = [replace(request, form=form, max_new_tokens=60) for request in requests(file.base_folder, 3)]
    session = runtime.open(file, threads=1)
    wanted = {one.id: one for one in session.generate(asked, GenerateSettings())}
    session.close()
    service = runtime.serve(file, ROOM, threads=1)
    assert isinstance(service, HoldsToForm)
    assert service.problem_with(form) == ""
    assert service.problem_with(JsonForm({"type": "nothing"}))
    for request in asked:
        whole = Listener(service, request).all()[1]
        assert isinstance(whole, Prediction)
        assert whole.finish == "stop"
        assert grammars.accepts(form, tok.encode(whole.text))
        assert whole.text == wanted[request.id].text
    service.close()


def test_a_form_that_llama_cpp_does_not_follow_is_an_error(file: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers freely where it cannot read a grammar, and says nothing."""
    pytest.importorskip("llguidance", reason="the extra constrain is not installed")
    from lathe.engine import llama_server

    asked = [replace(request, form=FORMS["object"]) for request in requests(file.base_folder, 1)]
    session = plugins.load("runtimes", "llama_cpp").open(file, threads=1)
    monkeypatch.setattr(llama_server, "as_lark", lambda form: "start: (")
    with pytest.raises(LatheError, match="does not hold answers to their form"):
        list(session.generate(asked, GenerateSettings()))
    session.close()

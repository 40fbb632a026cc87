"""The runtime without a model, as people use it in their own tests."""

from __future__ import annotations

from pathlib import Path

from lathe import plugins
from lathe.contracts import GenerateSettings, Model, Request
from lathe.records import Message
from lathe.runtimes.fake import answering, from_table

MODEL = Model(Path("no-such-folder"))


def request(id: str, text: str, new: int = 8) -> Request:
    return Request(id, (Message(role="user", content=text),), (1, 2, 3), new)


def test_it_answers_with_the_last_turn() -> None:
    (found,) = plugins.load("runtimes", "fake").open(MODEL).generate([request("a", "say it")], GenerateSettings())
    assert (found.id, found.text, found.finish, found.prompt_tokens, found.new_tokens) == ("a", "say it", "stop", 3, 2)


def test_it_answers_by_a_rule() -> None:
    session = answering(lambda asked: asked.messages[-1].content.upper()).open(MODEL)
    assert [one.text for one in session.generate([request("a", "x"), request("b", "y")], GenerateSettings())] == [
        "X",
        "Y",
    ]


def test_a_request_outside_the_table_gets_no_answer() -> None:
    first, second = (
        from_table({"a": "yes"}).open(MODEL).generate([request("a", "?"), request("b", "?")], GenerateSettings())
    )
    assert (first.text, first.finish) == ("yes", "stop")
    assert (second.text, second.finish, second.new_tokens) == ("", "none", 0)


def test_a_longer_answer_is_cut_and_says_so() -> None:
    (found,) = from_table({"a": "one two three"}).open(MODEL).generate([request("a", "?", new=2)], GenerateSettings())
    assert (found.text, found.finish, found.new_tokens) == ("one two", "length", 2)

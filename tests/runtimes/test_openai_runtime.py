"""Any OpenAI-compatible endpoint, held against a server on this machine that answers, refuses and fails as real ones do."""

from __future__ import annotations

import email.message
import io
import time
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lathe import endpoint as endpoints
from lathe import plugins
from lathe.contracts import Endpoint, GenerateSettings, Model, Request
from lathe.errors import InputError, LatheError, Unavailable
from lathe.records import Message, Prediction
from local_endpoint import Answer, Server, said

Serve = Callable[[Callable[[int, dict[str, Any]], Answer]], Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.01)
    servers: list[Server] = []

    def start(rule: Callable[[int, dict[str, Any]], Answer]) -> Server:
        servers.append(Server(rule))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def requests(*texts: str) -> list[Request]:
    return [Request(f"row-{text}", (Message(role="user", content=text),), (1, 2, 3), 5) for text in texts]


def ask(
    url: str, asked: list[Request], tmp_path: Any, settings: GenerateSettings | None = None
) -> dict[str, Prediction]:
    session = plugins.load("runtimes", "openai").open(Model(tmp_path, endpoint=Endpoint(url, "tiny")))
    return {answer.id: answer for answer in session.generate(asked, settings or GenerateSettings())}


def test_every_request_is_answered_with_what_the_endpoint_counts(serve: Serve, tmp_path: Any) -> None:
    server = serve(lambda number, body: said(body["messages"][0]["content"].upper()))
    answers = ask(server.url, requests(*"abcdefghij"), tmp_path)
    assert {id: answer.text for id, answer in answers.items()} == {f"row-{c}": c.upper() for c in "abcdefghij"}
    first = answers["row-a"]
    assert (first.finish, first.prompt_tokens, first.new_tokens) == ("stop", 7, 3)
    assert first.seconds > 0
    assert {(body["model"], body["max_tokens"], body["temperature"]) for body in server.asked} == {("tiny", 5, 0)}
    assert set(server.paths) == {"/v1/chat/completions"}


def test_another_models_name_on_an_answer_is_kept(serve: Serve, tmp_path: Any) -> None:
    names = {"a": "tiny", "b": " other-7b", "c": None}
    server = serve(lambda number, body: said("x", model=names[body["messages"][0]["content"]]))
    answers = ask(server.url, requests(*names), tmp_path)
    assert [answers[f"row-{text}"].answered_as for text in names] == ["", "other-7b", ""]


@pytest.mark.parametrize(
    ("asked", "answered_as", "levels"),
    [
        ("qwen3-8b", ["", ""], []),
        ("qwen3-8b", ["", "llama-3-70b"], ["warning"]),
        ("openai/gpt-4o", ["gpt-4o-2024-08-06"], ["info"]),
        ("gpt-4o", ["gpt-4o-mini-2024-07-18"], ["warning"]),
        ("gpt-4", ["gpt-4o"], ["warning"]),
        ("mistral-large-latest", ["mistral-large-2411"], ["info"]),
        ("gemma3", ["gemma3:latest"], ["info"]),
        ("qwen3-8b", ["/models/Qwen3-8B-Q4_K_M.gguf"], ["info"]),
        ("qwen3-8b", ["/models/Qwen3-8B-Q4_K_M.gguf", "llama-3-70b"], ["warning"]),
    ],
)
def test_answers_of_another_model_are_warned_of_and_those_of_a_dated_version_are_noted(
    asked: str, answered_as: list[str], levels: list[str]
) -> None:
    """A server with one model takes any name; a hosted name stands for the newest version."""
    found = endpoints.other_models(asked, answered_as)
    assert [one.level for one in found] == levels
    assert all(name in found[0].message for name in filter(None, answered_as))


def test_a_draw_is_asked_for_by_a_seed_of_the_requests_own(serve: Serve, tmp_path: Any) -> None:
    """By one seed for all, an endpoint may use the same noise for each item, and items would be lucky together."""
    server = serve(lambda number, body: said("yes"))
    ask(server.url, requests(*"ab"), tmp_path, GenerateSettings(temperature=0.7, seed=3))
    ask(server.url, requests("c"), tmp_path, GenerateSettings(seed=3))
    ask(server.url, requests("a"), tmp_path, GenerateSettings(temperature=0.7, seed=3))
    ask(server.url, requests("a"), tmp_path, GenerateSettings(temperature=0.7, seed=4))
    said_of = [(body["messages"][0]["content"], body["temperature"], body.get("seed")) for body in server.asked]
    first = {text: seed for text, _, seed in said_of[:2]}
    assert len(set(first.values())) == 2
    assert said_of[2:4] == [("c", 0, None), ("a", 0.7, first["a"])]
    assert said_of[4][2] not in (None, *first.values())


def test_an_endpoint_that_knows_no_seeds_draws_without_one(serve: Serve, tmp_path: Any) -> None:
    refusal = {"error": {"message": "Unrecognized request argument supplied: seed"}}
    server = serve(lambda number, body: (400, refusal) if "seed" in body else said("yes"))
    found = ask(server.url, requests("a"), tmp_path, GenerateSettings(temperature=0.7, seed=3))
    assert found["row-a"].text == "yes"
    assert server.asked[-1]["temperature"] == 0.7


def test_cut_answers_and_answers_without_text_are_told_apart(serve: Serve, tmp_path: Any) -> None:
    kinds = {"cut": said("half", "length"), "thought": said(None, "length"), "filtered": said(None, "content_filter")}
    server = serve(lambda number, body: kinds[body["messages"][0]["content"]])
    answers = ask(server.url, requests(*kinds), tmp_path)
    assert {id: answer.finish for id, answer in answers.items()} == {
        "row-cut": "length", "row-thought": "length", "row-filtered": "none",
    }  # fmt: skip


def test_a_busy_server_is_asked_again(serve: Serve, tmp_path: Any) -> None:
    server = serve(lambda number, body: (429, {"error": {"message": "slow down"}}) if number < 4 else said("yes"))
    assert ask(server.url, requests("a"), tmp_path)["row-a"].text == "yes"
    assert len(server.asked) == 4


def test_a_connection_that_is_lost_within_an_answer_is_tried_again(serve: Serve, tmp_path: Any) -> None:
    lost: Answer = (200, b'{"choices": [{"mess', {"Content-Length": "500"})
    server = serve(lambda number, body: lost if number < 3 else said("yes"))
    assert ask(server.url, requests("a"), tmp_path)["row-a"].text == "yes"
    assert len(server.asked) == 3


def test_a_connection_that_is_lost_within_the_words_of_an_error_leaves_its_code() -> None:
    class Lost(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            raise ConnectionResetError

    refusal = urllib.error.HTTPError("http://a/v1", 429, "busy", email.message.Message(), Lost())
    assert endpoints._reason(refusal) == "HTTP 429"


def test_an_answer_that_comes_letter_by_letter_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.BytesIO):
        length = 1000

        def read1(self, _: int | None = -1) -> bytes:
            time.sleep(0.02)
            return b"x"

    class Opener:
        def open(self, *_: object, **__: object) -> Slow:
            return Slow()

    monkeypatch.setattr(endpoints, "SECONDS", 0.1)
    monkeypatch.setattr(endpoints, "_OPENER", Opener())
    with pytest.raises(Unavailable, match="does not answer: no whole answer within"):
        endpoints.chat(Endpoint("http://a/v1", "tiny"), [], 5, None, pause=lambda _: None)


def test_half_an_emoji_is_one_sign_that_can_be_written(serve: Serve, tmp_path: Any) -> None:
    """What is kept is UTF-8, which has no half of a surrogate pair."""
    server = serve(lambda number, body: said("yes \ud83d\ude00 \ud83d", "length"))
    answer = ask(server.url, requests("a"), tmp_path)["row-a"]
    assert answer.text == "yes \U0001f600 \ufffd"
    assert answer.model_dump_json()


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    assert endpoints._wait("7", 1) == 7
    assert [endpoints._wait(None, tried) for tried in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert endpoints._wait("86400", 1) == endpoints.LONGEST_PAUSE
    assert endpoints._wait("Fri, 20 Nov 2026 17:00:00 GMT", 2) == 2


def test_a_newer_name_of_the_limit_is_understood(serve: Serve, tmp_path: Any) -> None:
    refusal = {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
    server = serve(lambda number, body: said("yes") if "max_completion_tokens" in body else (400, refusal))
    assert ask(server.url, requests("a"), tmp_path)["row-a"].text == "yes"
    assert server.asked[-1]["max_completion_tokens"] == 5


def _counting(tokens: str) -> bytes:
    """An answer, with such a number of tokens in its prompt."""
    return f'{{"choices": [{{"message": {{"content": "a"}}}}], "usage": {{"prompt_tokens": {tokens}}}}}'.encode()


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((401, {"error": {"message": "no such key"}}), Unavailable, "refused the key: no such key"),
        ((404, {"detail": "Not Found"}), Unavailable, "does not have that .HTTP 404.: Not Found"),
        ((400, {"error": {"message": "the prompt is\ntoo long"}}), InputError, "HTTP 400.: the prompt is too long"),
        ((503, b"starting"), Unavailable, "stays busy .HTTP 503.: starting"),
        ((200, b"<html>hello</html>"), Unavailable, "no chat completion"),
        ((200, {"choices": []}), Unavailable, "no chat completion"),
        ((200, b'{"choices": [{"message": {"con'), Unavailable, "no chat completion"),
        ((200, {"choices": [{"message": {"content": "a"}, "finish_reason": []}]}), Unavailable, "no chat completion"),
        ((200, _counting("1e999")), Unavailable, "no chat completion"),
        ((200, _counting("-7")), Unavailable, "no chat completion"),
        ((200, b"[" * 100_000), Unavailable, "no chat completion"),
        ((200, {"error": {"code": 502, "message": "overloaded"}}), Unavailable, "answered with an error: overloaded"),
        ((307, b"", {"Location": "http://127.0.0.1:9/v1"}), Unavailable, "has moved"),
    ],
)
def test_a_refusal_is_told_in_words(
    serve: Serve, tmp_path: Any, answer: Answer, kind: type[LatheError], says: str
) -> None:
    server = serve(lambda number, body: answer)
    with pytest.raises(kind, match=says):
        ask(server.url, requests("a"), tmp_path)


def test_where_nothing_listens_it_is_said(serve: Serve, tmp_path: Any) -> None:
    server = serve(lambda number, body: said("never"))
    server.close()
    with pytest.raises(Unavailable, match="does not answer"):
        ask(server.url, requests("a"), tmp_path)
    server.close = lambda: None  # type: ignore[method-assign]


def test_what_was_answered_before_a_failure_is_out(serve: Serve, tmp_path: Any) -> None:
    """Evaluation appends each answer as it comes, so that the same command asks only for the rest."""
    server = serve(lambda number, body: said("yes") if number <= 6 else (401, {"error": "expired"}))
    session = plugins.load("runtimes", "openai").open(Model(tmp_path, endpoint=Endpoint(server.url, "tiny")))
    answers = []
    with pytest.raises(Unavailable, match="expired"):
        answers += session.generate(requests(*"abcdefghijkl"), GenerateSettings())
    # `+=` on a list keeps what a generator gave before it raised.
    assert 3 <= len(answers) <= 6


def test_the_key_goes_into_one_header_and_into_no_message(
    serve: Serve, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda number, body: (403, {"error": {"message": "not yours"}}))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-a-person")
    with pytest.raises(Unavailable) as refused:
        ask(server.url, requests("a"), tmp_path)
    assert server.keys == ["Bearer sk-secret-of-a-person"]
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_the_line_end_that_a_file_leaves_on_a_key_is_no_part_of_it(
    serve: Serve, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda number, body: said("yes"))
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-person\r\n")
    ask(server.url, requests("a"), tmp_path)
    assert server.keys == ["Bearer key-of-a-person"]


@pytest.mark.parametrize("key", ["key-of-a-person\nanother", "schlüssel-of-a-person"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_told(
    key: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match="characters that no key has") as refused:
        ask("http://127.0.0.1:9/v1", requests("a"), tmp_path)
    assert "of-a-person" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    "url", ["localhost:8000", "file:///etc/hosts", "http://", "http://user:word@host/v1", "http://a/v1?x=1"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str, tmp_path: Any) -> None:
    with pytest.raises(InputError, match="no address"):
        plugins.load("runtimes", "openai").open(Model(tmp_path, endpoint=Endpoint(url, "tiny")))


def test_without_an_endpoint_it_says_how_to_name_one(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="none was named"):
        plugins.load("runtimes", "openai").open(Model(tmp_path))

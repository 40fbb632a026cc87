"""What must not be answered is refused, with the code that says why; and afterwards the server answers as before."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_client import TOKEN, Serve, Server

CHAT = "/v1/chat/completions"
Change = Callable[[Server], dict[str, Any]]


def told(server: Server, body: Any = None, path: str = CHAT, method: str = "POST", **headers: str | None) -> int:
    return server.ask(method, path, server.question() if body is None else body, **headers).status


def deep(levels: int) -> bytes:
    return b'{"model": "m", "messages": ' + b"[" * levels + b"]" * levels + b"}"


def changed(**keys: Any) -> Callable[[Server], int]:
    """A chat with other keys."""
    return lambda server: told(server, server.question(**keys))


def raw(*lines: str, body: bytes = b"", **headers: str) -> Callable[[Server], int]:
    """Lines as no client library would send them; the right headers first."""

    def send(server: Server) -> int:
        head = ["POST " + CHAT + " HTTP/1.1", *(f"{k}: {v}" for k, v in server.headers(**headers).items()), *lines]
        return server.code("\r\n".join([*head, "", ""]).encode("latin-1") + body)

    return send


def doubled(server: Server) -> dict[str, Any]:
    """A schema whose references double at each of forty levels."""
    defs = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**defs, "a40": {"type": "object"}}, "$ref": "#/$defs/a0"}
    return {"type": "json_schema", "json_schema": {"name": "doubled", "schema": schema}}


def schema(value: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": value}}


def named(name: str) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name}}


CIRCLE = {
    "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}},
    "properties": {"x": {"$ref": "#/$defs/a"}},
}

HOSTILE: dict[str, tuple[int, Callable[[Server], int]]] = {
    "another name in Host": (421, lambda s: told(s, Host="evil.example")),
    "a name that was bent to this address": (421, lambda s: told(s, Host=f"rebind.example:{s.place[1]}")),
    "the right name on another port": (421, lambda s: told(s, Host="127.0.0.1:1")),
    "no Host at all": (400, lambda s: s.code(f"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())),
    "two Hosts": (400, raw("Host: evil.example")),
    "Origin null": (403, lambda s: told(s, Origin="null")),
    "a page of another site": (403, lambda s: told(s, Origin="https://evil.example")),
    "a page of another port": (403, lambda s: told(s, Origin="http://127.0.0.1:1")),
    "a preflight of another site": (403, lambda s: told(s, b"", method="OPTIONS", Origin="https://evil.example")),
    "no token": (401, lambda s: told(s, Authorization=None)),
    "a wrong token": (401, lambda s: told(s, Authorization="Bearer " + "x" * 32)),
    "the beginning of the token": (401, lambda s: told(s, Authorization=f"Bearer {TOKEN[:-1]}")),
    "a token of letters beyond ASCII": (401, lambda s: told(s, Authorization="Bearer " + "\xe9" * 32)),
    "the token as a password": (401, lambda s: told(s, Authorization=f"Basic {TOKEN}")),
    "the token in the address": (401, lambda s: told(s, path=f"{CHAT}?token={TOKEN}", Authorization=None)),
    "two tokens": (401, raw("Authorization: Bearer x")),
    "a form": (415, lambda s: told(s, Content_Type="application/x-www-form-urlencoded")),
    "plain text, which needs no preflight": (415, lambda s: told(s, Content_Type="text/plain")),
    "10 MB": (413, lambda s: told(s, b"x" * 10_000_000)),
    "10 MB announced, nothing sent": (413, raw(Content_Length="10000000")),
    "10 MB in chunks": (413, raw("Transfer-Encoding: chunked", body=(b"40000\r\n" + b"x" * 0x40000 + b"\r\n") * 40)),
    "two ways to say where the body ends": (400, raw("Transfer-Encoding: chunked", Content_Length="4", body=b"0\r\n\r\nGET /")),
    "two lengths": (400, raw("Content-Length: 5", Content_Length="4", body=b"{}  ")),
    "a negative length": (400, raw(Content_Length="-1")),
    "a length that is no number": (400, raw(Content_Length="1e3")),
    "a head of 100 kB": (400, raw("X: " + "x" * 100_000)),
    "a line without a name": (400, raw(": x")),
    "no HTTP": (400, lambda s: s.code(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")),
    "a path out of the folder": (401, lambda s: told(s, b"", "/../../../etc/passwd", "GET", Authorization=None)),
    "a path out of the folder, in other signs": (404, lambda s: told(s, b"", "/%2e%2e/%2e%2e/etc/passwd", "GET")),
    "a file beside the page": (404, lambda s: told(s, b"", "/page.js/../stage.py", "GET")),
    "another method": (405, lambda s: told(s, method="PUT")),
    "no JSON": (400, lambda s: told(s, b"{")),
    "JSON that is no object": (400, lambda s: told(s, b"[]")),
    "no UTF-8": (400, lambda s: told(s, b'{"model": "\xff"}')),
    "100,000 brackets": (400, lambda s: told(s, deep(100_000))),
    "half of a character": (400, lambda s: told(s, json.dumps(s.question("\ud800")).encode())),
    "NaN": (400, lambda s: told(s, json.dumps(s.question(top_p=float("nan"))).encode())),
    "an unknown key": (400, changed(n_discard=-1)),
    "n = -1": (400, changed(n=-1)),
    "n = 1,000,000": (400, changed(n=1_000_000)),
    "max_tokens = -1": (400, changed(max_tokens=-1)),
    "max_tokens = 10^9": (400, changed(max_tokens=10**9)),
    "max_tokens as true": (400, changed(max_tokens=True)),
    "a thousand stops": (400, changed(stop=["x"] * 1000)),
    "an empty stop": (400, changed(stop="")),
    "a temperature": (400, changed(temperature=0.7)),
    "a bias for a token": (400, changed(logit_bias={"2": 100})),
    "a picture": (400, changed(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}])),
    "a thousand turns": (400, changed(messages=[{"role": "user", "content": "x"}] * 1000)),
    "a prompt beyond the context": (400, changed(messages=[{"role": "user", "content": "x " * 3000}])),
    "another role": (400, changed(messages=[{"role": "root", "content": "x"}])),
    "no such model": (404, changed(model="gpt-5")),
    "a path as a model": (404, changed(model="../../../etc/passwd")),
    "a schema that is none": (400, changed(response_format=schema({"type": 5}))),
    "a schema with a pattern that takes for ever": (400, changed(response_format=schema({"patternProperties": {"^(a+)+$": {}}}))),
    "a schema whose references double": (400, lambda s: told(s, s.question(response_format=doubled(s)))),
    "a schema that is itself": (400, changed(response_format=schema({"$ref": "#"}))),
    "a schema of two parts that are each other": (400, lambda s: told(s, s.question(response_format=schema(CIRCLE)))),
    "a schema of 200 kB": (400, changed(response_format=schema({"enum": ["x" * 200_000]}))),
    "a schema by a name that is not here": (400, changed(response_format=named("../thing"))),
    "a WebSocket without the token": (401, raw("Upgrade: websocket", "Connection: Upgrade", Authorization="Bearer x")),
}  # fmt: skip


def test_there_are_at_least_thirty() -> None:
    assert len(HOSTILE) >= 30


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_request_is_refused_with_the_right_code(case: str, objects: Server) -> None:
    status, send = HOSTILE[case]
    assert send(objects) == status
    assert objects.chat("still here").json()["choices"][0]["message"]["content"] == "still here"


def test_a_refusal_says_what_is_wrong_and_repeats_nothing(objects: Server) -> None:
    reply = objects.chat("my secret text", temprature=0.5, max_tokens="many secrets")
    assert reply.status == 400
    assert "temprature" in reply.why
    assert "max_tokens" in reply.why
    assert b"secret" not in reply.body


def test_no_answer_lets_another_site_read_it(objects: Server) -> None:
    for reply in (objects.ask("GET", "/v1/models"), objects.ask("GET", "/", Authorization=None), objects.chat()):
        assert not [name for name in reply.headers if name.startswith("access-control")]
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers


def test_a_second_request_hidden_in_the_first_is_not_answered(objects: Server) -> None:
    hidden = f"GET /v1/models HTTP/1.1\r\nHost: {objects.host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    head = "\r\n".join(f"{k}: {v}" for k, v in objects.headers(Content_Length="4").items())
    answer = objects.raw(
        f"POST {CHAT} HTTP/1.1\r\n{head}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}".encode(), seconds=3
    )
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"400" in answer.split(b"\r\n")[0]


@pytest.fixture(scope="module")
def hasty(objects_run: Path, serving: Serve) -> Server:
    """Few places, little time."""
    return serving(objects_run, "--at-once", "2", "--waiting", "2", "--seconds", "2")


def test_beyond_the_places_that_there_are_requests_are_turned_away(hasty: Server) -> None:
    body = json.dumps(hasty.question("wait 0.2: one two three")).encode()
    head = "\r\n".join(f"{k}: {v}" for k, v in hasty.headers(Content_Length=str(len(body))).items())
    lines = [socket.create_connection(hasty.place, timeout=10) for _ in range(12)]
    for line in lines:
        line.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
    codes = sorted(int(line.recv(4096).split(b" ", 2)[1]) for line in lines)
    for line in lines:
        line.close()
    assert codes == [200] * 4 + [429] * 8
    assert hasty.chat("again").status == 200


def test_an_answer_that_takes_too_long_is_given_up_and_its_place_is_free(hasty: Server) -> None:
    assert hasty.chat("wait 0.7: a b c d e f g").status == 504
    last = list(hasty.chat("wait 0.7: a b c d e f g", stream=True).body.split(b"\n\n"))[-2]
    assert json.loads(last.removeprefix(b"data: "))["error"]["type"] == "timeout_error"
    for _ in range(4):
        assert hasty.chat("quick").status == 200


def test_clients_that_go_away_leave_their_places(hasty: Server) -> None:
    for stream in (True, False) * 4:
        body = json.dumps(hasty.question("wait 0.4: one two three", stream=stream)).encode()
        head = "\r\n".join(f"{k}: {v}" for k, v in hasty.headers(Content_Length=str(len(body))).items())
        with socket.create_connection(hasty.place, timeout=10) as line:
            line.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
            time.sleep(0.1)
    time.sleep(0.3)
    assert hasty.chat("quick").status == 200


def test_slow_senders_are_cut_off_and_others_are_answered_meanwhile(hasty: Server) -> None:
    begun = time.monotonic()
    slow = [socket.create_connection(hasty.place, timeout=30) for _ in range(40)]
    for number, line in enumerate(slow):
        line.sendall(b"" if number % 2 else f"POST {CHAT} HTTP/1.1\r\nHost: {hasty.host}\r\nX-".encode())
    assert hasty.chat("quick").status == 200
    for line in slow:
        assert line.recv(100) == b""
        line.close()
    assert 1 < time.monotonic() - begun < 20


def test_a_body_that_does_not_come_is_not_waited_for(hasty: Server) -> None:
    head = "\r\n".join(f"{k}: {v}" for k, v in hasty.headers(Content_Length="100").items())
    assert hasty.code(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n\r\n{{".encode()) == 408


def test_a_thousand_connections_at_once_leave_a_server_that_answers(objects: Server) -> None:
    body = json.dumps(objects.question()).encode()
    head = "\r\n".join(f"{k}: {v}" for k, v in objects.headers(Content_Length=str(len(body))).items())
    lines = []
    for _ in range(1000):
        line = socket.socket()
        line.setblocking(False)
        line.connect_ex(objects.place)
        lines.append(line)
    time.sleep(0.5)
    codes = []
    for line in lines:
        line.settimeout(20)
        try:
            line.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
            codes.append(int(line.recv(4096).split(b" ", 2)[1]))
        except OSError:
            codes.append(0)
        finally:
            line.close()
    assert set(codes) <= {200, 429, 503}
    assert 200 in codes
    time.sleep(0.2)
    assert objects.chat("still here").status == 200

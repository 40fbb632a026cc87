"""A client that can also say what no client should."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TOKEN = "a-token-for-tests-only-0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}
"""What the objects of the run `objects_run` look like."""


def tool(name: str, strict: bool | None = None, **properties: Any) -> dict[str, Any]:
    """A function as OpenAI's API has it; all arguments are needed."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    function = {"name": name, "description": f"Does {name}.", "parameters": parameters}
    return {"type": "function", "function": function if strict is None else {**function, "strict": strict}}


TOOLS = [tool("order", what={"type": "string"}, count={"type": "integer"}), tool("cancel", what={"type": "string"})]
"""What the calls of the run `calls_run` call."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def why(self) -> str:
        return str(self.json()["error"]["message"])


@dataclass(frozen=True)
class Server:
    """A server that runs. Everything goes to this machine alone."""

    url: str
    token: str
    models: tuple[str, ...]
    process: subprocess.Popen[str]

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname == "127.0.0.1"
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.place[1]}"

    def headers(self, **changes: str | None) -> dict[str, str]:
        """The right ones; _ in a name stands for -, None takes one away."""
        usual = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Host": self.host}
        changed = {**usual, **{name.replace("_", "-"): value for name, value in changes.items()}}
        return {name: value for name, value in changed.items() if value is not None}

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Reply:
        """One request on a connection of its own. body: bytes as they are, anything else as JSON."""
        connection = http.client.HTTPConnection(*self.place, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, self.headers(**headers))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def chat(self, text: str = "say it", **more: Any) -> Reply:
        """A chat in which the model repeats `text`."""
        return self.ask("POST", "/v1/chat/completions", self.question(text, **more))

    def question(self, text: str = "say it", **more: Any) -> dict[str, Any]:
        turns = [{"role": "system", "content": "Repeat."}, {"role": "user", "content": text}]
        return {"model": self.models[0], "messages": turns, **more}

    def events(self, **more: Any) -> Iterator[dict[str, Any]]:
        """The events of a streamed chat, without the last word, which must be [DONE]."""
        lines = [line for line in self.chat(stream=True, **more).body.split(b"\n\n") if line]
        assert lines[-1] == b"data: [DONE]"
        for line in lines[:-1]:
            yield json.loads(line.removeprefix(b"data: "))

    def raw(self, data: bytes, seconds: float = 10.0) -> bytes:
        """Sends bytes as they are, and gives back all that comes until the server closes or the time is over."""
        with socket.create_connection(self.place, timeout=seconds) as line:
            line.sendall(data)
            told = b""
            try:
                while piece := line.recv(65536):
                    told += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return told

    def code(self, data: bytes) -> int:
        """The status that comes back to bytes as they are."""
        with socket.create_connection(self.place, timeout=15) as line:
            line.sendall(data)
            return int(line.recv(4096).split(b" ", 2)[1])


Serve = Callable[..., Server]
"""Starts a server: a run folder, and words for `lathe serve`."""

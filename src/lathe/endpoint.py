"""Questions to any OpenAI-compatible endpoint: vLLM, llama.cpp, Ollama, a hosted model.

    chat(Endpoint("http://localhost:8000/v1", "qwen3-8b"), messages, 256, key=None).text
    side_by_side(items, ask)            ask(item, pause) of each, four at a time, answers as they come

One answer, no tools, greedy unless a temperature is named. What is refused for a while (too many requests, a server that is
starting) is asked again, a little later each time; what is refused for good is an error in its own words. A redirect is not
followed: the key would go too.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from lathe.contracts import Endpoint
from lathe.errors import InputError, LatheError, Unavailable
from lathe.records import DataFinding, Finish, Json, Message

Item = TypeVar("Item")
Found = TypeVar("Found")
Pause = Callable[[float], object]
"""Waits so many seconds, or less where nobody wants the answer any more."""

KEY = "OPENAI_API_KEY"
"""The environment's variable that holds the key; it is read nowhere else, and written nowhere."""
AT_ONCE = 4
"""Requests under way at a time."""
SECONDS = 300.0
"""Longest wait for one answer."""
TRIES = 5
FOR_A_WHILE = {408, 409, 425, 429, 500, 502, 503, 504, 529}
LONGEST_PAUSE = 60.0
MOST_BYTES = 16_000_000
"""Longest reply that is read."""
FINISHES: Mapping[str, Finish] = {"stop": "stop", "length": "length"}
OTHER_NAME = "max_completion_tokens"
LONGEST_NAME = 200
MOST_NAMES = 3
"""Names of other models that a message tells."""
VERSION = r"([-.:@_](\d{2,}|v\d+|latest|i?q\d[a-z0-9_]*|b?f16|fp\d+|gguf))*"
"""What stands behind a model's name for one of its versions: dates, numbers, formats of its weights."""


@dataclass(frozen=True)
class Manner:
    """How an answer is asked for. schema: the JSON Schema that it is to have; an endpoint that holds no answer to one is asked
    without it, so whoever asks checks the answer. seed: which draw; an endpoint that knows none is asked without it, and draws."""

    temperature: float = 0.0
    schema: Json | None = None
    seed: int | None = None


GREEDY = Manner()


@dataclass(frozen=True)
class Reply:
    """One answer. prompt_tokens and new_tokens: as the endpoint counts them, 0 where it does not say; seconds: of the last try.

    answered_as: the model's name by the endpoint; empty where that is the one which was asked for, or it says none.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    new_tokens: int
    seconds: float
    answered_as: str = ""


@dataclass(frozen=True)
class _Failed:
    """What a thread has instead of an answer."""

    error: Exception


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def key_in(environment: Mapping[str, str]) -> str | None:
    """The key, without the line end that a file leaves on it; None where there is none.

    Raises InputError, which does not tell it, where no HTTP header could hold it.
    """
    key = environment.get(KEY, "").strip()
    if not re.fullmatch(r"[\x20-\x7e]*", key):
        raise InputError(
            f"the key in {KEY} holds characters that no key has: a line break, or a letter that is not of ASCII",
            hint=f"Set {KEY} once more to the key as the endpoint's owner gives it.",
        )
    return key or None


def check(endpoint: Endpoint) -> None:
    """Raises InputError where the address is no web address or the model has no name."""
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", endpoint.url):
        raise InputError(
            f"{endpoint.url!r} is no address of an endpoint", hint="Expected one like http://localhost:8000/v1."
        )
    if not endpoint.model.strip():
        raise InputError(
            "the endpoint's model has no name", hint="Name the model as the endpoint lists it under /models."
        )


def chat(
    endpoint: Endpoint,
    messages: Sequence[Message],
    max_new_tokens: int,
    key: str | None,
    pause: Pause = time.sleep,
    manner: Manner = GREEDY,
) -> Reply:
    """The answer to a conversation. pause: what waits between tries.

    Raises Unavailable where nothing answers, the key is refused or the server stays busy, InputError where the request is refused.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": turns,
        "temperature": manner.temperature,
        "max_tokens": max_new_tokens,
    }
    if manner.schema is not None:
        form = {"name": "answer", "schema": manner.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if manner.seed is not None:
        body["seed"] = manner.seed
    for tried in range(1, TRIES + 1):
        started = time.perf_counter()
        try:
            said = _post(endpoint, body, key)
            return _reply(endpoint, said, time.perf_counter() - started)
        except urllib.error.HTTPError as error:
            reason = _reason(error)
            if error.code == 400 and "max_tokens" in body and OTHER_NAME in reason:
                body[OTHER_NAME] = body.pop("max_tokens")  # the newer name of the same limit
                continue
            if error.code in (400, 422) and "response_format" in body and re.search("response_format|schema", reason):
                del body["response_format"]  # an endpoint, or a schema, that it cannot hold answers to
                continue
            if error.code in (400, 422) and "seed" in body and "seed" in reason:
                del body["seed"]
                continue
            if error.code not in FOR_A_WHILE or tried == TRIES:
                _refused(endpoint, error.code, reason)
            pause(_wait(error.headers.get("Retry-After"), tried))
        except (OSError, http.client.HTTPException) as error:
            if tried == TRIES:
                raise Unavailable(
                    f"{endpoint.url} does not answer: {getattr(error, 'reason', None) or error}",
                    hint="Start the server or mend the address; the same command continues.",
                ) from error
            pause(_wait(None, tried))
    raise LatheError(f"{endpoint.url} was asked {TRIES} times without an answer or a reason")


def other_models(asked: str, answered_as: Iterable[str]) -> list[DataFinding]:
    """Whether answers came under another name than was asked for, by their `answered_as`. A warning, but for a version of the same.

    A hosted name often stands for the newest of dated versions; a server with one model may answer to any name.
    """
    others = Counter(name for name in answered_as if name)
    if not others:
        return []
    versions = all(_is_version(name, asked) for name in others)
    named = ", ".join(f"{name} ({count:,})" for name, count in others.most_common(MOST_NAMES))
    return [
        DataFinding(
            id="other_model",
            level="info" if versions else "warning",
            message=f"asked for {asked}, the endpoint answered as {named}",
            hint="Name the model as the endpoint lists it under /models.",
            count=others.total(),
        )
    ]


def _is_version(name: str, asked: str) -> bool:
    """Whether a name is of a version, or a file, of the model that was asked for: only a date, number or format stands behind it.

    gpt-4o-2024-08-06 is one of gpt-4o; gpt-4o-mini is not, and gpt-4o is none of gpt-4.
    """
    named, own = (_own_name(one).removesuffix("-latest") for one in (name, asked))
    return named.startswith(own) and re.fullmatch(VERSION, named.removeprefix(own)) is not None


def _own_name(model: str) -> str:
    """A model's name without whose it is, or where it lies."""
    return model.rpartition("/")[2].casefold()


def side_by_side(
    items: Sequence[Item], ask: Callable[[Item, Pause], Found], over: threading.Event | None = None
) -> Iterator[Found]:
    """What `ask(item, pause)` gives for each item, as it comes. The first one that raises ends it, and so does setting `over`."""
    ended = over or threading.Event()
    left: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[Found | _Failed] = queue.SimpleQueue()
    for item in items:
        left.put(item)

    def work() -> None:
        while not ended.is_set():
            try:
                done.put(ask(left.get_nowait(), ended.wait))
            except queue.Empty:
                return
            except Exception as error:
                done.put(_Failed(error))
                return

    # Daemons: who stops a run does not wait for a server that takes minutes.
    for _ in range(min(AT_ONCE, len(items))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in items:
            found = done.get()
            if isinstance(found, _Failed):
                raise found.error
            yield found
    finally:
        ended.set()


def _post(endpoint: Endpoint, body: Mapping[str, Any], key: str | None) -> bytes:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "lathe"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    address = f"{endpoint.url.rstrip('/')}/chat/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
    until = time.monotonic() + SECONDS
    with _OPENER.open(request, timeout=SECONDS) as answer:
        said = b""
        while len(said) < MOST_BYTES and (part := answer.read1(MOST_BYTES - len(said))):
            said += part
            if time.monotonic() > until:  # the timeout is of each reading, and a server may send letter by letter
                raise TimeoutError(f"no whole answer within {SECONDS:.0f} s")
        if answer.length and len(said) < MOST_BYTES:  # read with a limit, a lost connection is no error of its own
            raise http.client.IncompleteRead(said, answer.length)
        return said


def _reply(endpoint: Endpoint, said: bytes, seconds: float) -> Reply:
    try:
        value = json.loads(said)
        if "choices" not in value and "error" in value:  # routers pass on so what went wrong behind them, as HTTP 200
            raise Unavailable(
                f"{endpoint.url} answered with an error: {_words(said)}",
                hint="Wait a while; the same command continues.",
            )
        choice = value["choices"][0]
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
        used = value.get("usage") or {}
        counts = int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0)
        if not isinstance(text, str | None) or not isinstance(finish, str | None) or min(counts) < 0:
            raise TypeError("content or finish_reason is no text, or fewer than no tokens are counted")
        named = value.get("model")
        other = named.strip() if isinstance(named, str) and named.strip() != endpoint.model else ""
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        begun = said.lstrip().startswith(b"{")
        raise Unavailable(
            f"{endpoint.url} answered something that is no chat completion: {said[:80].decode(errors='replace')!r}",
            hint="The reply is cut off or of another kind; the same command asks again."
            if begun
            else "The address should end before /chat/completions, mostly with /v1.",
        ) from error
    # An answer without text (a filter, a call of a tool) is no answer; one cut at the limit may be empty and was one.
    ending = FINISHES.get(finish or "stop", "none") if text or finish == "length" else "none"
    return Reply(_whole(text or ""), ending, *counts, seconds, _whole(other[:LONGEST_NAME]))


def _whole(text: str) -> str:
    """The text with a sign for each half of a surrogate pair: an answer that was cut inside an emoji ends with one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _wait(asked: str | None, tried: int) -> float:
    """Seconds until the next try: what the server asks for, else 1, 2, 4, 8."""
    wanted = float(asked) if asked and asked.isdecimal() else float(2 ** (tried - 1))
    return min(wanted, LONGEST_PAUSE)


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's own words, on one line; the code alone where the connection is lost within them."""
    said = b""
    with contextlib.suppress(OSError, http.client.HTTPException):
        said = error.read(2000)
    return _words(said) or f"HTTP {error.code}"


def _words(said: bytes) -> str:
    """What an error says, on one line; empty where it says nothing."""
    text = said.decode(errors="replace")
    try:
        value = json.loads(text)
        inner = value.get("error", value.get("message", value.get("detail", text)))
        text = str(inner["message"] if isinstance(inner, dict) else inner)
    except (ValueError, KeyError, AttributeError):
        pass
    return " ".join(text.split())[:300]


def _refused(endpoint: Endpoint, code: int, reason: str) -> NoReturn:
    if code in (401, 403):
        raise Unavailable(f"{endpoint.url} refused the key: {reason}", hint=f"Set {KEY} to a key that it knows.")
    if 300 <= code < 400:
        raise Unavailable(
            f"{endpoint.url} has moved (HTTP {code})", hint="Name the new address; it is not followed with a key."
        )
    if code in FOR_A_WHILE:
        raise Unavailable(
            f"{endpoint.url} stays busy (HTTP {code}): {reason}", hint="Wait a while; the same command continues."
        )
    if code == 404:
        hint = f"Is the address right, and is {endpoint.model!r} among the models that it lists?"
        raise Unavailable(f"{endpoint.url} does not have that (HTTP 404): {reason}", hint=hint)
    raise InputError(f"{endpoint.url} refused the request (HTTP {code}): {reason}")

"""llama.cpp as it is used: a GGUF file behind its own server, on loopback, in a child process.

    with LlamaServer(Path("model-q8_0.gguf"), context=2048) as server:
        text = server.render(messages)              # by the chat template that stands in the file
        ids = server.tokenize(text)                 # by the tokenizer that stands in the file
        server.complete(ids, max_new_tokens=64)     # until one of the file's own end tokens

Nothing of the base folder is used here: what the server says is what a user of the file gets. A file that breaks llama.cpp ends the
child and becomes an error here. The server listens on a free port of 127.0.0.1 and takes no request without a token that is drawn
for it. Needs the package xllamacpp; up in half a second for a small model.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import urllib.error
import urllib.request
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from lathe import processes
from lathe.conformity.narrowed import without
from lathe.contracts import Form, JsonForm, Piece
from lathe.engine.grammar import as_lark
from lathe.errors import InputError, LatheError, Unavailable
from lathe.records import Message

PACKAGE = "xllamacpp"
INSTALL = "pip install 'lathe-slm[gguf]'"
MAGIC = b"GGUF"
SMALL_FILE = 60_000_000
"""Bytes below which one thread answers: llama.cpp's threads spin while they wait, and a small model's layers end at once."""
SECONDS = 600.0
"""Longest wait for one answer."""
FORCING = 1e4
"""Added to a token's logit, this leaves no other."""
EVENT = b"data: "
"""Begins each line of an answer that is streamed."""
GRACE_SECONDS = 2.0
"""How long a child that broke off an answer may take to be seen as gone."""


@dataclass(frozen=True)
class Completion:
    """An answer. ids: without the token that ended it. text: as the server gives it."""

    ids: list[int]
    text: str
    finish: Literal["stop", "length"]
    seconds: float


@dataclass(frozen=True)
class Streamed:
    """A greedy answer that was told in pieces. new_tokens: without the token that ended it. text: a broken character at its end, as
    the limit of tokens can leave one, is left out."""

    text: str
    new_tokens: int
    finish: Literal["stop", "length"]
    seconds: float


class LlamaServer:
    """One loaded file. context: most tokens of prompt and answer together. threads: None = one for a small file, else all cores.
    at_once: answers under way side by side, each with a context of its own."""

    def __init__(self, path: Path, context: int, threads: int | None = None, at_once: int = 1) -> None:
        check_gguf(path)
        if find_spec(PACKAGE) is None:
            raise Unavailable(f"running a GGUF file needs the package {PACKAGE}", hint=f"Install it with: {INSTALL}")
        self._letter: int | None = None
        self._path = path
        self._token = secrets.token_urlsafe(32)
        self._child = processes.start("lathe.engine.llama_child", os.environ, stderr=subprocess.DEVNULL)
        weakref.finalize(self, processes.end, self._child, self._child.stdin, self._child.stdout)
        asked = {
            "path": str(path),
            "context": context * at_once,
            "at_once": at_once,
            "threads": threads or suited_threads(path),
            "token": self._token,
        }
        self._address = self._first_words(asked)

    def _first_words(self, asked: Mapping[str, object]) -> str:
        """Where the child listens. Raises InputError where it cannot load the file."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(OSError):  # where the child is gone, its answer below says how
            self._child.stdin.write(json.dumps(asked).encode() + b"\n")
            self._child.stdin.flush()
        for line in self._child.stdout:
            with contextlib.suppress(ValueError, TypeError):
                said = json.loads(line)
                if "address" in said:
                    return str(said["address"])
                self.close()
                raise InputError(f"llama.cpp cannot load {self._path}: {said['error']}")
        raise self._ended()

    def _ended(self) -> InputError:
        """The error for a child that is gone."""
        code = self._child.wait()
        return InputError(
            f"llama.cpp ended with code {code} while it worked on {self._path}",
            hint="The file is damaged, or memory ran out. Write or fetch it again.",
        )

    def __enter__(self) -> LlamaServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the server and frees the model."""
        processes.end(self._child, self._child.stdin, self._child.stdout)

    def resident_bytes(self) -> int:
        """Memory that the loaded file takes now: all of its process, with the cache of a whole context."""
        return int(psutil.Process(self._child.pid).memory_info().rss)

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as the file's chat template writes it, up to where the assistant begins. Raises InputError where it fails."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        # What Lathe trains on is asked not to think aloud first (`text.tokenizer`); so is the file.
        asked = {"messages": turns, "chat_template_kwargs": {"enable_thinking": False}}
        return str(self._post("/apply-template", asked)["prompt"])

    def tokenize(self, text: str) -> list[int]:
        """Ids of a rendered prompt: names of special tokens are tokens, and a bos is added where the file asks for it."""
        return self._ids(text, whole=True)

    def tokenize_plain(self, text: str) -> list[int]:
        """Ids of a piece of text: names of special tokens are tokens, and nothing is added."""
        return self._ids(text, whole=False)

    def _ids(self, text: str, whole: bool) -> list[int]:
        asked = {"content": text, "add_special": whole, "parse_special": True}
        return [int(id) for id in self._post("/tokenize", asked)["tokens"]]

    def complete(
        self, ids: Sequence[int], max_new_tokens: int, temperature: float = 0.0, seed: int = 0, form: Form | None = None
    ) -> Completion:
        """The answer to prompt ids, ended by the file's own end tokens: the greedy one, or one that is drawn among all tokens; of
        those that its form allows, where it has one."""
        # Left to itself llama.cpp would draw among the likeliest tokens alone.
        drawn = {"temperature": temperature, "seed": seed, "samplers": ["temperature"]} if temperature else {}
        said = self._complete(ids, n_predict=max_new_tokens, **drawn, **_held(form))
        tokens = [int(id) for id in said["tokens"]]
        ids = tokens[:-1] if said["stop_type"] == "eos" else tokens
        return Completion(ids, str(said["content"]), _finish(said), _seconds(said))

    def stream(self, ids: Sequence[int], max_new_tokens: int, form: Form | None = None) -> Generator[Piece | Streamed]:
        """As `complete`, told while it is written; the last is the whole. To break the answer off, close the generator."""
        asked = self._greedily(ids, n_predict=max_new_tokens, stream=True, **_held(form))
        text = ""
        with self._answer("/completion", asked) as lines:
            for line in lines:
                if not line.startswith(EVENT):
                    continue
                said = json.loads(line[len(EVENT) :])
                if "error" in said:
                    raise LatheError(f"llama.cpp broke off an answer: {said['error'].get('message')}")
                text += said["content"]
                count = said["tokens_predicted"]
                if said["content"]:
                    yield Piece(said["content"], count)
                if said["stop"]:
                    yield Streamed(text, count - (said["stop_type"] == "eos"), _finish(said), _seconds(said))

    def stops_at(self, ids: Sequence[int], token: int) -> bool:
        """Whether an answer to the prompt really ends where it comes to `token`: it is made to write nothing else."""
        return bool(self._complete(ids, n_predict=2, logit_bias=[[token, FORCING]])["stop_type"] == "eos")

    def holds(self, form: Form, token: int) -> bool:
        """Whether an answer is kept from beginning with a token that its form refuses: it is pushed to write nothing else."""
        said = self._complete([token], n_predict=1, logit_bias=[[token, FORCING]], **_held(form))
        return token not in said["tokens"]

    def next_token(self, ids: Sequence[int], most_likely: int) -> dict[int, float]:
        """Log-probabilities of the tokens that are most likely to follow, by id, most likely first.

        The server keeps back what it knows of a token that is half a character. So it is made to write a letter; the probabilities
        that it gives are those before any such bias.
        """
        if self._letter is None:
            self._letter = self.tokenize_plain("a")[-1]
        said = self._complete(ids, n_predict=1, n_probs=most_likely, logit_bias=[[self._letter, FORCING]])
        found = said["completion_probabilities"][0]["top_logprobs"]
        return {int(one["id"]): float(one["logprob"]) for one in found}

    def _complete(self, ids: Sequence[int], **options: object) -> Mapping[str, Any]:
        return self._post("/completion", self._greedily(ids, **options))

    def _greedily(self, ids: Sequence[int], **options: object) -> dict[str, object]:
        return {"prompt": list(ids), "temperature": 0.0, "cache_prompt": True, "return_tokens": True, **options}

    def _post(self, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        with self._answer(path, body) as answer:
            return dict(json.load(answer))

    @contextlib.contextmanager
    def _answer(self, path: str, body: Mapping[str, object]) -> Iterator[IO[bytes]]:
        """What the child answers, as a stream. Faults while it is read are re-worded as well."""
        if self._child.poll() is not None:
            raise self._ended()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._address + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with _NO_PROXY.open(request, timeout=SECONDS) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise InputError(f"llama.cpp refused {path}: {_reason(error)}") from error
        except (OSError, ValueError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(GRACE_SECONDS)
                raise self._ended() from error
            raise LatheError(f"llama.cpp did not answer {path}: {error}") from error


def _held(form: Form | None) -> dict[str, object]:
    """What llama.cpp holds an answer to its form by. Of a grammar that it cannot read it says nothing, and answers freely."""
    if form is None:
        return {}
    if isinstance(form, JsonForm):
        # Its llguidance, 1.0.1, takes the keyword for a ban on minus signs.
        form = JsonForm(without(form.schema, ("multipleOf",)))
    return {"grammar": f"%llguidance {{}}\n{as_lark(form)}"}


def _finish(said: Mapping[str, Any]) -> Literal["stop", "length"]:
    return "length" if said["stop_type"] == "limit" else "stop"


def _seconds(said: Mapping[str, Any]) -> float:
    """Time that the answer took, prompt and all, without what it waited for."""
    return float(said["timings"]["prompt_ms"] + said["timings"]["predicted_ms"]) / 1000


_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy that the environment names must not see what goes over loopback."""


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code}"


def suited_threads(path: Path) -> int:
    """CPU threads for a file: one for a small model, else all cores that this process may use."""
    if path.stat().st_size < SMALL_FILE:
        return 1
    return processes.usable_cores()


def check_gguf(path: Path) -> None:
    """Raises InputError where the file is missing or no GGUF file, before llama.cpp opens it."""
    try:
        with open(path, "rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if begin != MAGIC:
        raise InputError(f"{path} is no GGUF file: it begins with {begin!r}", hint="Write it again; it may be cut off.")

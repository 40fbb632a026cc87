"""A chat template that is rendered in a child process, never in ours.

    template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
    template.render([Chat((Message(role="user", content="Hello"),), add_generation_prompt=True)])  -> ["<s>[INST] Hello [/INST]"]

One child serves all batches of a template: about 0.1 s to start, then some 10,000 short chats a second. Of a template that only
writes out what messages say it tells once for each row of roles what stands around that (lathe.text.template_pieces); such chats
are put together here.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from lathe import processes
from lathe.errors import InputError, Refused
from lathe.records import Message

WALL_SECONDS = 60.0
"""Longest wait for one batch. The child's own limit is processor time; this one is for a machine where that does not work."""
BATCH = 64
MOST_ROLES = 1000
"""Rows of roles whose pieces are kept."""
PART_BYTES = 1 << 16


Pieces = Sequence[str | int]
"""What a template writes, and in between the numbers of the contents that stand there."""


@dataclass(frozen=True)
class Chat:
    """One conversation to render. add_generation_prompt: whether the text ends where the assistant begins to write."""

    messages: Sequence[Message]
    add_generation_prompt: bool


class ChatTemplate:
    """A template's source and the variables that it sees beside the messages (special tokens, `enable_thinking`)."""

    def __init__(self, source: str, variables: Mapping[str, object]) -> None:
        self.source = source
        self.variables = dict(variables)
        self._child: subprocess.Popen[bytes] | None = None
        self._lines: Iterator[bytes] = iter(())
        self._turn = threading.Lock()
        self._pieces: dict[tuple[str, ...], tuple[Pieces, Pieces] | None] = {}

    def render(self, chats: Iterable[Chat]) -> list[str]:
        """The text of each chat.

        Raises Refused where the template breaks a limit or the sandbox, InputError where it fails or raises on its own.
        """
        asked = [_asked(chat.messages, add_generation_prompt=chat.add_generation_prompt) for chat in chats]
        return [text for text, _ in self._rendered(asked)]

    def render_answered(self, chats: Iterable[tuple[Sequence[Message], str]]) -> list[tuple[str, str | None]]:
        """For each chat and what the assistant then writes: the text up to where it begins, and the rest with what it wrote; None
        where the template renders the answered chat with another beginning. Raises as `render`.
        """
        return self._rendered(
            [_asked(messages, add_generation_prompt=True) | {"answer": answer} for messages, answer in chats]
        )

    def _rendered(self, chats: Sequence[dict[str, Any]]) -> list[tuple[str, str | None]]:
        """The text of each chat, and the rest of those with an answer: put together here, or asked of the child."""
        found = [self._put_together(chat) for chat in chats]
        said = iter(self._all_said([chat for chat, texts in zip(chats, found, strict=True) if texts is None]))
        return [texts or ((one := next(said))["text"], one.get("rest")) for texts in found]

    def _put_together(self, chat: dict[str, Any]) -> tuple[str, str | None] | None:
        """The same of one chat; None where the template has to see it."""
        messages = chat["messages"]
        roles = tuple(message["role"] for message in messages)
        if not chat["add_generation_prompt"] or (known := self._pieces_of(roles)) is None:
            return None
        contents = [message["content"] for message in messages]
        text = _joined(known[0], contents)
        if "answer" not in chat:
            return text, None
        whole = _joined(known[1], [*contents, chat["answer"]])
        return text, whole.removeprefix(text) if whole.startswith(text) else None

    def _pieces_of(self, roles: tuple[str, ...]) -> tuple[Pieces, Pieces] | None:
        """What the template writes around the contents of such a chat: as a prompt, and answered; None where contents matter."""
        if roles not in self._pieces:
            if len(self._pieces) == MOST_ROLES:
                return None
            with self._turn:
                self._send({"roles": roles})
                said = self._said()
            self._pieces[roles] = None if said["prompt"] is None else (said["prompt"], said["answered"])
        return self._pieces[roles]

    def _all_said(self, chats: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the child says to each chat, asked BATCH at a time."""
        batches = [chats[start : start + BATCH] for start in range(0, len(chats), BATCH)]
        found: list[dict[str, Any]] = []
        with self._turn:
            # One batch ahead, so that the child need not wait while its answers are read.
            for batch, before in zip([*batches, []], [[], *batches], strict=True):
                if batch:
                    self._send({"chats": batch})
                found += [self._said() for _ in before]
        return found

    def start(self) -> None:
        """Starts the child, so that it is ready when it is needed."""
        with self._turn:
            self._started()

    def close(self) -> None:
        """Ends the child. It also ends by itself when this object or this process does."""
        if self._child is not None:
            processes.end(self._child, self._child.stdin)
            self._child = None

    def _send(self, asked: dict[str, Any]) -> None:
        child = self._started()
        request = {"template": self.source, "variables": self.variables, **asked}
        assert child.stdin is not None
        with contextlib.suppress(OSError):  # where the child is gone, its answer below says how
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()

    def _said(self) -> dict[str, Any]:
        child = self._started()
        try:
            line = next(self._lines, None)
        except queue.Empty:
            self.close()
            raise _refused(f"it ran for more than {WALL_SECONDS:.0f} s") from None
        if line is None:
            self.close()
            raise _refused(_how_it_ended(child))
        said: dict[str, Any] = json.loads(line)
        if "error" not in said:
            return said
        # What the rest of the batch would still answer is of no use to anybody.
        self.close()
        if said["kind"] == "hostile":
            raise _refused(said["error"])
        raise InputError(
            f"the chat template of the base failed: {said['error']}",
            hint="Check that the base takes the roles of these messages (some take no system turn), or mend chat_template.jinja.",
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            known = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
            self._child = processes.start(
                "lathe.text.template_worker", {**known, "PYTHONUTF8": "1"}, stderr=subprocess.DEVNULL
            )
            assert self._child.stdout is not None
            parts: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            threading.Thread(target=_carry, args=(self._child.stdout, parts), daemon=True).start()
            self._lines = _lines(parts)
            weakref.finalize(self, processes.end, self._child, self._child.stdin)
        return self._child


def _asked(messages: Sequence[Message], *, add_generation_prompt: bool) -> dict[str, Any]:
    """A chat as the child reads it."""
    told = [{"role": message.role, "content": message.content} for message in messages]
    return {"messages": told, "add_generation_prompt": add_generation_prompt}


def _joined(pieces: Pieces, contents: Sequence[str]) -> str:
    return "".join([piece if isinstance(piece, str) else contents[piece] for piece in pieces])


def _carry(stream: IO[bytes], parts: queue.SimpleQueue[bytes]) -> None:
    """Carries over what the child writes, as it comes; an empty part for its end."""
    with stream:
        while part := os.read(stream.fileno(), PART_BYTES):
            parts.put(part)
    parts.put(b"")


def _lines(parts: queue.SimpleQueue[bytes]) -> Iterator[bytes]:
    """The whole lines in what is carried over, up to the child's end. Raises queue.Empty where nothing comes for WALL_SECONDS."""
    begun = b""
    while part := parts.get(timeout=WALL_SECONDS):
        *whole, begun = (begun + part).split(b"\n")
        yield from whole


def _how_it_ended(child: subprocess.Popen[bytes]) -> str:
    code = child.wait()
    if code == -getattr(signal, "SIGPROF", 0):
        return "it used more than 2 s of processor time on one chat"
    return f"its process ended with code {code}, most likely for want of memory"


def _refused(what: str) -> Refused:
    return Refused(
        f"the chat template of the base was stopped: {what}",
        hint="A template is a program. Take the base from a source that you trust, or write its chat_template.jinja anew.",
    )

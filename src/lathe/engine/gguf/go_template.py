"""A base's chat template told anew as a Go template, which is what Ollama renders with.

Any template of turns is taken to be: a beginning (another one where there is no system turn), then for each turn what stands before
and after its text, by role, then what opens the assistant's turn. The pieces are read off the renderings of a few probes; whether
they give the same prompts is tested on conversations that took no part in it. A template that does more (tools, dates) is refused
rather than approximated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lathe.engine.fidelity.golden import golden_chats
from lathe.errors import InputError
from lathe.records import Message
from lathe.text.template import Chat
from lathe.text.tokenizer import Tokenizer

_MARK = "lathe-probe-{}"
MOST_CONTEXT = 8192
"""Tokens of context that Ollama is asked to set aside at most; its own default would cut long prompts silently."""


@dataclass(frozen=True)
class Pieces:
    """begin: in front where a system turn follows; begin_alone: where none does. around: text before and after a turn, by role."""

    begin: str
    begin_alone: str
    around: Mapping[str, tuple[str, str]]
    opening: str

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt for some turns, as the Go template below writes it."""
        instructed = any(message.role == "system" for message in messages)
        turns = [self.around[message.role][0] + message.content + self.around[message.role][1] for message in messages]
        return (self.begin if instructed else self.begin_alone) + "".join(turns) + self.opening

    def go(self) -> str:
        """The same as a Go template over .System and .Messages; Ollama puts the system text among the messages."""
        branches = []
        for place, (role, (before, after)) in enumerate(self.around.items()):
            word = "if" if place == 0 else "else if"
            branches.append(f'{{{{ {word} eq .Role "{role}" }}}}{_quoted(before)}{{{{ .Content }}}}{_quoted(after)}')
        if self.begin == self.begin_alone:
            start = _quoted(self.begin)
        else:
            start = f"{{{{ if .System }}}}{_quoted(self.begin)}{{{{ else }}}}{_quoted(self.begin_alone)}{{{{ end }}}}"
        return f"{start}{{{{ range .Messages }}}}{''.join(branches)}{{{{ end }}}}{{{{ end }}}}{_quoted(self.opening)}"


def derive(tok: Tokenizer) -> Pieces:
    """The pieces of a tokenizer's template. Raises InputError where they do not give what the template gives."""
    if tok.template is None:
        pieces = Pieces("", "", dict.fromkeys(("system", "user", "assistant"), ("", "\n")), "")
    else:
        pieces = _read_off(tok)
    chats = golden_chats(system="system" in pieces.around)
    expected = (
        tok.template.render(Chat(chat, add_generation_prompt=True) for chat in chats)
        if tok.template is not None
        else ["".join(f"{message.content}\n" for message in chat) for chat in chats]
    )
    differing = sum(pieces.render(chat) != text for chat, text in zip(chats, expected, strict=True))
    if differing:
        raise InputError(
            f"the chat template of {tok.folder} cannot be told as a Go template: {differing} of {len(chats)} chats would differ",
            hint="Ship gguf_q8_0 instead: llama.cpp renders the base's own template.",
        )
    return pieces


def modelfile(gguf: str, pieces: Pieces, tok: Tokenizer) -> str:
    """The Modelfile: the file, the template, every end token as a stop, greedy decoding as it was measured."""
    stops = "".join(f"PARAMETER stop {_in_quotes(tok.token(id))}\n" for id in sorted(tok.stop_ids))
    context = f"PARAMETER num_ctx {min(tok.max_tokens, MOST_CONTEXT)}\n" if tok.max_tokens else ""
    return f'FROM ./{gguf}\nTEMPLATE """{pieces.go()}"""\n{stops}PARAMETER temperature 0\n{context}'


def _read_off(tok: Tokenizer) -> Pieces:
    assert tok.template is not None
    user, reply, again, system = (_MARK.format(name) for name in ("user", "reply", "again", "system"))
    turns = (
        Message(role="user", content=user),
        Message(role="assistant", content=reply),
        Message(role="user", content=again),
    )
    alone, opened, longer = tok.template.render([Chat(turns[:1], False), Chat(turns[:1], True), Chat(turns, False)])
    for text, marks in ((alone, (user,)), (longer, (user, reply, again))):
        if any(text.count(mark) != 1 for mark in marks):
            raise InputError(f"the chat template of {tok.folder} does not write each turn once")
    opening = opened[len(alone) :] if opened.startswith(alone) else ""
    after_user = alone[alone.index(user) + len(user) :]
    between = longer[longer.index(user) + len(user) : longer.index(reply)]
    before_reply = between[len(after_user) :]
    after_reply_before_user = longer[longer.index(reply) + len(reply) : longer.index(again)]
    front = alone[: alone.index(user)]
    before_user = after_reply_before_user.removeprefix(after_user)  # most templates end all turns alike
    if not front.endswith(before_user):
        common = _common_end(front, after_reply_before_user)
        before_user = front[_whole(tok, front, len(front) - len(common)) :]  # <s> and </s> end alike
    after_reply = after_reply_before_user[: len(after_reply_before_user) - len(before_user)]
    around = {"user": (before_user, after_user), "assistant": (before_reply, after_reply)}
    begin_alone = front[: len(front) - len(before_user)]
    try:
        instructed = tok.template.render([Chat((Message(role="system", content=system), turns[0]), False)])[0]
    except InputError:  # a template that takes no system turn
        return Pieces(begin_alone, begin_alone, around, opening)
    before = instructed[: instructed.index(system)]
    after = instructed[instructed.index(system) + len(system) : instructed.index(user)]
    # A template that writes a system text of its own opens both alike, so the user's header tells where the system's begins.
    header = before_user.replace("user", "system")
    begin = before.removesuffix(header) if before.endswith(header) else _common_begin(before, begin_alone)
    around = {"system": (before[len(begin) :], after[: len(after) - len(before_user)]), **around}
    return Pieces(begin, begin_alone, around, opening)


def _whole(tok: Tokenizer, text: str, place: int) -> int:
    """The place itself, or behind the special token in the middle of which it is."""
    names = tok.special.pattern.finditer(text)
    return next((found.end() for found in names if found.start() < place < found.end()), place)


def _common_end(first: str, second: str) -> str:
    length = 0
    while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
        length += 1
    return first[len(first) - length :]


def _common_begin(first: str, second: str) -> str:
    return _common_end(first[::-1], second[::-1])[::-1]


def _quoted(text: str) -> str:
    """Plain text inside a Go template inside a Modelfile's three quotes; braces and quotes as a Go string."""
    return f"{{{{ {_in_quotes(text)} }}}}" if "{{" in text or '"' in text or "}}" in text else text


def _in_quotes(text: str) -> str:
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    )
    return f'"{escaped}"'

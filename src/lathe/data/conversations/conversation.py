"""One row as a conversation, whatever its layout was, and the parts that layouts have in common.

    Conversation((Turn("user", "Hi"), Turn("assistant", "Hello"))).completion   ->  "Hello"

Calls of tools are held as {"name": ..., "arguments": {...}}, with the arguments as an object, which is what templates expect. Pure
functions; what cannot be read raises DataError without a place, which the reader of the file adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from lathe.data.conversations.markup import ROLES
from lathe.data.files.json_line import LineFault, decode
from lathe.errors import DataError
from lathe.records import Example, Json, Message, Row, canonical, digest

Role = Literal["system", "user", "assistant", "tool"]
PARTS_OF_A_GRAPH = {"entities", "relations", "hyperedges"}
PARTS_OF_A_CALL = {"name", "arguments"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. trained: whether an assistant's turn is an answer to learn (weight 0 says no)."""

    role: Role
    content: str
    tool_calls: tuple[Json, ...] = ()
    """Each {"name": ..., "arguments": {...}}, whatever the format's own nesting."""
    trained: bool = True

    def text(self) -> str:
        """The content, and each call as a line of JSON."""
        if not self.tool_calls:
            return self.content
        return "\n".join([*([self.content] if self.content else []), *map(canonical, self.tool_calls)])


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row, whatever its layout was. The last turn is the assistant's; a plain text is one answer without a prompt."""

    turns: tuple[Turn, ...]
    tools: tuple[Json, ...] = ()
    target: Json = None
    """The answer as a value, where the row gives a JSON value (or a text that is a JSON object or list)."""
    id: str | None = None
    meta: dict[str, str] = field(default_factory=dict)
    """Other short columns: source, category, schema ..."""
    asked: str | None = None
    """The input by itself, where it is known without instruction and schema; None = told from the turns."""
    several: bool = False
    """Whether the row gives several right answers, of which this is the first."""
    judged: Json = None
    """What the answer says by its task, where one is known."""

    @property
    def completion(self) -> str:
        """The last answer as text."""
        return self.turns[-1].text()

    @property
    def input(self) -> str:
        """What was asked: all turns before the last answer but the system's. Duplicates are told by it."""
        if self.asked is not None:
            return self.asked
        asked = [turn.text() for turn in self.turns[:-1] if turn.role != "system"]
        return "\n".join(asked) if asked else self.prompt

    @property
    def prompt(self) -> str:
        """All turns before the last answer, the system's too: a text under another schema or system prompt is another prompt."""
        return "\n".join(turn.text() for turn in self.turns[:-1])

    @property
    def meaning(self) -> Json:
        """What the answer says, however it is written. Where no task says so, a graph and calls have no order;
        that of any other list may be the answer."""
        if self.judged is not None:
            return self.judged
        return self.completion if self.target is None else without_order(self.target)

    def answers(self) -> Iterator[tuple[tuple[Turn, ...], Turn]]:
        """Each answer that is to be learned, with the turns before it."""
        for place, turn in enumerate(self.turns):
            if turn.role == "assistant" and turn.trained:
                yield self.turns[:place], turn

    def has_earlier_answers(self) -> bool:
        """Whether answers that could be learned stand before the last of them."""
        return sum(1 for _ in self.answers()) > 1

    def last_only(self) -> Conversation:
        """The same with one answer to learn, the last: what a run is trained on."""
        learned = [place for place, turn in enumerate(self.turns) if turn.role == "assistant" and turn.trained]
        turns = (replace(turn, trained=False) if at in learned[:-1] else turn for at, turn in enumerate(self.turns))
        return replace(self, turns=tuple(turns))


def answer_example(before: Sequence[Turn], answer: Turn, identity: str, conversation: Conversation) -> Example:
    """One answer and the turns before it as an example."""
    return Example(
        id=identity,
        input=conversation.input,
        messages=tuple(Message(role=turn.role, content=turn.text()) for turn in before),
        completion=answer.text(),
        target=conversation.target,
        meta=conversation.meta,
    )


def identity_of(conversation: Conversation) -> str:
    """The row's own id, else a hash of its prompt."""
    return conversation.id or digest([[turn.role, turn.text()] for turn in conversation.turns[:-1]])[:16]


# ------------------------------------------------------------------------------------------ parts of rows


def text_in(value: Json, column: str) -> str:
    """A text. Raises DataError where there is none; an empty one is let through, quality names it."""
    if isinstance(value, str):
        return value
    raise DataError(f"expected {column!r} to be a text, got {shown(value)}")


def system_in(row: Row, columns: Mapping[str, str]) -> list[Turn]:
    value = row.get(columns.get("system", ""))
    return [Turn("system", text_in(value, columns["system"]))] if value else []


def turns_in(value: Json, column: str) -> list[Turn]:
    """Messages in either spelling: role and content, or from and value."""
    if not isinstance(value, list):
        raise DataError(f"expected {column!r} to be a list of messages, got {shown(value)}")
    return [_turn(one, f"{column}[{place}]") for place, one in enumerate(value)]


def _turn(one: Json, place: str) -> Turn:
    if not isinstance(one, dict):
        raise DataError(f"expected {place} to be a message, got {shown(one)}")
    role = role_in(one)
    if role is None:
        said = shown(one.get("role", one.get("from")))
        raise DataError(f"{place} has the role {said}, expected system, user, assistant or tool")
    content = _content(one.get("content", one.get("value")), place)
    calls = one.get("tool_calls") or ([one["function_call"]] if one.get("function_call") else [])
    if not isinstance(calls, list):
        raise DataError(f"expected the tool_calls of {place} to be a list, got {shown(calls)}")
    weight = one.get("weight", 1)
    if weight not in (0, 1):
        raise DataError(f"{place} has the weight {shown(weight)}, expected 0 or 1")
    return Turn(role, content, tuple(_call(call, place) for call in calls), bool(weight))


def role_in(message: Mapping[str, Json]) -> Role | None:
    """Whose turn a message is, in either spelling; None where it does not say, or names nobody."""
    said = message.get("role", message.get("from"))
    role = "system" if said == "developer" else ROLES.get(said) if isinstance(said, str) else None
    return cast(Role, role) if role else None


def _content(value: Json, place: str) -> str:
    """A message's text; of a list of parts, the texts joined. null stands beside calls of tools."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        return "".join(part["text"] for part in value)
    if isinstance(value, list):
        kinds = sorted({str(part.get("type")) if isinstance(part, dict) else type(part).__name__ for part in value})
        raise DataError(f"the content of {place} has parts of the kinds {', '.join(kinds)}; expected texts only")
    return text_in(value, f"{place}.content")


def function_in(call: Json) -> dict[str, Any]:
    inner = call.get("function", call) if isinstance(call, dict) else {}
    return inner if isinstance(inner, dict) else {}


def _call(call: Json, place: str) -> Json:
    """A call of a tool with its arguments as an object, which is what templates expect; OpenAI writes them as JSON text."""
    inner = function_in(call)
    arguments = inner.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = decode((arguments or "{}").encode())
        except LineFault as fault:
            raise DataError(f"the arguments of a call in {place} are a text that is no JSON: {fault.reason}") from fault
    if not isinstance(inner.get("name"), str) or not isinstance(arguments, dict):
        raise DataError(f"expected a call in {place} to have a name and arguments, got {shown(call)}")
    return {"name": inner["name"], "arguments": arguments}


def list_in(value: Json, column: str) -> list[Json]:
    """A list, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = decode(value.encode())
        except LineFault as fault:
            raise DataError(f"{column!r} is a text that is no JSON: {fault.reason}") from fault
    if not isinstance(value, list):
        raise DataError(f"expected {column!r} to be a list, got {shown(value)}")
    return value


def structured(text: str) -> Json:
    """The value of a text that is one JSON object or list and nothing else; None for any other."""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return None
    try:
        return decode(text.encode())
    except LineFault:
        return None


def without_order(value: Json) -> Json:
    """A graph or a list of calls in an order of its own; any other value as it is, for its order may be what it says."""
    if isinstance(value, dict) and value.keys() <= PARTS_OF_A_GRAPH:
        return {part: _sorted(listed) for part, listed in value.items()}
    calls = isinstance(value, list) and all(isinstance(one, dict) and one.keys() == PARTS_OF_A_CALL for one in value)
    return _sorted(value) if calls else value


def _sorted(value: Json) -> Json:
    """A list in an order of its own, and so the members of each of its hyperedges."""
    return sorted(map(_members_sorted, value), key=canonical) if isinstance(value, list) else value


def _members_sorted(part: Json) -> Json:
    return {**part, "members": _sorted(part["members"])} if isinstance(part, dict) and "members" in part else part


def shown(value: Json) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

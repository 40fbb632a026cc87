"""A wish in words: what is wanted, its values in any order, a value that is corrected; beside it mentions of what nobody wants, and
numbers that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from lathe.corpora._edge_calls.catalogue import Argument, Doing
from lathe.corpora._edge_calls.values import Clock, Kind

if TYPE_CHECKING:
    from lathe.records import Json

ASIDES = (
    "There are {} cats on my sofa.", "I have been up for {} hours.", "This is my message number {}.", "My bus is {} minutes late.",
    "My neighbour is {} now.", "I live on floor {}.",
)  # fmt: skip
CORRECTIONS = ("{}, no, wait, {}", "{}, sorry, I mean {}", "not {} but {}")
OTHERWISE = "or, where that is taken, {}"
"""The second choice that counts only where the first one failed."""
MENTIONED = 0.9
"""Share of messages that mention a function, whether it is wished for or not."""


@dataclass(frozen=True)
class Offered:
    """A function as a row offers it: the names that were drawn for it."""

    doing: Doing
    name: str
    arguments: tuple[tuple[str, Argument], ...]

    def tool(self) -> dict[str, Json]:
        """In OpenAI's layout."""
        properties = {name: one.kind.schema() for name, one in self.arguments}
        required = [name for name, one in self.arguments if not one.optional]
        parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.doing.does, "parameters": parameters},
        }


@dataclass
class Wish:
    """What was said for one call, and the call that it means."""

    offered: Offered
    text: str
    arguments: dict[str, Json]
    second: dict[str, Json] = field(default_factory=dict)
    """Argument -> the value that the text names in case that the first one is taken."""

    def call(self) -> dict[str, Json]:
        return {"name": self.offered.name, "arguments": self.arguments}


def offer(rng: Random, doing: Doing) -> Offered:
    """Draws names; no two arguments have the same."""
    found: dict[str, Argument] = {}
    for one in doing.arguments:
        found[rng.choice([name for name in one.names if name not in found])] = one
    return Offered(doing, rng.choice(doing.names), tuple(found.items()))


def wish(rng: Random, offered: Offered) -> Wish:
    """Draws values and says them."""
    arguments: dict[str, Json] = {}
    second: dict[str, Json] = {}
    clauses = []
    for name, one in offered.arguments:
        if one.optional and rng.random() < 0.5:
            continue
        arguments[name] = one.kind.draw(rng)
        said = one.kind.say(rng, arguments[name])
        if isinstance(one.kind, Clock) and rng.random() < 0.4:
            second[name] = other_than(rng, one.kind, arguments[name])
            said += f" ({OTHERWISE.format(one.kind.say(rng, second[name]))})"
        elif rng.random() < 0.12:
            said = rng.choice(CORRECTIONS).format(one.kind.say(rng, other_than(rng, one.kind, arguments[name])), said)
        clauses.append(rng.choice(one.say).format(said))
    order = rng.sample(range(len(clauses)), len(clauses))
    text = ", ".join([rng.choice(offered.doing.wishes), *(clauses[place] for place in order)])
    return Wish(offered, text, arguments, second)


def other_than(rng: Random, kind: Kind, value: Json) -> Json:
    """Another value of a kind."""
    return next(other for other in iter(lambda: kind.draw(rng), None) if other != value)


def message(rng: Random, wishes: Sequence[Wish], shown: Sequence[Offered]) -> str:
    """All wishes in a message; most mention a function that is shown, in half of them a number means nothing. Where nobody wishes
    for anything both are there."""
    sentences = [_sentence(one.text) for one in wishes]
    if len(sentences) > 1:
        sentences[1] = rng.choice(("And then: ", "Another thing: ", "Also: ")) + sentences[1]
    beside = []
    if not wishes or rng.random() < MENTIONED:
        beside.append(rng.choice(rng.choice(shown).doing.mentions))
    if not wishes or rng.random() < 0.5:
        beside.append(rng.choice(ASIDES).format(rng.randint(2, 30)))
    for sentence in beside:
        sentences.insert(rng.choice((0, len(sentences))), sentence)
    return " ".join(sentences)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"

"""What a listing's labels and wordings stand for, learnt from training rows; and a schema inferred where none is given."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lathe.records import Example, Json, canonical
from lathe.tasks._json import shape
from lathe.tasks._json.casting import caster, plain
from lathe.tasks._json.listing import Learnt, Line, Listing, end_of_block, lines


@dataclass(frozen=True)
class Slot:
    """A scalar inside a target: its key (empty in a list of scalars), the keys around it, its schemas, its value."""

    key: str
    around: tuple[str, ...]
    options: tuple[dict[str, Json], ...]
    value: Json


class Slots:
    """The scalars of one target, ready to be asked which of them a text can stand for."""

    def __init__(self, found: Iterable[Slot], casters: dict[tuple[int, ...], Callable[[str], Json]]) -> None:
        self.all = list(found)
        self.casters = casters
        self.alike: dict[tuple[int, ...], list[Slot]] = defaultdict(list)
        for slot in self.all:
            place = tuple(map(id, slot.options))
            self.alike[place].append(slot)
            if place not in casters:
                casters[place] = caster(slot.options)

    def matching(self, text: str) -> Iterator[Slot]:
        """Slots whose value is what the text means under their schemas; casts once for all slots of the same schemas."""
        for place, alike in self.alike.items():
            meant = self.casters[place](text)
            yield from (slot for slot in alike if type(meant) is type(slot.value) and meant == slot.value)


def learn(examples: Sequence[Example], schema: Json) -> Learnt:
    """A label stands for the keys whose values stood beside it; a wording for the value that it most often came with."""
    learnt = Learnt(schema=schema)
    casters: dict[tuple[int, ...], Callable[[str], Json]] = {}
    rows = [(lines(example.input), Slots(slots(schema, schema, example.target), casters)) for example in examples]
    learnt.keys.update(_labels(rows))
    learnt.words.update(_wordings(rows, Listing(learnt)))
    return learnt


def _labels(rows: Sequence[tuple[list[Line], Slots]]) -> dict[str, list[str]]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for found, inside in rows:
        for place, line in enumerate(found):
            if line.label and line.value:
                keys = {slot.key for slot in inside.matching(line.value)}
            elif line.label:
                below = found[place + 1 : end_of_block(found, place + 1, line.indent)]
                said = {one.value or one.text for one in below}
                keys = {key for text in said for slot in inside.matching(text) for key in slot.around}
            else:
                continue
            votes[plain(line.label)].update(keys - {""})
    return {label: [key for key, _ in counted.most_common()] for label, counted in votes.items()}


def _wordings(rows: Sequence[tuple[list[Line], Slots]], listing: Listing) -> dict[tuple[str, str], Json]:
    votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for found, inside in rows:
        chosen = {slot.key: slot for slot in inside.all if any("enum" in option for option in slot.options)}
        times = Counter(slot.key for slot in inside.all)
        for line in found:
            key = listing.key(line.label, list(chosen)) if line.label else None
            if key is not None and times[key] == 1:
                votes[key, plain(line.value)][canonical(chosen[key].value)] += 1
    return {wording: json.loads(counted.most_common(1)[0][0]) for wording, counted in votes.items()}


def slots(document: Json, schema: Json, value: Json, key: str = "", around: tuple[str, ...] = ()) -> Iterator[Slot]:
    """All scalars of a value, in its order."""
    if isinstance(value, dict):
        known = shape.members(document, schema)
        for name, part in value.items():
            inner = (*around, name) if isinstance(part, dict | list) else around
            yield from slots(document, known.get(name), part, name, inner)
    elif isinstance(value, list):
        for part in value:
            yield from slots(document, shape.item(document, schema), part, "", around)
    else:
        yield Slot(key, around, tuple(shape.options(document, schema)), value)


def inferred(values: Sequence[Json]) -> Json:
    """A JSON Schema that says what some values have in common: types, keys in the order of first sight."""
    types = Counter(_type(value) for value in values)
    if not types:
        return {}
    common = types.most_common(1)[0][0]
    if common == "object":
        members: dict[str, list[Json]] = defaultdict(list)
        for value in values:
            for key, part in value.items() if isinstance(value, dict) else ():
                members[key].append(part)
        return {"type": "object", "properties": {key: inferred(parts) for key, parts in members.items()}}
    if common == "array":
        return {
            "type": "array",
            "items": inferred([part for value in values if isinstance(value, list) for part in value]),
        }
    if common == "integer" and "number" in types:
        common = "number"
    return {"type": common}


def _type(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return names.get(type(value), "null")

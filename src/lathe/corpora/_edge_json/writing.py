"""A record written down in one of four ways, with every value's words remembered.

    listing   Pickup day: 9 Mar 2024                    names drift, order drifts, `:` and `=`, bullets for lists
    table     a header row and cells, or a log of changes, or two columns
    prose     an e-mail: clauses, enumerations, number words
    chat      two people, questions and answers, now and then a correction

Each writer gives lines; what it wrote for each value is kept as a Mention, so that the tests can read every target back
from the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from lathe.corpora._edge_json import words
from lathe.corpora._edge_json.kinds import CURRENCIES, Clock, Day, Kind, Manner, Money, Style, Text, Whole, YesNo
from lathe.corpora._edge_json.parts import Field, Group, Part, Plan, Several, Table

if TYPE_CHECKING:
    from lathe.records import Json

Place = tuple[str | int, ...]

STYLES: tuple[Style, ...] = ("listing", "prose", "table", "chat")


class Mention(NamedTuple):
    """Where the text says a value: the value's place in the target and the words that stand for it."""

    place: Place
    kind: Kind
    words: str


@dataclass
class Writer:
    """Writes one record. Every random choice comes from `rng`, so that a row depends on its seed only."""

    rng: Random
    manner: Manner
    mentions: list[Mention] = field(default_factory=list)

    def put(self, place: Place, kind: Kind, value: Json, answer: bool = False) -> str:
        """The words for one value, remembered."""
        said = kind.write(self.rng, value, replace(self.manner, answer=answer) if answer else self.manner)
        self.mentions.append(Mention(place, kind, said))
        return said

    def label(self, part: Part) -> str:
        """One of the part's names, the first more often."""
        labels = part.labels
        return labels[0] if len(labels) == 1 or self.rng.random() < 0.6 else self.rng.choice(labels[1:])

    def shuffled(self, parts: tuple[Part, ...], record: dict[str, Json]) -> list[Part]:
        """The parts that the record has, in an order of this row's own."""
        present = [part for part in parts if part.key in record]
        if self.rng.random() < 0.7:
            self.rng.shuffle(present)
        return present


def write(rng: Random, plan: Plan, record: dict[str, Json], style: Style) -> tuple[str, list[Mention]]:
    """Text of a record in a style, and what stands where in it."""
    writer = Writer(rng, Manner(style, rng.choice(CURRENCIES)))
    lines = {"listing": _listing, "prose": _prose, "table": _table, "chat": _chat}[style](writer, plan, record)
    return "\n".join(lines), writer.mentions


# ------------------------------------------------------------------------------------------------ listing

_ASIDE_LABELS = ("Printed by", "Page", "Form", "Desk", "Template", "Filed under", "Copy for", "Screen")


def _aside(rng: Random) -> tuple[str, str]:
    """A label and value that no schema has."""
    return rng.choice(_ASIDE_LABELS), rng.choice(
        (
            f"{rng.randint(1, 9)} of {rng.randint(9, 12)}",
            f"form {words.code('AA-99')(rng)}",
            words.GIVEN[rng.randrange(40)],
            "office",
        )
    )


def _listing(writer: Writer, plan: Plan, record: dict[str, Json]) -> list[str]:
    rng = writer.rng
    sign = rng.choice((": ", ": ", ": ", " = ", " - "))
    upper = rng.random() < 0.15
    lines = _listed(writer, plan.parts, record, (), sign, upper, 0)
    for _ in range(rng.randint(0, 2)):
        label, value = _aside(rng)
        # Only at the edges: inside, it could stand between a group and its members.
        lines.insert(rng.choice((0, len(lines))), f"{label}{sign}{value}")
    heading = rng.choice((plan.title, plan.title.upper(), f"== {plan.title} ==", "")) if rng.random() < 0.8 else ""
    return [heading, *lines] if heading else lines


def _listed(
    writer: Writer, parts: tuple[Part, ...], record: dict[str, Json], place: Place, sign: str, upper: bool, indent: int
) -> list[str]:
    lines: list[str] = []
    margin = "  " * indent
    for part in writer.shuffled(parts, record):
        here = (*place, part.key)
        value = record[part.key]
        label = writer.label(part).upper() if upper else writer.label(part)
        if isinstance(part, Field):
            lines.append(f"{margin}{label}{sign}{writer.put(here, part.kind, value)}")
        elif isinstance(part, Several):
            said = [writer.put((*here, number), part.kind, one) for number, one in enumerate(value)]
            if writer.rng.random() < 0.5:
                lines.append(f"{margin}{label}{sign}{', '.join(said)}")
            else:
                lines += [f"{margin}{label}:", *(f"{margin}  - {one}" for one in said)]
        elif isinstance(part, Group):
            lines += [f"{margin}{label}:", *_listed(writer, part.parts, value, here, sign, upper, indent + 1)]
        else:
            lines.append(f"{margin}{label}:")
            for number, row in enumerate(value):
                first, *others = _listed(writer, part.parts, row, (*here, number), sign, upper, indent + 2)
                lines += [f"{margin}  - {first.strip()}", *others]
    return lines


# -------------------------------------------------------------------------------------------------- prose

_OPENINGS = (
    "I hope you are well.",
    "thanks for the call.",
    "as promised, here it is.",
    "a short note from the office.",
    "sorry for the delay.",
    "here is what I have so far.",
    "please keep this for the file.",
)
_FILLERS = (
    "The weather has been kind to us.",
    "My colleague sends greetings.",
    "The printer is out of ink again.",
    "The old form is no longer used.",
    "We moved desks last week.",
    "The canteen has a new menu.",
    "Please do not answer to the shared mailbox.",
    "The phone line was down.",
)
_CLOSINGS = ("Best", "Kind regards", "Thanks", "Yours", "Cheers", "Until soon")


def _prose(writer: Writer, plan: Plan, record: dict[str, Json]) -> list[str]:
    rng = writer.rng
    clauses = _clauses(writer, plan.parts, record, ())
    for _ in range(rng.randint(0, 2)):
        clauses.insert(rng.randrange(len(clauses) + 1), rng.choice(_FILLERS)[:-1])
    sentences: list[str] = []
    while clauses:
        first = clauses.pop(0)
        if clauses and rng.random() < 0.3:
            first = f"{first}, and {_lower(clauses.pop(0))}"
        sentences.append(_sentence(writer, first))
    opening = rng.choice(_OPENINGS)
    lines = [f"Subject: {plan.title.lower()}"] if rng.random() < 0.5 else []
    if rng.random() < 0.6:
        lines.append(f"{rng.choice(('Dear', 'Hello', 'Hi'))} {rng.choice(words.GIVEN)},")
        lines.append(f"{opening} {' '.join(sentences)}")
    else:
        lines.append(f"{_sentence(writer, opening[:-1])} {' '.join(sentences)}")
    if rng.random() < 0.7:
        lines.append(f"{rng.choice(_CLOSINGS)}, {rng.choice(words.GIVEN)}")
    return lines


def _sentence(writer: Writer, clause: str) -> str:
    """A clause with its full stop, and with a capital unless it opens with words that must be copied as they stand."""
    if any(isinstance(one.kind, Text) and clause.startswith(one.words) for one in writer.mentions):
        return f"{clause}."
    return f"{clause[0].upper()}{clause[1:]}."


def _lower(clause: str) -> str:
    """Only the fillers begin with a capital that is no name; values keep theirs."""
    return clause[0].lower() + clause[1:] if clause.startswith(("The ", "My ", "We ", "Please ")) else clause


def _clauses(writer: Writer, parts: tuple[Part, ...], record: dict[str, Json], place: Place) -> list[str]:
    clauses: list[str] = []
    for part in writer.shuffled(parts, record):
        here = (*place, part.key)
        value = record[part.key]
        if isinstance(part, Field):
            clauses.append(_clause(writer, part, value, here))
        elif isinstance(part, Several):
            said = [writer.put((*here, number), part.kind, one) for number, one in enumerate(value)]
            clauses.append(writer.rng.choice(part.say).format(_enumerated(said)))
        elif isinstance(part, Group):
            clauses += _clauses(writer, part.parts, value, here)
        else:
            clauses += _row_clauses(writer, part, value, here)
    return clauses


def _clause(writer: Writer, part: Field, value: Json, place: Place) -> str:
    said = writer.put(place, part.kind, value)
    if isinstance(part.kind, YesNo):
        return said
    return writer.rng.choice(part.say).format(said)


def _row_clauses(writer: Writer, table: Table, rows: list[dict[str, Json]], place: Place) -> list[str]:
    """A clause for each item: its own sentence, what is optional in brackets, then the items inside it."""
    clauses = []
    sentence = writer.rng.choice(table.say)
    for number, row in enumerate(rows):
        here = (*place, number)
        scalars = [part for part in table.parts if isinstance(part, Field) and part.key in row]
        said = {part.key: writer.put((*here, part.key), part.kind, row[part.key]) for part in scalars}
        extra = [f"{part.labels[-1].lower()} {said[part.key]}" for part in scalars if f"{{{part.key}}}" not in sentence]
        clause = sentence.format(**said) + (f" ({', '.join(extra)})" if extra else "")
        inner = [
            one
            for part in table.parts
            if isinstance(part, Table) and part.key in row
            for one in _row_clauses(writer, part, row[part.key], (*here, part.key))
        ]
        clauses.append(f"{clause}: {'; '.join(inner)}" if inner else clause)
    return clauses


def _enumerated(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


# -------------------------------------------------------------------------------------------------- table


def _table(writer: Writer, plan: Plan, record: dict[str, Json]) -> list[str]:
    rng = writer.rng
    cell = rng.choice((" | ", " | ", "; ", "\t"))
    scalars = [(place, label, part, value) for place, label, part, value in _flat(writer, plan.parts, record, ())]
    if rng.random() < 0.7:
        rng.shuffle(scalars)
    form = rng.choice(("row", "row", "log", "columns")) if len(scalars) <= 7 else rng.choice(("log", "columns"))
    written = [(label, writer.put(place, part.kind, value)) for place, label, part, value in scalars]
    if form == "row":
        lines = [cell.join(label for label, _ in written), cell.join(said for _, said in written)]
    elif form == "log":
        start = rng.randint(1, 80)
        verb = rng.choice(("set {} to {}", "{} -> {}", "{} changed to {}"))
        lines = [
            f"[{start + number}] {verb.format(label.lower().replace(' ', '-'), said)}"
            for number, (label, said) in enumerate(written)
        ]
        lines.insert(rng.randrange(len(lines) + 1), f"# {rng.choice(('saved', 'autosave ok', 'sync done', 'opened'))}")
    else:
        lines = [f"{label}{cell}{said}" for label, said in written]
    heading = [f"{plan.title} ({words.code('AA-99')(rng)})"] if rng.random() < 0.5 else []
    return [*heading, *lines, *_grids(writer, plan.parts, record, (), cell)]


def _flat(
    writer: Writer, parts: tuple[Part, ...], record: dict[str, Json], place: Place, above: str = ""
) -> list[tuple[Place, str, Field, Json]]:
    """Single values of a record and of its groups; a group's name stands before its members' names."""
    found: list[tuple[Place, str, Field, Json]] = []
    for part in parts:
        if part.key not in record:
            continue
        if isinstance(part, Field):
            label = writer.label(part)
            found.append(((*place, part.key), f"{above} {label.lower()}" if above else label, part, record[part.key]))
        elif isinstance(part, Group):
            found += _flat(writer, part.parts, record[part.key], (*place, part.key), part.labels[0])
    return found


def _grids(writer: Writer, parts: tuple[Part, ...], record: dict[str, Json], place: Place, cell: str) -> list[str]:
    """The lists of a record: a header and a row for each item; lists inside an item follow below it, as grids of their own."""
    lines: list[str] = []
    for part in writer.shuffled(parts, record):
        here = (*place, part.key)
        if isinstance(part, Several):
            said = [writer.put((*here, number), part.kind, one) for number, one in enumerate(record[part.key])]
            lines.append(f"{writer.label(part)}{cell}{', '.join(said)}")
        elif isinstance(part, Table):
            rows = record[part.key]
            columns = [one for one in part.parts if isinstance(one, Field)]
            inner = [one for one in part.parts if isinstance(one, Table)]
            lines.append(f"{writer.label(part)}:" if writer.rng.random() < 0.5 else f"-- {writer.label(part)} --")
            header = cell.join(writer.label(column) for column in columns)
            lines.append(header)
            for number, row in enumerate(rows):
                cells = [
                    writer.put((*here, number, column.key), column.kind, row[column.key]) if column.key in row else "-"
                    for column in columns
                ]
                lines.append(cell.join(cells))
                if any(one.key in row for one in inner):
                    lines += [f"  {line}" for line in _grids(writer, tuple(inner), row, (*here, number), cell)]
    return lines


# --------------------------------------------------------------------------------------------------- chat

_CHATTER = (
    "ok",
    "one moment",
    "let me look",
    "got it",
    "are you still there?",
    "yes, go on",
    "the line is bad today",
    "noted",
)


def _chat(writer: Writer, plan: Plan, record: dict[str, Json]) -> list[str]:
    rng = writer.rng
    asker, teller = rng.sample(words.GIVEN, 2)
    lines = [f"{asker}: {rng.choice(('hi', 'hello', 'good morning'))}, about the {plan.title.lower()}"]
    correct_one = rng.random() < 0.25
    for part in writer.shuffled(plan.parts, record):
        here = (part.key,)
        if isinstance(part, Field):
            kind = part.kind
            if correct_one and isinstance(kind, Whole | Money | Day | Clock):
                lines += _corrected(writer, part, record[part.key], here, teller)
                correct_one = False
            elif rng.random() < 0.4:
                lines.append(f"{asker}: {_question(rng, writer.label(part))}")
                lines.append(f"{teller}: {writer.put(here, kind, record[part.key], answer=True)}")
            else:
                lines.append(f"{teller}: {_clause(writer, part, record[part.key], here)}")
        else:
            lines += [f"{teller}: {clause}" for clause in _clauses(writer, (part,), record, ())]
        if rng.random() < 0.2:
            lines.append(f"{asker}: {rng.choice(_CHATTER)}")
    return lines


def _question(rng: Random, label: str) -> str:
    return rng.choice(("{}?", "and {}?", "what about {}?", "{} please")).format(label.lower())


def _corrected(writer: Writer, part: Field, value: Json, place: Place, teller: str) -> list[str]:
    """A wrong value and its correction; the record holds the right one."""
    rng = writer.rng
    wrong = _other(rng, part.kind, value)
    first = rng.choice(part.say).format(part.kind.write(rng, wrong, writer.manner))
    return [
        f"{teller}: {first}",
        f"{teller}: {rng.choice(('no, sorry:', 'wait, I mean', 'correction:'))} {writer.put(place, part.kind, value)}",
    ]


def _other(rng: Random, kind: Kind, value: Json) -> Json:
    """Another value of the kind, near enough to be a slip."""
    if isinstance(kind, Whole):
        return value + rng.choice((1, 2, 10))
    if isinstance(kind, Money):
        return value + rng.choice((1, 5, 10))
    other = kind.draw(rng)
    while other == value:
        other = kind.draw(rng)
    return other

"""Random schemas and the values that fill them. No schema is written down: each document invents its own.

    field = Field(label=("silver", "harbor", "rate"), kind="decimal")
    value = fill(field, rng)         # Value(target=41.7, surfaces=("41.7", "41.70"))

A value has two faces: `target` is what JSON must say, `surfaces` are the ways a text may show it. The first surface
is the plain one (the JSON text itself, without quotes), the others need a rule: thousands separators, currency
signs, spelled dates, yes and no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lathe.corpora._structured_text import words

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
CURRENCIES = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "CHF": "CHF ",
    "SEK": "kr ",
    "AUD": "A$",
    "CAD": "C$",
    "PLN": "zł ",
}
CURRENCY_WORDS = {"USD": "dollars", "EUR": "euros", "GBP": "pounds", "JPY": "yen", "INR": "rupees", "CHF": "francs"}
SMALL_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
""".split()  # noqa: SIM905 - a word list is read as text
_HEX = "0123456789abcdef"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_ALNUM = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"

STRING_KINDS = (
    "word",
    "word",
    "name",
    "name",
    "place",
    "company",
    "phrase",
    "phrase",
    "phrase",
    "sentence",
    "code",
    "code",
    "uuid",
    "hex",
    "email",
    "url",
    "phone",
    "ip",
    "path",
    "version",
    "choice",
    "choice",
    "coined",
    "title",
)
NUMBER_KINDS = ("integer", "integer", "decimal", "decimal", "money", "percent", "coordinate")
OTHER_KINDS = ("boolean", "date", "date", "datetime", "time", "null")


@dataclass(frozen=True)
class Field:
    """One field of a random schema."""

    label: tuple[str, ...]
    """Lower-case words of the name, such as ("last", "visit")."""
    kind: str
    """One of the kinds of this module, or "object", "list" (of scalars), "rows" (of objects)."""
    optional: bool = False
    """Whether a record may lack it."""
    choices: tuple[str, ...] = ()
    """The allowed strings of a "choice" field."""
    children: tuple[Field, ...] = ()
    """Fields of an "object" or of each of the "rows"; one field for a "list"."""


@dataclass(frozen=True)
class Value:
    """One scalar value: what JSON says and how texts may show it."""

    target: Any
    surfaces: tuple[str, ...] = field(default=("",))


Record = Mapping[Field, Any]
"""Field -> Value, Record (object), list of Value (list), list of Record (rows); absent optional fields are left
out."""


def json_type(kind: str) -> str:
    """The JSON Schema type of a scalar kind."""
    if kind == "integer":
        return "integer"
    if kind in NUMBER_KINDS:
        return "number"
    return kind if kind in ("boolean", "null") else "string"


def _label(rng: Random, taken: set[tuple[str, ...]]) -> tuple[str, ...]:
    while True:
        shape = rng.random()
        noun = rng.choice(words.NOUNS)
        if shape < 0.40:
            label: tuple[str, ...] = (noun,)
        elif shape < 0.62:
            label = (rng.choice(words.ATTRIBUTES), noun)
        elif shape < 0.84:
            label = (rng.choice(words.NOUNS), noun)
        elif shape < 0.90:
            label = (words.coined(rng, "english"), noun)
        elif shape < 0.95:
            label = (rng.choice(words.VERBS), rng.choice(("by", "at", "on", "from", "to", "until", "per")))
        else:
            label = (rng.choice(words.ATTRIBUTES), rng.choice(words.NOUNS), noun)
        if rng.random() < 0.10 and len(label) < 3:
            label += (
                rng.choice(("id", "code", "number", "name", "type", "count", "total", "ref", "url", "status", "date")),
            )
        if len(set(label)) == len(label) and label not in taken:
            taken.add(label)
            return label


def scalar_field(rng: Random, taken: set[tuple[str, ...]]) -> Field:
    """A random scalar field whose label is not in `taken` (which grows)."""
    kind = rng.choice(rng.choice((STRING_KINDS, STRING_KINDS, STRING_KINDS, NUMBER_KINDS, NUMBER_KINDS, OTHER_KINDS)))
    choices: tuple[str, ...] = ()
    if kind == "choice":
        joiner = rng.choice((" ", "_", "-"))
        make = (
            (lambda: words.word(rng))
            if rng.random() < 0.7
            else (lambda: joiner.join((rng.choice(words.ATTRIBUTES), words.word(rng))))
        )
        choices = tuple(dict.fromkeys(make() for _ in range(rng.randint(2, 6))))
        if rng.random() < 0.2:
            choices = tuple(choice.upper() for choice in choices)
    return Field(_label(rng, taken), kind, rng.random() < 0.2, choices)


def schema(rng: Random, size: int, depth: int) -> tuple[Field, ...]:
    """A random schema of about `size` fields at the top and at most `depth` levels of nesting below it."""
    taken: set[tuple[str, ...]] = set()
    fields: list[Field] = []
    for _ in range(size):
        shape = rng.random()
        if depth > 0 and shape < 0.16:
            fields.append(
                Field(
                    _label(rng, taken),
                    "object",
                    rng.random() < 0.15,
                    children=schema(rng, rng.randint(2, 5), depth - 1),
                )
            )
        elif depth > 0 and shape < 0.30:
            fields.append(
                Field(
                    _label(rng, taken), "rows", rng.random() < 0.1, children=schema(rng, rng.randint(2, 5), depth - 1)
                )
            )
        elif shape < 0.38:
            item = Field(
                ("item",), rng.choice(("word", "phrase", "code", "integer", "name", "decimal", "coined", "title"))
            )
            fields.append(Field(_label(rng, taken), "list", rng.random() < 0.1, children=(item,)))
        else:
            fields.append(scalar_field(rng, taken))
    return tuple(fields)


def _capitals(text: str) -> str:
    return " ".join(part[:1].upper() + part[1:] for part in text.split(" "))


def _grouped(number: float, places: int, rng: Random) -> tuple[str, ...]:
    """Ways to write a number besides its JSON text."""
    plain = f"{number:,.{places}f}"
    return (plain, plain.replace(",", " ")) if rng.random() < 0.3 else (plain,)


def _code(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.25:
        return f"{''.join(rng.choice(_UPPER) for _ in range(rng.randint(2, 4)))}-{rng.randint(10, 999999)}"
    if shape < 0.45:
        return "".join(rng.choice(_ALNUM) for _ in range(rng.randint(4, 12)))
    if shape < 0.65:
        return "-".join("".join(rng.choice(_ALNUM) for _ in range(rng.randint(2, 5))) for _ in range(rng.randint(2, 3)))
    if shape < 0.8:
        return "".join(rng.choice(_DIGITS) for _ in range(rng.randint(4, 12)))
    return f"{words.word(rng)}{rng.choice('-_:#.')}{rng.randint(1, 9999)}"


def _uuid(rng: Random) -> str:
    digits = [rng.choice(_HEX) for _ in range(32)]
    digits[12], digits[16] = "4", rng.choice("89ab")
    flat = "".join(digits)
    return "-".join((flat[:8], flat[8:12], flat[12:16], flat[16:20], flat[20:]))


def _number(kind: str, rng: Random) -> Value:
    if kind == "integer":
        whole = rng.choice(
            (rng.randint(0, 20), rng.randint(0, 999), rng.randint(1000, 99999), rng.randint(10**5, 10**8))
        )
        spelled = (SMALL_NUMBERS[whole],) if whole <= 20 else ()
        return Value(whole, (str(whole), *(_grouped(whole, 0, rng) if whole > 999 else spelled)))
    if kind == "percent":
        drawn = round(rng.uniform(0, 100), rng.choice((0, 1, 2)))
        share = int(drawn) if drawn == int(drawn) else drawn
        return Value(share, (str(share), f"{share}%", f"{share} %", f"{share} percent"))
    if kind == "coordinate":
        number = round(rng.uniform(-180, 180), rng.randint(3, 6))
        return Value(number, (repr(number),))
    places = 2 if kind == "money" else rng.randint(1, 4)
    number = round(rng.uniform(0, 10 ** rng.randint(1, 6)), places)
    plain = (repr(number), *(_grouped(number, places, rng) if number >= 1000 else (f"{number:.{places}f}",)))
    if kind == "money":
        currency = rng.choice(tuple(CURRENCIES))
        shown = f"{number:,.2f}"
        spoken = (f"{shown} {CURRENCY_WORDS[currency]}",) if currency in CURRENCY_WORDS else ()
        signed = f"{CURRENCIES[currency]}{shown}"
        return Value(number, (*plain, signed, signed, f"{shown} {currency}", f"{currency} {shown}", *spoken))
    return Value(number, plain)


def _date(rng: Random) -> tuple[str, tuple[str, ...]]:
    year, month, day = rng.randint(1960, 2039), rng.randint(1, 12), rng.randint(1, 28)
    name = MONTHS[month - 1]
    ordinal = f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
    iso = f"{year}-{month:02d}-{day:02d}"
    return iso, (
        iso,
        f"{day} {name} {year}",
        f"{day} {name} {year}",
        f"{name} {day}, {year}",
        f"{name} {day}, {year}",
        f"{day} {name[:3]} {year}",
        f"{name[:3]} {day}, {year}",
        f"{year}/{month:02d}/{day:02d}",
        f"{day:02d}.{month:02d}.{year}",
        f"the {ordinal} of {name} {year}",
    )


def _clock(rng: Random) -> tuple[str, tuple[str, ...]]:
    """Hours and minutes, and how people write them."""
    hour, minute = rng.randint(0, 23), rng.choice((rng.randint(0, 59), rng.choice(range(0, 60, 5))))
    half, twelve = "pm" if hour > 11 else "am", (hour - 1) % 12 + 1
    clock = f"{hour:02d}:{minute:02d}"
    return clock, (
        clock,
        f"{twelve}:{minute:02d} {half}",
        f"{twelve}:{minute:02d} {half}",
        f"{twelve}:{minute:02d} {half.upper()}",
        f"{twelve}.{minute:02d} {half[0]}.m.",
        f"{hour}h{minute:02d}",
    )


def _time(rng: Random) -> str:
    clock, _ = _clock(rng)
    return clock if rng.random() < 0.5 else f"{clock}:{rng.randint(0, 59):02d}"


def _string(kind: str, rng: Random) -> str:
    if kind == "word":
        text = words.any_word(rng)
        return text.capitalize() if rng.random() < 0.6 else text
    if kind == "coined":
        text = words.coined(rng)
        return text.capitalize() if rng.random() < 0.5 else text
    if kind == "name":
        return words.person(rng)
    if kind == "place":
        return words.place(rng)
    if kind == "company":
        return words.company(rng)
    if kind == "phrase":
        text = words.phrase(rng)
        return text[0].upper() + text[1:] if rng.random() < 0.6 else text
    if kind == "title":
        return _capitals(words.phrase(rng, 2, 4))
    if kind == "sentence":
        return " ".join(words.sentence(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    if kind == "uuid":
        return _uuid(rng)
    if kind == "hex":
        return rng.choice(("", "0x", "#")) + "".join(rng.choice(_HEX) for _ in range(rng.choice((6, 8, 12, 16))))
    if kind == "email":
        host = words.coined(rng).replace("'", "")
        user = f"{words.coined(rng)}{rng.choice(('.', '_', ''))}"
        return f"{user}{rng.choice((words.coined(rng), str(rng.randint(1, 99))))}@{host}.{_suffix(rng)}"
    if kind == "url":
        tail = "/".join(words.any_word(rng) for _ in range(rng.randint(0, 3)))
        query = f"?{words.word(rng)}={rng.randint(1, 999)}" if rng.random() < 0.2 else ""
        start = f"http{rng.choice(('s', 's', ''))}://{rng.choice(('www.', '', ''))}"
        return f"{start}{words.any_word(rng)}.{_suffix(rng)}/{tail}{query}"
    if kind == "phone":
        groups = [str(rng.randint(100, 999)), str(rng.randint(100, 999)), str(rng.randint(1000, 9999))]
        shape = rng.choice(("{}-{}-{}", "({}) {}-{}", "+1 {} {} {}", "+44 {}{}{}", "{}.{}.{}", "001-{}-{}-{}"))
        return shape.format(*groups) + (f"x{rng.randint(1, 9999)}" if rng.random() < 0.15 else "")
    if kind == "ip":
        return ".".join(str(rng.randint(0, 255)) for _ in range(4)) + (
            f":{rng.randint(80, 65000)}" if rng.random() < 0.2 else ""
        )
    if kind == "path":
        return (
            "/"
            + "/".join(words.any_word(rng) for _ in range(rng.randint(1, 4)))
            + rng.choice(("", ".txt", ".csv", ".log", ".png", ".cfg"))
        )
    if kind == "version":
        return rng.choice(("", "v")) + ".".join(str(rng.randint(0, 20)) for _ in range(rng.randint(2, 4)))
    return _code(rng)


def _suffix(rng: Random) -> str:
    return rng.choice(("com", "org", "net", "io", "de", "fr", "jp", "co", "info", "fi", "it", "in", "example"))


def scalar(field_: Field, rng: Random) -> Value:
    """A value for a scalar field."""
    kind = field_.kind
    if kind in NUMBER_KINDS:
        return _number(kind, rng)
    if kind == "boolean":
        truth = rng.random() < 0.5
        pairs = (
            ("true", "false"),
            ("yes", "no"),
            ("Yes", "No"),
            ("True", "False"),
            ("on", "off"),
            ("enabled", "disabled"),
            ("Y", "N"),
        )
        return Value(truth, tuple(pair[0 if truth else 1] for pair in pairs))
    if kind == "null":
        return Value(None, ("null", "none", "N/A", "-", "None", "n/a", "not given", "unknown"))
    if kind == "date":
        iso, surfaces = _date(rng)
        return Value(iso, surfaces)
    if kind == "time":
        clock, surfaces = _clock(rng)
        return Value(clock, surfaces)
    if kind == "datetime":
        iso, surfaces = _date(rng)
        clock = _time(rng)
        fraction = f".{rng.randint(0, 999999):06d}" if rng.random() < 0.2 and len(clock) == 8 else ""
        text = f"{iso}{rng.choice('T ')}{clock}{fraction}{rng.choice(('', '', 'Z', '+01:00'))}"
        return Value(text, (text,))
    if kind == "choice":
        text = rng.choice(field_.choices)
        return Value(
            text, (text, text.replace("_", " ").replace("-", " "), text.upper(), _capitals(text.replace("_", " ")))
        )
    text = _string(kind, rng)
    return Value(text, (text,))


def fill(fields: Sequence[Field], rng: Random, rows: tuple[int, int] = (1, 4)) -> dict[Field, Any]:
    """A record of the schema `fields`; arrays get `rows` (fewest, most) entries."""
    record: dict[Field, Any] = {}
    for field_ in fields:
        if field_.optional and rng.random() < 0.35:
            continue
        if field_.kind == "object":
            record[field_] = fill(field_.children, rng, rows)
        elif field_.kind == "rows":
            record[field_] = [fill(field_.children, rng, rows) for _ in range(rng.randint(*rows))]
        elif field_.kind == "list":
            record[field_] = [
                scalar(field_.children[0], rng) for _ in range(rng.randint(*rows) + rng.choice((0, 0, 1, 2)))
            ]
        else:
            record[field_] = scalar(field_, rng)
    if not record:
        lone = Field(fields[0].label, "word")
        record[lone] = scalar(lone, rng)
    return record


def key(label: tuple[str, ...], style: str) -> str:
    """The label as a key: style is snake, camel, kebab, pascal, title, upper, lower or constant."""
    if style == "snake":
        return "_".join(label)
    if style == "kebab":
        return "-".join(label)
    if style == "constant":
        return "_".join(label).upper()
    if style == "camel":
        return label[0] + "".join(part.capitalize() for part in label[1:])
    if style == "pascal":
        return "".join(part.capitalize() for part in label)
    if style == "title":
        return " ".join(part.capitalize() for part in label)
    if style == "upper":
        return " ".join(label).upper()
    if style == "sentence":
        return " ".join(label).capitalize()
    return " ".join(label)


def target(record: Record, style: str) -> dict[str, Any]:
    """The record as a JSON value with keys of one style."""
    answer: dict[str, Any] = {}
    for field_, value in record.items():
        name = key(field_.label, style)
        if field_.kind == "object":
            answer[name] = target(value, style)
        elif field_.kind == "rows":
            answer[name] = [target(row, style) for row in value]
        elif field_.kind == "list":
            answer[name] = [item.target for item in value]
        else:
            answer[name] = value.target
    return answer


def other_words(label: tuple[str, ...], rng: Random) -> tuple[str, ...]:
    """The label worded differently: a word left out, added or bent, or the words turned round with "of"."""
    draw = rng.random()
    if draw < 0.2:
        place = rng.randrange(len(label))
        return (*label[:place], label[place] + rng.choice(("s", "ed", "ing", "er")), *label[place + 1 :])
    if len(label) == 1 or draw < 0.45:
        return (words.word(rng), *label) if rng.random() < 0.5 else (*label, words.word(rng))
    if draw < 0.8:
        gone = rng.randrange(len(label))
        return label[:gone] + label[gone + 1 :]
    return (label[-1], "of", *label[:-1])

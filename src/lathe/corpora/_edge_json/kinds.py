"""Kinds of values: how one is drawn, how a person writes it, and the rule by which the writing means the value.

    Day().draw(rng)  -> "2024-03-09"        Day().write(rng, "2024-03-09", Manner("prose")) -> "9 March 2024"
    Money(5, 90).draw(rng) -> 12.5          Money(5, 90).write(rng, 12.5, Manner("listing", "$")) -> "$12.50"

The rule stands in the description of the schema's field; the tests read each writing back by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Literal

from lathe.corpora._edge_json.words import Maker

if TYPE_CHECKING:
    from lathe.records import Json

Style = Literal["listing", "prose", "table", "chat"]


@dataclass(frozen=True)
class Manner:
    """How a document is written: its style, its currency (sign in front or word behind), whether this answers a question."""

    style: Style
    currency: str = ""
    answer: bool = False


SIGNS = ("$", "£", "€")
CURRENCIES = (*SIGNS, "EUR", "euros", "")
"""How one document names its currency; the empty one leaves it out."""

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


class Kind(ABC):
    """A kind of value."""

    rule: str = ""
    """For people: how a writing becomes the value."""

    @abstractmethod
    def schema(self) -> dict[str, Json]:
        """The JSON Schema of the value, without description."""

    @abstractmethod
    def draw(self, rng: Random) -> Json:
        """A value."""

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        """The value as a person writes it in a document of that manner."""
        return str(value)


@dataclass(frozen=True)
class Text(Kind):
    """Words, copied as they stand."""

    make: Maker
    rule = "As it stands in the text."

    def schema(self) -> dict[str, Json]:
        return {"type": "string"}

    def draw(self, rng: Random) -> str:
        return self.make(rng)


@dataclass(frozen=True)
class Address(Text):
    """An e-mail address."""

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "format": "email"}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number, perhaps with a unit behind it."""

    least: int
    most: int
    unit: str = ""
    grouped: bool = True
    """Whether thousands may be written apart; never in years."""
    rule = "A whole number in digits, without unit and thousands separator; number words up to twelve are digits too."

    def schema(self) -> dict[str, Json]:
        return {"type": "integer", "minimum": 0}

    def draw(self, rng: Random) -> int:
        return rng.randint(self.least, self.most)

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        if manner.style in ("prose", "chat") and value < len(NUMBER_WORDS) and rng.random() < 0.5:
            number = NUMBER_WORDS[value]
        elif self.grouped and value >= 1000 and rng.random() < 0.5:
            number = f"{value:,}"
        else:
            number = str(value)
        return f"{number} {self.unit}" if self.unit else number


@dataclass(frozen=True)
class Real(Kind):
    """A number with one decimal and a unit."""

    least: float
    most: float
    unit: str
    rule = "A number without unit."

    def schema(self) -> dict[str, Json]:
        return {"type": "number", "minimum": 0}

    def draw(self, rng: Random) -> float:
        return round(rng.uniform(self.least, self.most), 1)

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        return f"{value:.1f} {self.unit}"


@dataclass(frozen=True)
class Money(Kind):
    """An amount of money with two decimals, in the currency of its document."""

    least: float
    most: float
    rule = "A number without currency sign and thousands separator."

    def schema(self) -> dict[str, Json]:
        return {"type": "number", "minimum": 0}

    def draw(self, rng: Random) -> float:
        return rng.randint(int(self.least * 20), int(self.most * 20)) / 20

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        amount = f"{value:,.2f}" if rng.random() < 0.5 else f"{value:.2f}"
        if not manner.currency or rng.random() < 0.3:
            return amount
        return f"{manner.currency}{amount}" if manner.currency in SIGNS else f"{amount} {manner.currency}"


@dataclass(frozen=True)
class Day(Kind):
    """A day between 2021 and 2027."""

    rule = "As YYYY-MM-DD, however it is written; a dotted date is day, month, year."

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "format": "date"}

    def draw(self, rng: Random) -> str:
        return (date(2021, 1, 1) + timedelta(days=rng.randrange(2500))).isoformat()

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        day = date.fromisoformat(value)
        month = MONTHS[day.month - 1]
        long = (f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}")
        short = (value, f"{day.day:02d}.{day.month:02d}.{day.year}", f"{day.day} {month[:3]} {day.year}")
        return rng.choice(long if manner.style in ("prose", "chat") else (*short, value, long[0]))


def later(value: str, rng: Random, least: int, most: int) -> str:
    """A day that is `least` to `most` days after another."""
    return (date.fromisoformat(value) + timedelta(days=rng.randint(least, most))).isoformat()


@dataclass(frozen=True)
class Clock(Kind):
    """A time of day in steps of five minutes."""

    least: int = 7
    most: int = 19
    rule = "On the 24-hour clock. Rule: HH:MM"

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}

    def draw(self, rng: Random) -> str:
        return f"{rng.randint(self.least, self.most):02d}:{5 * rng.randrange(12):02d}"

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        hour, minute = int(value[:2]), value[3:]
        half = "am" if hour < 12 else "pm"
        return rng.choice((value, value, f"{(hour - 1) % 12 + 1}:{minute} {half}"))


def minutes_later(value: str, minutes: int) -> str:
    """A time of day some minutes after another, on the same day."""
    total = int(value[:2]) * 60 + int(value[3:]) + minutes
    return f"{total // 60:02d}:{total % 60:02d}"


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words; `said` maps some of them to other words that people use."""

    words: tuple[str, ...]
    said: tuple[tuple[str, str], ...] = ()

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "enum": list(self.words)}

    def draw(self, rng: Random) -> str:
        return rng.choice(self.words)

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        others = [other for other, meant in self.said if meant == value]
        return rng.choice(others) if others and rng.random() < 0.5 else str(value).replace("_", " ")


@dataclass(frozen=True)
class YesNo(Kind):
    """True or false. In running text it is said by a clause, in listings and tables by yes or no."""

    yes: str
    no: str

    def schema(self) -> dict[str, Json]:
        return {"type": "boolean"}

    def draw(self, rng: Random) -> bool:
        return rng.random() < 0.5

    def write(self, rng: Random, value: Json, manner: Manner) -> str:
        if manner.answer:
            return "yes" if value else "no"
        if manner.style in ("prose", "chat"):
            return self.yes if value else self.no
        return rng.choice(("yes", "Yes", "true", "y") if value else ("no", "No", "false", "n"))

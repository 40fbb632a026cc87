"""Kinds of value: how one is drawn, which JSON Schema it has, and how people say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lathe.records import Json


WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
FIRST = (
    "Ana", "Theo", "Mira", "Jonas", "Ruth", "Piet", "Sanna", "Emil", "Noor", "Karl", "Ilse", "Bruno", "Vera", "Luis", "Hedda",
    "Omar", "Greta", "Milo", "Tove", "Pablo",
)  # fmt: skip
LAST = (
    "Winersen", "Fengate", "Okoro", "Lindqvist", "Marlow", "Petrova", "Sandoval", "Brandt", "Hale", "Novak", "Tamura", "Weller",
    "Costa", "Dahl", "Rios", "Kemper",
)  # fmt: skip
TOWNS = (
    "Lunde", "Marrow Bay", "Estrel", "Tollin", "Port Avel", "Grenholt", "Saint Orme", "Vassby", "Corran", "Ilmere", "Dunfold",
    "Pellworth", "Ashby Cross", "Norvik", "Quillan", "Brae",
)  # fmt: skip


@dataclass(frozen=True)
class Whole:
    """A whole number, said in digits or, up to twenty, in a word."""

    low: int
    high: int

    def schema(self) -> dict[str, Json]:
        return {"type": "integer"}

    def draw(self, rng: Random) -> Json:
        return rng.randint(self.low, self.high)

    def say(self, rng: Random, value: Json) -> str:
        return WORDS[value] if value < len(WORDS) and rng.random() < 0.5 else str(value)


@dataclass(frozen=True)
class Amount:
    """Money with cents, said with or without them."""

    low: int
    high: int

    def schema(self) -> dict[str, Json]:
        return {"type": "number"}

    def draw(self, rng: Random) -> Json:
        return rng.choice((float(rng.randint(self.low, self.high)), rng.randint(self.low * 20, self.high * 20) / 20))

    def say(self, rng: Random, value: Json) -> str:
        exact = f"{value:.2f}"
        return f"${int(value)}" if exact.endswith(".00") and rng.random() < 0.7 else f"${exact}"


@dataclass(frozen=True)
class Choice:
    """One of a list. said: for each value the words that people use, which the value itself need not be among."""

    said: Mapping[str, Sequence[str]]

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "enum": list(self.said)}

    def draw(self, rng: Random) -> Json:
        return rng.choice(list(self.said))

    def say(self, rng: Random, value: Json) -> str:
        return rng.choice(self.said[value])


@dataclass(frozen=True)
class Person:
    """A name, said as it is."""

    def schema(self) -> dict[str, Json]:
        return {"type": "string"}

    def draw(self, rng: Random) -> Json:
        return f"{rng.choice(FIRST)} {rng.choice(LAST)}"

    def say(self, rng: Random, value: Json) -> str:
        return str(value)


@dataclass(frozen=True)
class Town:
    """A place, said as it is."""

    def schema(self) -> dict[str, Json]:
        return {"type": "string"}

    def draw(self, rng: Random) -> Json:
        return rng.choice(TOWNS)

    def say(self, rng: Random, value: Json) -> str:
        return str(value)


@dataclass(frozen=True)
class Clock:
    """A time of the day as HH:MM, said in one of several ways."""

    def schema(self) -> dict[str, Json]:
        return {"type": "string", "description": "Time. Rule: HH:MM"}

    def draw(self, rng: Random) -> Json:
        return f"{rng.randint(6, 21):02d}:{rng.choice((0, 15, 30, 45)):02d}"

    def say(self, rng: Random, value: Json) -> str:
        hour, minute = int(value[:2]), int(value[3:])
        half = "a.m." if hour < 12 else "p.m."
        twelve = (hour - 1) % 12 + 1
        return rng.choice(
            (str(value), f"{twelve}:{minute:02d} {half}", f"{twelve} {half}" if minute == 0 else str(value))
        )


Kind = Whole | Amount | Choice | Person | Town | Clock

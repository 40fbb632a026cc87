"""Copying drills: the answer stands in the context, letter for letter, and nothing but the context tells it.

    repeat       a random string, noise, the same string again
    recall       many `key: value` lines, then some keys again with their values (and values with their keys)
    line_number  numbered or unnumbered lines, then "line 7:"
    again        a list, said again as it is, reversed, sorted or without one entry
    normalise    one value a line in two notations: 3 May 2031 -> 2031-05-03

Each drill is a function (rng, room) -> Draft, with `room` the number of characters it should fill at most (about
three to a token).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from lathe.corpora._structured_text import fields, words
from lathe.corpora._structured_text.draft import ANSWER, CUE, FREE, Draft
from lathe.corpora._structured_text.renderings import dump

_PLAIN_KINDS = tuple(kind for kind in fields.STRING_KINDS if kind != "choice")
_PRINTABLE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:#+=@%&*!?$~^<>[]{}()|'\"\\,; "


def random_string(rng: Random, longest: int) -> str:
    """A string that cannot be guessed: characters, syllables, digits, words or a mixture, at most `longest`
    characters."""
    shape = rng.random()
    if shape < 0.25:
        return "".join(rng.choice(_PRINTABLE) for _ in range(rng.randint(4, longest))).strip() or "x"
    makers: tuple[Callable[[], str], ...] = (
        lambda: words.coined(rng),
        lambda: words.coined(rng).capitalize(),
        lambda: words.any_word(rng),
        lambda: str(rng.randint(0, 99999)),
        lambda: fields.scalar(fields.Field(("x",), rng.choice(_PLAIN_KINDS)), rng).target,
    )
    if shape < 0.5:
        makers = (rng.choice(makers[:4]),)
    joiner = rng.choice((" ", " ", "-", "_", "", ", "))
    text, goal = "", rng.randint(4, longest)
    while len(text) < goal:
        text += (joiner if text else "") + rng.choice(makers)()
    return text[:longest].strip() or "x"


def _noise(rng: Random, room: int) -> str:
    """Idle sentences, chains of words and random strings of about `room` characters."""
    parts: list[str] = []
    while room > 0:
        shape = rng.random()
        part = (
            words.sentence(rng) if shape < 0.6 else words.phrase(rng, 3, 9) if shape < 0.8 else random_string(rng, 40)
        )
        parts.append(part)
        room -= len(part) + 1
    return rng.choice((" ", "\n")).join(parts)


def repeat(rng: Random, room: int) -> Draft:
    """One to four random strings between marks, noise, and the strings again in order."""
    draft = Draft()
    strings = [random_string(rng, max(8, min(200, room // 6))) for _ in range(rng.choice((1, 1, 2, 3, 4)))]
    gap = max(0, room - 2 * sum(map(len, strings)) - 80)
    left, right = rng.choice((("<", ">"), ("[", "]"), ("«", "»"), ('"', '"'), ("", ""), ("{", "}"), ("`", "`")))
    mark = rng.choice(
        ("copy: ", "text: ", "remember ", "repeat: ", "# ", words.word(rng) + ": ", words.coined(rng) + " = ")
    )
    noise_first = rng.random() < 0.4
    if noise_first:
        draft.say(_noise(rng, rng.randint(0, gap)) + "\n", FREE)
    for string in strings:
        draft.say(f"{mark}{left}", CUE)
        draft.say(string, FREE)
        draft.say(f"{right}\n", CUE)
    if not noise_first and rng.random() < 0.7:
        draft.say(_noise(rng, rng.randint(0, gap)) + "\n", FREE)
    for times in range(rng.choice((1, 1, 1, 2))):
        for string in strings:
            draft.say(f"{mark}{left}", ANSWER if times else CUE)
            draft.say(f"{string}{right}\n", ANSWER)
    return draft


def recall(rng: Random, room: int) -> Draft:
    """A dictionary of random pairs, then some of its entries by key or by value."""
    draft = Draft()
    separator, arrow = rng.choice((": ", " = ", " -> ", "\t", " | ")), rng.choice((": ", " = ", " -> ", " => "))
    taken: set[tuple[str, ...]] = set()
    simple = rng.random() < 0.5
    style = rng.choice(("snake", "words", "title", "camel"))
    pairs: dict[str, str] = {}
    spoken: dict[str, str] = {}
    goal = rng.randint(min(120, room // 2), max(130, room * 7 // 10))
    while sum(map(len, pairs.values())) + sum(map(len, pairs)) < goal:
        field = fields.scalar_field(rng, taken)
        name = rng.choice((words.coined(rng), random_string(rng, 10))) if simple else fields.key(field.label, style)
        if name not in pairs:
            value = fields.scalar(field, rng)
            spoken[name] = name if simple else fields.key(field.label, rng.choice(("snake", "title", "words", "camel")))
            pairs[name] = value.surfaces[0] if rng.random() < 0.6 else random_string(rng, 40)
    for name, shown in pairs.items():
        draft.say(f"{name}{separator}{shown}\n", FREE)
    draft.say(rng.choice(("---\n", "\n", "lookup\n", "then\n")), CUE)
    unique = [name for name, shown in pairs.items() if list(pairs.values()).count(shown) == 1]
    for name in rng.choices(list(pairs), k=min(len(pairs), rng.randint(2, 12))):
        if name in unique and rng.random() < 0.25:
            draft.say(f"{pairs[name]}", 0.5)
            draft.say(f" <- {name}\n", ANSWER)
        else:
            draft.say(f"{spoken[name]}{arrow}", 0.3)
            draft.say(f"{pairs[name]}\n", ANSWER)
    return draft


def line_number(rng: Random, room: int) -> Draft:
    """Lines of random strings and questions for single lines by number or by neighbour."""
    draft = Draft()
    lines: list[str] = []
    while sum(map(len, lines)) < room * 0.6 and len(lines) < 40:
        lines.append(random_string(rng, 40))
    numbered = rng.random() < 0.7
    shape = rng.choice(("{}. ", "{}: ", "{}) ", "[{}] ", "line {}: "))
    for number, line in enumerate(lines, 1):
        draft.say(f"{shape.format(number) if numbered else ''}{line}\n", FREE)
    draft.say("\n", CUE)
    for _ in range(rng.randint(1, 5)):
        position = rng.randrange(len(lines))
        if position and rng.random() < 0.4:
            draft.say(f"after {lines[position - 1]}\n", 0.5)
            draft.say(f"comes {lines[position]}\n", ANSWER)
        elif rng.random() < 0.15:
            draft.say("the last line is ", CUE)
            draft.say(f"{lines[-1]}\n", ANSWER)
        else:
            draft.say(f"line {position + 1} is ", CUE)
            draft.say(f"{lines[position]}\n", ANSWER if numbered else 0.5)
    return draft


def again(rng: Random, room: int) -> Draft:
    """A list and the same list in another order or notation."""
    draft = Draft()
    kind = rng.choice(("word", "coined", "name", "integer", "code", "phrase", "decimal"))
    items: list[object] = []
    while sum(len(str(item)) + 4 for item in items) < min(room * 0.4, 600) and len(items) < 25:
        items.append(fields.scalar(fields.Field(("x",), kind), rng).target)
    items = list(dict.fromkeys(items))
    joiner = rng.choice((", ", "\n", "; ", " | ", "\n- "))
    draft.say(rng.choice(("list: ", "items: ", "given ", "")) + joiner.join(map(str, items)) + "\n", FREE)
    others = [item for item in items if item != items[0]] or items
    gone = rng.choice(others)
    turns: tuple[tuple[str, list[object]], ...] = (
        ("same", items),
        ("reversed", items[::-1]),
        (f"without {gone}", [item for item in items if item != gone]),
        ("the first three", items[:3]),
        ("the last two", items[-2:]),
        ("sorted", sorted(items, key=lambda item: (str(type(item)), item))),
        ("how many", [len(items)]),
    )
    for name, result in rng.sample(turns, rng.randint(1, 3)):
        notation = rng.random()
        text = dump(list(result), None) if notation < 0.6 else ", ".join(map(str, result))
        draft.say(f"{name}{' as JSON' if notation < 0.6 else ''}: ", CUE)
        draft.say(f"{text}\n", ANSWER)
    return draft


_UNITS = (
    ("km", "m", 1000),
    ("kg", "g", 1000),
    ("h", "min", 60),
    ("min", "s", 60),
    ("m", "cm", 100),
    ("l", "ml", 1000),
    ("weeks", "days", 7),
    ("days", "hours", 24),
    ("dozen", "pieces", 12),
)


def _unit_sum(rng: Random) -> tuple[str, str]:
    """A sum of quantities and its value in the smaller unit."""
    big, small, factor = rng.choice(_UNITS)
    many, few = rng.randint(1, 12), rng.randint(0, factor - 1)
    shape = rng.random()
    if shape < 0.3:
        return f"{many} {big} in {small}", f"{many * factor} {small}"
    if shape < 0.7:
        return f"{many} {big} + {few} {small}", f"{many * factor + few} {small}"
    numbers = [rng.randint(1, 50) for _ in range(rng.randint(2, 4))]
    return " + ".join(f"{number} {small}" for number in numbers), f"{sum(numbers)} {small}"


def normalise(rng: Random, room: int) -> Draft:
    """Single values and names from a written form to the form JSON wants, one a line."""
    draft = Draft()
    arrow = rng.choice((" -> ", " => ", "\t", " = ", " becomes "))
    kinds = rng.sample(
        ("date", "date", "time", "money", "integer", "boolean", "percent", "decimal", "null", "choice"),
        rng.randint(1, 4),
    )
    key_styles = rng.sample(("snake", "camel", "pascal", "kebab"), 2)
    while draft.length < min(room * 0.8, 700):
        shape = rng.random()
        if shape < 0.3:
            label, style = fields.scalar_field(rng, set()).label, rng.choice(key_styles)
            draft.say(f"{style}: {fields.key(label, rng.choice(('words', 'title')))}{arrow}", 0.15)
            draft.say(f"{fields.key(label, style)}\n", ANSWER)
        elif shape < 0.38:
            question, result = _unit_sum(rng)
            draft.say(f"{question}{arrow}", 0.15)
            draft.say(f"{result}\n", 0.5)
        else:
            field = fields.Field(
                ("x",), rng.choice(kinds), choices=(words.word(rng), f"{words.word(rng)}_{words.word(rng)}")
            )
            value = fields.scalar(field, rng)
            draft.say(f"{rng.choice(value.surfaces[1:] or value.surfaces)}{arrow}", 0.15)
            draft.say(f"{dump(value.target, None)}\n", ANSWER)
    return draft


DRILLS: tuple[tuple[Callable[[Random, int], Draft], int], ...] = (
    (repeat, 40),
    (recall, 30),
    (line_number, 10),
    (again, 10),
    (normalise, 10),
)
"""Drills with their shares."""

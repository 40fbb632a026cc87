"""Drills of finding a value by its label: many fields, short values, and nothing but the label that tells them apart.

    gives: Yara Morson          {"takes": string, "gives": string, "shift_day": date}
    Takes = Elias Thornman  ->  {"takes": "Elias Thornman", "gives": "Yara Morson", "shift_day": "2031-05-03"}
    the day is 3 May 2031

In long records most tokens of an answer are copied from the token before, and a model that takes any value of the right kind
is right often enough. Here nearly every token decides: labels share words, text and answer have them in different order, case
and style, the values of half of the kinds are written otherwise than JSON wants them, and the text tells more than is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from lathe.corpora._structured_text import words
from lathe.corpora._structured_text.draft import ANSWER, CUE, FREE, Draft
from lathe.corpora._structured_text.facts import Fact, Group, Item, Label, absent, invent, target
from lathe.corpora._structured_text.fields import json_type, key, scalar
from lathe.corpora._structured_text.renderings import dump, surface

_WISHES = (
    "Find the values.",
    "As JSON.",
    "Fill these in.",
    "Which value has which key?",
    "Extract as JSON of this shape:",
    "Extract as JSON of this shape:",
)
_LABEL_STYLES = ("words", "title", "title", "snake", "sentence", "sentence", "upper", "camel", "kebab")
_LINE_JOINTS = (": ", ": ", ": ", ": ", " = ", " - ", " | ", ":", "\t", " -> ", " .. ")
_CELL_JOINTS = (" | ", ", ", "; ", "\t", ";")
_ROW_JOINTS = (" | ", "; ", "\t")
_KEYS = 0.4
"""Weight of what is not a value in an answer: keys and punctuation are told by the shape, unless it leaves some open."""

_OPENING_WORDS = {
    word: word.capitalize()
    for word in ("the", "its", "for", "we", "at", "with", "there", "it", "they", "without", "no", "not", "one", "yes")
}
"""How a sentence opens that does not open with a value: values are copied as they stand."""

Pair = tuple[Label, str]
"""What the text calls a value, and the value as the text writes it."""


def lookup(rng: Random, room: int) -> Draft:
    """A text of labelled values, and the values of some labels as JSON or one by one."""
    groups = rng.choice((0, 0, 0, 1, 1, 1, 2)) if room > 500 else 0
    count = rng.randint(3 - min(groups, 2), max(3, min(14, (room - 240 * groups) // 65)))
    items = invent(rng, count, groups)
    text = _text(items, rng)
    asked = rng.sample(items, rng.randint(max(1, (len(items) + 1) // 2), len(items)))
    if groups or rng.random() < 0.85:
        return _as_json(text, asked, absent(items, rng.choice((0, 0, 1, 1, 2, 3)), rng), rng)
    return _one_by_one(text, [item for item in asked if isinstance(item, Fact)], rng)


def _text(items: Sequence[Item], rng: Random) -> str:
    """The items in one of five layouts, now and then between idle lines."""
    layout: Callable[[Sequence[Item], Random], str] = rng.choices(
        (_lines, _header_over_row, _sentences, _dialogue, _log), (28, 20, 26, 18, 8)
    )[0]
    text = layout(items, rng)
    if rng.random() < 0.3:
        text = f"{_title(rng)}\n{text}"
    if rng.random() < 0.15:
        text = f"{text}\n{words.sentence(rng)}"
    return text


def _title(rng: Random) -> str:
    title = words.phrase(rng, 1, 3)
    return rng.choice((title.title(), title.upper(), f"== {title} ==", f"# {title}", f"Subject: {title}"))


def _pairs(entry: Sequence[Item], rng: Random, *, of: Label = ()) -> Iterator[Pair]:
    """Every value outside of rows with its spoken label; a list is one value, an object's labels carry the object's."""
    for item in entry:
        if isinstance(item, Fact):
            yield (*of, *item.spoken), surface(item.value, rng, rng.random() < 0.3)
        elif item.kind == "list":
            shown = [surface(one.value, rng, True) for (one,) in item.entries]
            joint = rng.choice((", ", ", ", "; ", " / "))
            last = f" and {shown[-1]}" if joint == ", " and rng.random() < 0.5 else f"{joint}{shown[-1]}"
            yield item.spoken, joint.join(shown[:-1]) + last
        elif item.kind == "object":
            yield from _pairs(item.entries[0], rng, of=item.spoken if rng.random() < 0.6 else ())


def _rows(items: Sequence[Item]) -> list[Group]:
    return [item for item in items if isinstance(item, Group) and item.kind == "rows"]


def _lines(items: Sequence[Item], rng: Random) -> str:
    """Label, joint, value; objects and rows indented below their label."""
    style, joint = rng.choice(_LABEL_STYLES), rng.choice(_LINE_JOINTS)
    mark, sections = rng.choice(("- ", "- ", "* ", "")), rng.random() < 0.5
    lines: list[str] = []
    for item in items:
        if isinstance(item, Group) and (item.kind == "rows" or (item.kind == "object" and sections)):
            lines.append(f"{key(item.spoken, style)}:")
            for number, entry in enumerate(item.entries, 1):
                start = f"  {mark or f'{number}. '}" if item.kind == "rows" else "  "
                for label, shown in _pairs(entry, rng):
                    lines.append(f"{start}{key(label, style)}{joint}{shown}")
                    start = " " * len(start)
        else:
            lines += [f"{key(label, style)}{joint}{shown}" for label, shown in _pairs([item], rng)]
        if rng.random() < 0.06:
            lines.append(words.sentence(rng))
    return "\n".join(lines)


def _table(head: Sequence[str], body: Sequence[Sequence[str]], joint: str, fenced: bool) -> str:
    lines = [joint.join(line) for line in (head, *body)]
    if fenced:
        lines = [f"| {line} |" for line in lines]
        lines.insert(1, "|" + " --- |" * len(head))
    return "\n".join(lines)


def _row_tables(items: Sequence[Item], style: str, joint: str, fenced: bool, rng: Random) -> Iterator[str]:
    """Each of the rows as a table under its label; an absent value is an empty cell."""
    for group in _rows(items):
        labels = list(dict.fromkeys(fact.spoken for entry in group.entries for fact in entry))
        shown = [dict(_pairs(entry, rng)) for entry in group.entries]
        body = [[row.get(label, "") for label in labels] for row in shown]
        title = key(group.spoken, style)
        head = rng.choice((f"{title}:", title, f"-- {title} --", f"[{title}]"))
        yield f"{head}\n" + _table([key(label, style) for label in labels], body, joint, fenced)


def _header_over_row(items: Sequence[Item], rng: Random) -> str:
    """A line of labels over a line of values, and a table for each of the rows."""
    style = rng.choice(("title", "words", "snake", "sentence", "upper"))
    pairs = list(_pairs(items, rng))
    joint = rng.choice([joint for joint in _CELL_JOINTS if not any(joint in shown for _, shown in pairs)])
    fenced = joint == " | " and rng.random() < 0.4
    tables = [_table([key(label, style) for label, _ in pairs], [[shown for _, shown in pairs]], joint, fenced)]
    return "\n".join([*(tables if pairs else []), *_row_tables(items, style, joint, fenced, rng)])


def _frames(rng: Random) -> list[str]:
    """A few ways to state a label's value; half of them around an invented verb."""
    does, makes, adds = (f"{rng.choice(words.VERBS)}s" for _ in range(3))
    thing = rng.choice(words.NOUNS)
    frames = (
        "the {label} is {value}",
        "the {label} is {value}",
        "its {label} is {value}",
        "{value} is the {label}",
        "{label}: {value}",
        "{label} {value}",
        "the {label} came to {value}",
        "for the {label} we have {value}",
        "we put down {value} as {label}",
        "the {label} should be {value}",
        f"the {{label}} {does} {{value}}",
        f"the {{label}} {makes} with {{value}}",
        f"{{value}} {adds} the {{label}}",
        f"the {thing} {does} {{value}} as {{label}}",
        f"{{value}} {makes} as {{label}} of the {thing}",
        f"at the {{label}} the {thing} {adds} {{value}}",
        "{value} ({label})",
        "with {value} for the {label}",
    )
    return rng.sample(frames, rng.randint(2, 5))


_HOLDS = (
    "the {label} is there",
    "it has {label}",
    "with {label}",
    "{label} is included",
    "they {label}",
    "yes to {label}",
)
_FAILS = (
    "there is no {label}",
    "without {label}",
    "the {label} is missing",
    "not {label}",
    "they never {label}",
    "no {label}",
)


def _statements(items: Sequence[Item], rng: Random) -> list[str]:
    """A clause for every value, and for the entries of rows one each, all entries of a group alike."""
    frames, clauses = _frames(rng), list[str]()
    for item in items:
        if isinstance(item, Group) and item.kind == "rows":
            pattern = _entry_pattern(item, rng)
            clauses += [pattern(dict(_pairs(entry, rng))) for entry in item.entries]
        elif isinstance(item, Fact) and item.field.kind == "boolean" and rng.random() < 0.6:
            clause = rng.choice(_HOLDS if item.value.target else _FAILS)
            clauses.append(clause.format(label=" ".join(item.spoken)))
        else:
            clauses += [
                rng.choice(frames).format(label=" ".join(label), value=shown) for label, shown in _pairs([item], rng)
            ]
    return clauses


def _entry_pattern(group: Group, rng: Random) -> Callable[[dict[Label, str]], str]:
    """How this text tells an entry: each label with its own frame, the first often without its label."""
    own = {
        fact.spoken: rng.choice(("{value} {label}", "{label} {value}", "{label}: {value}", "{value} as {label}"))
        for entry in group.entries
        for fact in entry
    }
    opening = rng.choice(
        ("", "", f"{' '.join(group.spoken)}: ", f"one of the {' '.join(group.spoken)} is ", "there is ")
    )
    if opening or rng.random() < 0.5:
        own[group.entries[0][0].spoken] = "{value}"
    joint = rng.choice((", ", ", ", " with ", "; ", ": "))

    def entry(shown: dict[Label, str]) -> str:
        told = [own[label].format(label=" ".join(label), value=value) for label, value in shown.items()]
        return opening + told[0] + (joint + ", ".join(told[1:]) if told[1:] else "")

    return entry


def _sentences(items: Sequence[Item], rng: Random) -> str:
    """Clauses in sentences of one or two, some idle ones between, now and then as a letter."""
    clauses, sentences = _statements(items, rng), list[str]()
    while clauses:
        take = min(len(clauses), rng.choice((1, 1, 1, 2)))
        told, clauses = ", and ".join(clauses[:take]), clauses[take:]
        opened = _OPENING_WORDS.get(told.split(" ", 1)[0])
        sentences.append(f"{opened + told[len(opened) :] if opened else told}.")
        if rng.random() < 0.12:
            sentences.append(words.sentence(rng))
    body = rng.choice((" ", " ", "\n")).join(sentences)
    if rng.random() < 0.3:
        greeting = rng.choice(("Dear", "Hi", "Hello")) + f" {words.coined(rng).capitalize()},\n"
        body = f"{greeting}{body}\n{rng.choice(('Best', 'Yours', 'Thanks', 'Kind regards'))}, {words.person(rng)}"
    return body


def _dialogue(items: Sequence[Item], rng: Random) -> str:
    """Two speakers: one states the values, the other asks for some; a few statements are corrected."""
    asks, tells = (words.coined(rng).capitalize() for _ in range(2))
    questions = rng.sample(("{}?", "what about {}?", "and {}?", "{} please", "the {}?", "which {}?"), 2)
    lines: list[str] = []
    order = list(items)
    rng.shuffle(order)
    for item in order:
        if isinstance(item, Fact) and rng.random() < 0.45:
            ((label, shown),) = _pairs([item], rng)
            lines += [f"{asks}: {rng.choice(questions).format(' '.join(label))}", f"{tells}: {shown}"]
        elif isinstance(item, Fact) and item.field.kind not in ("boolean", "choice") and rng.random() < 0.1:
            wrong = surface(scalar(item.field, rng), rng, True)
            ((label, shown),) = _pairs([item], rng)
            lines.append(f"{tells}: {rng.choice(_frames(rng)).format(label=' '.join(label), value=wrong)}")
            lines.append(f"{tells}: {rng.choice(('correction: ', 'no, ', 'sorry, ', 'I mean '))}{shown}")
        else:
            lines += [f"{tells}: {clause}" for clause in _statements([item], rng)]
        if rng.random() < 0.15:
            lines.append(f"{asks}: {rng.choice(('yes', 'I see', 'go on', words.sentence(rng)))}")
    return "\n".join(lines)


def _log(items: Sequence[Item], rng: Random) -> str:
    """Assignments, one or several a line, and a table for each of the rows."""
    style = rng.choice(("snake", "camel", "kebab"))
    shape = rng.choice(("{}={}", "{}={}", "set {} to {}", "{} changed to {}", "{} := {}", '{}: "{}"'))
    told = [shape.format(key(label, style), shown) for label, shown in _pairs(items, rng)]
    per_line = 1 if " " in shape else rng.choice((1, 2, 4, 9))
    head = rng.choice(("", "[{}] ", "{} INFO ", "> "))
    first = rng.randint(1, 99)
    lines = [
        head.format(first + number) + rng.choice((" ", ", ", "; ")).join(told[start : start + per_line])
        for number, start in enumerate(range(0, len(told), per_line))
    ]
    return "\n".join([*lines, *_row_tables(items, style, rng.choice(_ROW_JOINTS), False, rng)])


def _as_json(text: str, asked: Sequence[Item], lacking: Sequence[Fact], rng: Random) -> Draft:
    """A shape or a list of keys, and the object; the keys are told, so they weigh little, unless the text says nothing of some of
    them (`lacking`)."""
    style = rng.choice(("snake", "snake", "snake", "camel", "kebab", "title"))

    def name(label: Label) -> str:
        return key(label, style)

    listed = [*asked, *lacking]
    rng.shuffle(listed)
    optional = {id(item) for item in listed if rng.random() < 0.2} | {id(item) for item in lacking}
    shown = (
        "{"
        + ", ".join(f'"{name(i.label)}"{"?" if id(i) in optional else ""}: {_type(i, name, rng)}' for i in listed)
        + "}"
    )
    named = lacking or any(map(_has_synonyms, listed)) or rng.random() < 0.85
    told = shown if named else "keys: " + ", ".join(name(item.label) for item in listed)
    parts = [f"{rng.choice(_WISHES)}\n{told}", rng.choice(("", "Text:\n")) + text]
    if rng.random() < 0.2:
        parts.reverse()
    draft = Draft()
    draft.ask("\n\n".join(parts), FREE)
    draft.say("{", CUE)
    present = [item for item in listed if item not in lacking]
    for number, item in enumerate(present):
        draft.say(f'{", " if number else ""}"{name(item.label)}": ', ANSWER if optional else _KEYS)
        draft.say(dump(target(item, name), None), ANSWER)
    draft.answer("}", ANSWER if optional else _KEYS)
    return draft


def _has_synonyms(item: Item) -> bool:
    """Whether the text writes a choice in words that only its type explains."""
    facts = [item] if isinstance(item, Fact) else [fact for entry in item.entries for fact in entry]
    return any(fact.synonyms for fact in facts)


def _type(item: Item, name: Callable[[Label], str], rng: Random) -> str:
    """The item's type in the shape notation of Lathe's prompts."""
    if isinstance(item, Group):
        if item.kind == "list":
            return f"[{_type(item.entries[0][0], name, rng)}]"
        every = {fact.label: fact for entry in item.entries for fact in entry}
        always = set.intersection(*({fact.label for fact in entry} for entry in item.entries))
        inner = ", ".join(
            f'"{name(label)}"{"" if label in always else "?"}: {_type(fact, name, rng)}'
            for label, fact in every.items()
        )
        return f"{{{inner}}}" if item.kind == "object" else f"[{{{inner}}}]"
    if item.field.choices:
        rule = ", ".join(f"{word} = {choice}" for word, choice in item.synonyms)
        return "|".join(f'"{choice}"' for choice in item.field.choices) + (f" ({rule})" if rule else "")
    if item.field.kind in ("date", "email") and rng.random() < 0.8:
        return item.field.kind
    if item.field.kind == "time" and rng.random() < 0.7:
        return rng.choice(("time", "string (HH:MM)"))
    return json_type(item.field.kind)


def _one_by_one(text: str, asked: Sequence[Fact], rng: Random) -> Draft:
    """Questions for single labels, answered one after the other."""
    ask, style = rng.choice(("{}?", "{}:", "What is the {}?", "the {} please")), rng.choice(("words", "snake", "title"))
    draft, chat = Draft(), rng.random() < 0.5
    for number, fact in enumerate(asked):
        question = (f"{text}\n\n" if number == 0 else "") + ask.format(key(fact.label, style))
        answer = fact.value.target if isinstance(fact.value.target, str) else dump(fact.value.target, None)
        if chat:
            draft.ask(question, FREE if number == 0 else 0.2)
            draft.answer(answer)
        else:
            draft.say(question + " ", FREE if number == 0 else 0.2)
            draft.say(f"{answer}\n", ANSWER)
    return draft

"""Ways to show a record to a reader: each is a function (record, rng, plain) -> text.

    listing      Silver Harbor: 41.7 / Crew: / - Anna Bellford          key and value lines, nested by indentation,
    path or heading prose        The silver harbor is 41.7, and the crew includes ...
    dialogue     A: what about the silver harbor?  B: that would be 41.7
    log          2031-02-11 09:14:02 WARN silver_harbor=41.7 crew="Anna Bellford"
    letter       a subject line, a greeting, prose or a listing, a signature
    markup       YAML, XML, INI, JSON, query string
    columns      a line of labels and a line of values
    table        rows of one schema as Markdown, CSV, TSV or an aligned table

`plain` keeps every value in its plain surface, so that the target can be copied; otherwise a value may need its rule
(dates spelled out, separators in numbers, yes and no). The spoken label is always close to the key, so that a key
can be found by its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from lathe.corpora._structured_text import words
from lathe.corpora._structured_text.fields import Field, Record, Value, key, other_words, target

_LABEL_STYLES = (
    "title",
    "title",
    "title",
    "words",
    "words",
    "sentence",
    "snake",
    "camel",
    "upper",
    "pascal",
    "kebab",
    "constant",
)
_SEPARATORS = (": ", ": ", ": ", ": ", " = ", " - ", "=", " -> ", ":\t", " | ", " .... ", ":")


def surface(value: Value, rng: Random, plain: bool) -> str:
    """One of the ways to show the value."""
    if plain or rng.random() < 0.45:
        return value.surfaces[0]
    return rng.choice(value.surfaces)


def shuffled(record: Record, rng: Random) -> dict[Field, Any]:
    """The record with its fields in another order (inside objects and rows too)."""
    items = list(record.items())
    rng.shuffle(items)
    return {
        f: shuffled(v, rng) if f.kind == "object" else [shuffled(row, rng) for row in v] if f.kind == "rows" else v
        for f, v in items
    }


def reworded(record: Record, rng: Random) -> dict[Field, Any]:
    """The record with some labels worded differently: a word left out, added, or the words turned round with "of".

    A label that another field of the same level already has stays as it was.
    """
    taken = {field.label for field in record}
    changed: dict[Field, Any] = {}
    for field, value in record.items():
        inner = (
            reworded(value, rng)
            if field.kind == "object"
            else [reworded(row, rng) for row in value]
            if field.kind == "rows"
            else value
        )
        label = other_words(field.label, rng) if rng.random() < 0.5 else field.label
        if label != field.label and label not in taken:
            taken.add(label)
            field = replace(field, label=label)
        changed[field] = inner
    return changed


def columns(record: Record, rng: Random, plain: bool) -> str:
    """A line of labels and a line of values."""
    joint = rng.choice((" | ", ", ", "\t", ";", " / "))
    pairs = list(_paths(record, rng.choice(("title", "words", "snake", "sentence")), " ", rng, plain))
    return joint.join(path for path, _ in pairs) + "\n" + joint.join(shown for _, shown in pairs)


def listing(record: Record, rng: Random, plain: bool) -> str:
    """Key and value lines; nesting by indentation, dotted path or heading."""
    style, separator = rng.choice(_LABEL_STYLES), rng.choice(_SEPARATORS)
    bullet = rng.choice(("", "", "", "", "- ", "* ", "• "))
    if rng.random() < 0.22:
        path_joint = rng.choice((".", "/", " > ", ": "))
        return "\n".join(
            f"{bullet}{path}{separator}{shown}" for path, shown in _paths(record, style, path_joint, rng, plain)
        )
    indent, item_mark = rng.choice(("  ", "  ", "    ", "\t")), rng.choice(("- ", "- ", "* ", "{}. ", "({}) ", "#{} "))
    inline_lists = rng.choice((", ", "; ", " / ", None, None))
    return "\n".join(_tree(record, style, separator, bullet, indent, item_mark, inline_lists, rng, plain))


def _tree(
    record: Record,
    style: str,
    separator: str,
    bullet: str,
    indent: str,
    item_mark: str,
    inline: str | None,
    rng: Random,
    plain: bool,
) -> Iterator[str]:
    for field, value in record.items():
        label = key(field.label, style)
        if field.kind == "object":
            yield f"{bullet}{label}{separator.rstrip()}"
            yield from (
                indent + line for line in _tree(value, style, separator, bullet, indent, item_mark, inline, rng, plain)
            )
        elif field.kind == "rows":
            yield f"{bullet}{label}{separator.rstrip()}"
            for number, row in enumerate(value, 1):
                mark = item_mark.format(number)
                lines = _tree(row, style, separator, "", indent, item_mark, inline, rng, plain)
                yield from (
                    indent + (mark if first == 0 else " " * len(mark)) + line for first, line in enumerate(lines)
                )
        elif field.kind == "list" and inline is None:
            yield f"{bullet}{label}{separator.rstrip()}"
            yield from (
                f"{indent}{item_mark.format(number)}{surface(item, rng, plain)}" for number, item in enumerate(value, 1)
            )
        elif field.kind == "list":
            yield f"{bullet}{label}{separator}" + (inline or ", ").join(surface(item, rng, plain) for item in value)
        else:
            yield f"{bullet}{label}{separator}{surface(value, rng, plain)}"


def _paths(record: Record, style: str, joint: str, rng: Random, plain: bool) -> Iterator[tuple[str, str]]:
    for field, value in record.items():
        label = key(field.label, style)
        if field.kind == "object":
            yield from ((f"{label}{joint}{path}", shown) for path, shown in _paths(value, style, joint, rng, plain))
        elif field.kind == "rows":
            for number, row in enumerate(value, 1):
                yield from (
                    (f"{label} {number}{joint}{path}", shown) for path, shown in _paths(row, style, joint, rng, plain)
                )
        elif field.kind == "list":
            yield label, ", ".join(surface(item, rng, plain) for item in value)
        else:
            yield label, surface(value, rng, plain)


_CLAUSES = (
    "the {label} is {value}",
    "the {label} is {value}",
    "its {label} is {value}",
    "{value} is the {label}",
    "the {label} was given as {value}",
    "we have {value} as {label}",
    "for the {label} we noted {value}",
    "the {label} reads {value}",
    "the {label} came to {value}",
    "{label}: {value}",
    "the {label} ({value})",
    "the {label} should be {value}",
    "with {value} as the {label}",
    "{label} {value}",
    "under {label} it says {value}",
    "the {label} turned out to be {value}",
    "I put down {value} for the {label}",
)


def prose(record: Record, rng: Random, plain: bool) -> str:
    """Sentences that state every value, with idle sentences in between."""
    few = rng.sample(_CLAUSES, 4)
    return _sentences(_clauses(record, rng, plain, few, ""), rng)


def _clauses(record: Record, rng: Random, plain: bool, templates: Sequence[str], owner: str) -> Iterator[str]:
    for field, value in record.items():
        label = key(field.label, "words") + owner
        if field.kind == "object":
            yield from _clauses(value, rng, plain, templates, f" of the {key(field.label, 'words')}")
        elif field.kind == "rows":
            yield f"there {'is one entry' if len(value) == 1 else f'are {len(value)} entries'} under {label}"
            for number, row in enumerate(value, 1):
                inner = [
                    f"{key(f.label, 'words')} {surface(v, rng, plain)}" for f, v in row.items() if isinstance(v, Value)
                ]
                yield f"{rng.choice(('entry', 'number', 'item'))} {number} has " + ", ".join(inner)
                rest = {f: v for f, v in row.items() if not isinstance(v, Value)}
                yield from _clauses(rest, rng, plain, templates, f" of entry {number}")
        elif field.kind == "list":
            shown = [surface(item, rng, plain) for item in value]
            joined = ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]
            yield f"the {label} {rng.choice(('are', 'includes', 'covers'))} {joined}"
        else:
            yield rng.choice(templates).format(label=label, value=surface(value, rng, plain))


def _sentences(clauses: Iterator[str], rng: Random) -> str:
    sentences: list[str] = []
    waiting = list(clauses)
    while waiting:
        take = min(len(waiting), rng.choice((1, 1, 2, 2, 3)))
        part, waiting = waiting[:take], waiting[take:]
        text = ", and ".join((", ".join(part[:-1]), part[-1])) if take > 1 else part[0]
        sentences.append(text[0].upper() + text[1:] + ".")
        if rng.random() < 0.12:
            sentences.append(words.sentence(rng))
    return " ".join(sentences)


def dialogue(record: Record, rng: Random, plain: bool) -> str:
    """Two speakers who ask for the values and state them."""
    one, two = rng.choice(
        (("A", "B"), ("Q", "A"), (words.coined(rng).capitalize(), words.coined(rng).capitalize()), ("caller", "desk"))
    )
    asks = rng.sample(
        (
            "What is the {}?",
            "And the {}?",
            "{}?",
            "Which {} did you note?",
            "Can you tell me the {}?",
            "I still need the {}.",
        ),
        3,
    )
    replies = rng.sample(("{}.", "It is {}", "That would be {}.", "{}", "Let me see: {}", "I have {} here."), 3)
    lines = []
    for path, shown in _paths(record, "words", ", ", rng, plain):
        ask = rng.choice(asks).format(path)
        lines += [f"{one}: {ask[0].upper() + ask[1:]}", f"{two}: {rng.choice(replies).format(shown)}"]
        if rng.random() < 0.08:
            lines.append(f"{rng.choice((one, two))}: {words.sentence(rng)}")
    return "\n".join(lines)


def log(record: Record, rng: Random, plain: bool) -> str:
    """One or several log lines with key=value pairs."""
    style, joint = rng.choice(("snake", "camel", "kebab")), rng.choice((" ", " ", ", ", "; ", " | "))
    pairs = [f"{path}={_quoted(shown)}" for path, shown in _paths(record, style, ".", rng, plain)]
    day = f"{rng.randint(2001, 2035)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    stamp = f"{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    source = rng.choice((words.word(rng), f"[{words.coined(rng)}]", words.word(rng).upper()))
    lines = []
    while pairs:
        take = rng.randint(2, 7)
        head = f"{stamp}:{rng.randint(0, 59):02d} {rng.choice(('INFO', 'WARN', 'DEBUG', 'ERROR', 'notice'))}"
        lines.append(f"{head} {source} {joint.join(pairs[:take])}")
        pairs = pairs[take:]
    return "\n".join(lines)


def _quoted(shown: str) -> str:
    return f'"{shown}"' if any(c in shown for c in ' ,;|="') else shown


def letter(record: Record, rng: Random, plain: bool) -> str:
    """A message with greeting and signature around prose or a listing."""
    body = (prose if rng.random() < 0.55 else listing)(record, rng, plain)
    head = rng.choice(
        (f"Subject: {words.phrase(rng)}\n\n", f"To: {words.person(rng)}\nFrom: {words.person(rng)}\n\n", "")
    )
    greeting = rng.choice(("Hello {},", "Dear {},", "Hi {},", "{},", "Good morning {},")).format(
        words.coined(rng).capitalize()
    )
    opening = rng.choice(
        ("", words.sentence(rng) + " ", "here is what I have. ", "as promised. ", words.sentence(rng) + "\n")
    )
    ending = rng.choice(("Best regards", "Thanks", "Yours", "Kind regards", "See you", "Cheers"))
    return f"{head}{greeting}\n\n{opening}{body}\n\n{ending},\n{words.person(rng)}"


def plain_listing(record: Record) -> str:
    """The one listing without any choice: title-case labels, two spaces, dashes, plain values."""
    return "\n".join(_tree(record, "title", ": ", "", "  ", "- ", ", ", Random(0), True))


def plain_yaml(record: Record) -> str:
    """The one YAML form without any choice: snake-case keys, plain values."""
    return "\n".join(_yaml(record, "snake", Random(0), True))


def yaml(record: Record, rng: Random, plain: bool) -> str:
    """YAML with block nesting."""
    return "\n".join(_yaml(record, rng.choice(("snake", "camel", "kebab")), rng, plain))


def _yaml(record: Record, style: str, rng: Random, plain: bool) -> Iterator[str]:
    for field, value in record.items():
        label = key(field.label, style)
        if field.kind == "object":
            yield f"{label}:"
            yield from ("  " + line for line in _yaml(value, style, rng, plain))
        elif field.kind == "rows":
            yield f"{label}:"
            for row in value:
                yield from (
                    ("  - " if first == 0 else "    ") + line
                    for first, line in enumerate(_yaml(row, style, rng, plain))
                )
        elif field.kind == "list":
            yield f"{label}:"
            yield from (f"  - {surface(item, rng, plain)}" for item in value)
        else:
            yield f"{label}: {surface(value, rng, plain)}"


def xml(record: Record, rng: Random, plain: bool) -> str:
    """XML elements, indented or on one line."""
    style, name = rng.choice(("snake", "camel", "kebab", "pascal")), words.word(rng)
    pretty = rng.random() < 0.7
    lines = [f"<{name}>", *("  " * pretty + line for line in _xml(record, style, pretty, rng, plain)), f"</{name}>"]
    return ("\n" if pretty else "").join(lines)


def _xml(record: Record, style: str, pretty: bool, rng: Random, plain: bool) -> Iterator[str]:
    pad = "  " if pretty else ""
    for field, value in record.items():
        tag = key(field.label, style)
        if field.kind in ("object", "rows"):
            for row in value if field.kind == "rows" else [value]:
                yield f"<{tag}>"
                yield from (pad + line for line in _xml(row, style, pretty, rng, plain))
                yield f"</{tag}>"
        else:
            for item in value if field.kind == "list" else [value]:
                yield f"<{tag}>{surface(item, rng, plain)}</{tag}>"


def ini(record: Record, rng: Random, plain: bool) -> str:
    """Sections and assignments."""
    style = rng.choice(("snake", "constant", "kebab"))
    return f"[{words.word(rng)}]\n" + "\n".join(
        f"{path} = {shown}" for path, shown in _paths(record, style, ".", rng, plain)
    )


def json_text(record: Record, rng: Random, plain: bool) -> str:
    """The record as JSON of a random key style and layout."""
    return dump(
        target(record, rng.choice(("snake", "camel", "kebab", "title", "words", "pascal"))),
        rng.choice((None, None, 2, 4)),
    )


def query(record: Record, rng: Random, plain: bool) -> str:
    """A query string with plus signs for spaces."""
    style = rng.choice(("snake", "camel"))
    return "?" + "&".join(f"{path}={shown.replace(' ', '+')}" for path, shown in _paths(record, style, ".", rng, plain))


def dump(value: Any, indent: int | None) -> str:
    """JSON text; `indent` None is one line with a space after each comma and colon."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


RENDERINGS = (
    (listing, 40),
    (prose, 16),
    (dialogue, 6),
    (log, 7),
    (letter, 8),
    (yaml, 6),
    (xml, 5),
    (ini, 3),
    (json_text, 7),
    (query, 1),
    (columns, 5),
)


def show(record: Record, rng: Random, plain: bool) -> str:
    """The record in a random rendering, with a title and idle lines around it now and then."""
    render = rng.choices([r for r, _ in RENDERINGS], [w for _, w in RENDERINGS])[0]
    text = render(record, rng, plain)
    if rng.random() < 0.35:
        title = rng.choice(
            (
                words.phrase(rng, 1, 4).title(),
                f"{words.word(rng)} {words.word(rng)}".upper(),
                f"# {words.phrase(rng, 1, 3)}",
                f"== {words.phrase(rng, 1, 3)} ==",
                f"{words.word(rng).capitalize()} no. {rng.randint(1, 9999)}",
            )
        )
        text = f"{title}\n{rng.choice(('', chr(10)))}{text}"
    if rng.random() < 0.25:
        idle = words.sentence(rng)
        text = f"{idle}\n\n{text}" if rng.random() < 0.5 else f"{text}\n\n{idle}"
    return text


def table(fields: Sequence[Field], rows: Sequence[Record], rng: Random, plain: bool) -> str:
    """Rows of scalar fields as a Markdown table, CSV, TSV or an aligned table; an absent value is an empty cell."""
    style = rng.choice(("title", "snake", "words", "camel", "sentence", "upper"))
    head = [key(f.label, style) for f in fields]
    body = [[surface(row[f], rng, plain) if f in row else "" for f in fields] for row in rows]
    shape = rng.random()
    if shape < 0.3:
        lines = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body)]
    elif shape < 0.6:
        comma = rng.choice((",", ",", ";"))
        lines = [comma.join(f'"{cell}"' if comma in cell else cell for cell in line) for line in (head, *body)]
    elif shape < 0.75:
        lines = ["\t".join(line) for line in (head, *body)]
    else:
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (head, *body)
        ]
    return "\n".join(lines)

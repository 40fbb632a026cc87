"""Tasks over records: to JSON, from JSON, within JSON, and questions about them."""

from __future__ import annotations

from random import Random
from typing import Any

from lathe.corpora._structured_text import words
from lathe.corpora._structured_text.draft import ANSWER, CUE, ECHO, FREE, Draft, one_turn
from lathe.corpora._structured_text.fields import Record, key, target
from lathe.corpora._structured_text.renderings import (
    RENDERINGS,
    dump,
    listing,
    plain_listing,
    plain_yaml,
    reworded,
    show,
    shuffled,
    table,
)
from lathe.corpora._structured_text.schemas import filled, fitted, scalars, schema_text

_TO_JSON = (
    "Turn this into JSON.",
    "Give me the JSON for this.",
    "Write the record as JSON.",
    "What does this say, as a JSON object?",
    "Parse this.",
    "JSON, please.",
    "Convert the text above to a JSON object.",
    "Read the text and fill in the fields.",
    "Return one JSON object.",
    "Structure this text.",
    "Make a JSON record of it.",
    "Put the facts into JSON.",
    "Translate the following into JSON:",
    "to json",
    "Represent these details as JSON.",
    "Capture the values as JSON.",
    "Which values does the text state? Answer in JSON.",
    "Output JSON only.",
    "Transcribe the record to JSON.",
    "I need this as structured data.",
    "Find every field and give its value.",
    "Collect the fields below from the text.",
    "Respond with a JSON object that matches the schema.",
    "Take out the data.",
    "Fill the schema.",
)


def _instruction(rng: Random) -> str:
    text = rng.choice(_TO_JSON)
    if rng.random() < 0.15:
        text += " " + rng.choice(
            ("No comments.", "Keep the order of the schema.", "Leave out what is missing.", "Copy values exactly.")
        )
    return text


def extract(rng: Random, room: int) -> Draft:
    """A text and its JSON; the keys come from a schema, or from the labels where none is shown.

    With a schema the text is no copy of it: its order differs, some labels are worded differently, and it may state
    fields that nobody asked for. So a value has to be found by its label and not by its place.
    """
    schema, style, (record,) = fitted(rng, room)
    with_schema = rng.random() < 0.72
    plain = rng.random() < (0.4 if with_schema else 0.75)
    shown: Record = record
    if with_schema:
        shown = shuffled(shown, rng) if rng.random() < 0.65 else shown
        shown = reworded(shown, rng) if rng.random() < 0.5 else shown
        if len(schema) > 2 and rng.random() < 0.3:
            unasked = rng.sample(schema, rng.randint(1, len(schema) // 3))
            schema = tuple(field for field in schema if field not in unasked)
            record = {field: value for field, value in record.items() if field not in unasked}
    text = show(shown, rng, plain)
    answer = dump(target(record, style if with_schema else "snake"), None if rng.random() < 0.9 else 2)
    ask = schema_text(schema, style, rng) if with_schema else ""
    instruction = _instruction(rng) if rng.random() < 0.85 else ""
    parts = [rng.choice(("", "", "Text:\n", "Text: ", "Document:\n")) + text, ask, instruction]
    rng.shuffle(parts)
    return one_turn("\n\n".join(part for part in parts if part), answer, rng)


_FRAMES = (
    ("Input: ", "\nOutput: "),
    ("Text: ", "\nJSON: "),
    ("", "\n=> "),
    ("Example:\n", "\nAnswer:\n"),
    ("Q: ", "\nA: "),
    ("", "\n\n"),
)


def examples(rng: Random, room: int) -> Draft:
    """Two to four records of one schema, mostly in one layout, each with its JSON: worked examples, then the rest by
    analogy."""
    parts = rng.choice((2, 3, 3, 4))
    _, style, records = fitted(rng, room, parts)
    rendering = rng.choices([r for r, _ in RENDERINGS], [w for _, w in RENDERINGS])[0]
    plain, layout = rng.random() < 0.6, rng.random()
    texts = [rendering(record, Random(layout) if rng.random() < 0.8 else rng, plain) for record in records]
    answers = [dump(target(record, style), None) for record in records]
    instruction, (left, right) = _instruction(rng), rng.choice(_FRAMES)
    draft, form = Draft(), rng.random()
    if form < 0.35:  # a conversation with one turn a record
        for number, (text, answer) in enumerate(zip(texts, answers, strict=True)):
            draft.ask(
                f"{instruction}\n\n{text}" if number == 0 or rng.random() < 0.5 else text, 0.2 if number else FREE
            )
            draft.answer(answer, ANSWER if number else ECHO)
        return draft
    if form < 0.75:  # all worked examples inside one user turn
        draft.say("<|im_start|>user\n", CUE)
    draft.say(f"{instruction}\n\n", CUE)
    for number, (text, answer) in enumerate(zip(texts[:-1], answers[:-1], strict=True)):
        draft.say(f"{left}{text}", 0.2 if number else FREE)
        draft.say(right, CUE)
        draft.say(answer, ANSWER if number else ECHO)
        draft.say("\n\n", CUE)
    draft.say(f"{left}{texts[-1]}", 0.2)
    if form < 0.75:
        draft.say("<|im_end|>\n<|im_start|>assistant\n", CUE)
        draft.answer(answers[-1])
    else:
        draft.say(right, CUE)
        draft.say(f"{answers[-1]}\n", ANSWER)
    return draft


def render(rng: Random, room: int) -> Draft:
    """JSON and the same record in another notation whose wording follows from the JSON."""
    _, style, (record,) = fitted(rng, room)
    name, source, answer = rng.choice(
        (
            ("YAML", dump(target(record, "snake"), rng.choice((None, 2))), plain_yaml(record)),
            ("a list of lines", dump(target(record, style), rng.choice((None, 2))), plain_listing(record)),
            ("JSON with line breaks", dump(target(record, style), None), dump(target(record, style), 2)),
            ("JSON on one line", dump(target(record, style), 2), dump(target(record, style), None)),
        )
    )
    wish = rng.choice(("Write this as {}.", "Show it as {}.", "Now as {}.", "Turn it into {}.")).format(name)
    return one_turn(f"{source}\n\n{wish}", answer, rng)


def question(rng: Random, room: int) -> Draft:
    """A text or table and short questions whose answers stand in it."""
    draft, rows_wanted = Draft(), rng.random() < 0.4
    if rows_wanted:
        columns = scalars(rng, rng.randint(2, 6))
        rows = [filled(columns, rng) for _ in range(max(2, min(30, room // (len(columns) * 22))))]
        draft.say(table(columns, rows, rng, True) + "\n\n", FREE)
        names = [row[columns[0]].surfaces[0] for row in rows]
        pairs = []
        for _ in range(rng.randint(1, 5)):
            row, column = rng.choice(rows), rng.choice(columns[1:])
            if names.count(row[columns[0]].surfaces[0]) == 1:
                pairs.append(
                    (f"{key(column.label, 'words')} of {row[columns[0]].surfaces[0]}", row[column].surfaces[0])
                )
        pairs = pairs or [(f"{key(columns[1].label, 'words')} in the first row", rows[0][columns[1]].surfaces[0])]
        if rng.random() < 0.2:
            pairs.append(("number of rows", str(len(rows))))
    else:
        columns = scalars(rng, max(2, min(12, room // 100)))
        record = filled(columns, rng)
        draft.say(show(record, rng, True) + "\n\n", FREE)
        pairs = [
            (key(f.label, "words"), record[f].surfaces[0])
            for f in rng.sample(columns, min(len(columns), rng.randint(1, 5)))
        ]
        if rng.random() < 0.3:
            pairs.append((key(scalars(rng, 1)[0].label, "words"), "not stated"))
            rng.shuffle(pairs)
    ask, context = rng.choice(("What is the {}?", "{}?", "Tell me the {}.", "Find the {}.")), draft.pieces
    chat = rng.random() < 0.6
    turns = Draft()
    for number, (what, answer) in enumerate(pairs):
        if chat:
            turns.ask((context[0][0] if number == 0 else "") + ask.format(what), FREE if number == 0 else 0.2)
            turns.answer(answer)
        else:
            turns.say((context[0][0] if number == 0 else "") + ask.format(what) + " ", FREE if number == 0 else 0.2)
            turns.say(f"{answer}\n", ANSWER)
    return turns


def reshape(rng: Random, room: int) -> Draft:
    """JSON to JSON: keys in another style, some picked or dropped, sorted, renamed by a map, or one value changed."""
    _, style, (record,) = fitted(rng, int(room * 0.8))
    source = target(record, style)
    draw = rng.random()
    names = list(source)
    if draw < 0.3:
        other = rng.choice([s for s in ("snake", "camel", "pascal", "kebab", "title", "constant") if s != style])
        wish, result = f"Write the keys in {other} case.", target(record, other)
    elif draw < 0.5:
        kept = rng.sample(names, rng.randint(1, len(names)))
        wish, result = f"Keep only {', '.join(kept)}.", {name: source[name] for name in kept}
    elif draw < 0.65:
        gone = rng.choice(names)
        wish, result = f"Remove {gone}.", {name: value for name, value in source.items() if name != gone}
    elif draw < 0.75:
        wish, result = "Sort the keys.", {name: source[name] for name in sorted(names)}
    elif draw < 0.9:
        renamed = {
            name: words.coined(rng) if rng.random() < 0.5 else rng.choice(words.NOUNS)
            for name in rng.sample(names, min(len(names), 3))
        }
        wish = "Rename " + ", ".join(f"{old} to {new}" for old, new in renamed.items()) + "."
        result = {renamed.get(name, name): value for name, value in source.items()}
    else:
        changed, value = rng.choice(names), rng.choice((words.coined(rng), rng.randint(0, 999), None, True))
        wish, result = f"Set {changed} to {dump(value, None)}.", {**source, changed: value}
    return one_turn(f"{dump(source, rng.choice((None, None, 2)))}\n\n{wish}", dump(result, None), rng)


def gather(rng: Random, room: int) -> Draft:
    """A table, or several small texts, to an array of objects; now and then a sum or a count."""
    columns = scalars(rng, rng.randint(2, 6))
    rows = [filled(columns, rng) for _ in range(max(2, min(40, room // (len(columns) * 60))))]
    style, plain = rng.choice(("snake", "camel")), rng.random() < 0.6
    if rng.random() < 0.7:
        text = table(columns, rows, rng, plain)
    else:
        layout = rng.random()
        text = rng.choice(("\n\n", "\n---\n", "\n")).join(listing(row, Random(layout), plain) for row in rows)
    result: Any = [target(row, style) for row in rows]
    wish = rng.choice(
        (
            "One JSON object for each row.",
            "As a JSON array.",
            "Make a list of objects.",
            "Every entry as JSON.",
            "Convert all rows.",
        )
    )
    if rng.random() < 0.3:
        name = rng.choice(words.NOUNS)
        wish, result = f"{wish} Put them under {name}.", {name: result}
    ask = f"{wish}\n{schema_text(columns, style, rng)}" if rng.random() < 0.3 or style != "snake" else wish
    return one_turn(f"{text}\n\n{ask}", dump(result, None), rng)

"""Documents that set a task and answer it, in chat form or plain, alone or with worked examples.

    extract     a text (any rendering) and a schema shown in some way, or none -> JSON
    render      JSON -> listing, YAML, CSV, prose
    question    a record or a table and questions about single values
    reshape     JSON -> JSON with keys renamed, picked, dropped or reordered
    gather      a table or several small texts -> an array of objects
    label       short texts with label names -> the label
    call        function signatures and a wish -> {"name": ..., "arguments": {...}}
    shell       plain English -> a shell line
    graph       sentences about who relates to what -> entities and relations

Each is a function (rng, room) -> Draft; `room` is the number of characters to stay below, roughly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from lathe.corpora._structured_text import fields, words
from lathe.corpora._structured_text.draft import ANSWER, CUE, ECHO, FREE, Draft
from lathe.corpora._structured_text.fields import Field, Record, json_type, key, target
from lathe.corpora._structured_text.renderings import (
    RENDERINGS,
    dump,
    listing,
    plain_listing,
    plain_yaml,
    reworded,
    show,
    shuffled,
    surface,
    table,
)

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


def json_schema(schema: Sequence[Field], style: str, rng: Random | None = None) -> dict[str, Any]:
    """The schema as JSON Schema; with `rng` some descriptions are thrown in."""
    properties: dict[str, Any] = {}
    for field in schema:
        if field.kind == "object":
            entry = json_schema(field.children, style, rng)
        elif field.kind == "rows":
            entry = {"type": "array", "items": json_schema(field.children, style, rng)}
        elif field.kind == "list":
            entry = {"type": "array", "items": {"type": json_type(field.children[0].kind)}}
        else:
            entry = {"type": json_type(field.kind)}
            if field.choices:
                entry["enum"] = list(field.choices)
            if field.kind in ("date", "datetime", "email", "uuid") and (rng is None or rng.random() < 0.6):
                entry["format"] = {"datetime": "date-time"}.get(field.kind, field.kind)
        if rng is not None and rng.random() < 0.05:
            entry["description"] = words.phrase(rng, 2, 5)
        properties[key(field.label, style)] = entry
    required = [key(field.label, style) for field in schema if not field.optional]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def shape(schema: Sequence[Field], style: str, notation: str) -> str:
    """A compact notation of the schema: names alone, types, or types under quoted keys (as Lathe's prompts have it)."""
    parts = []
    for field in schema:
        name = key(field.label, style)
        name = f'"{name}"' if notation == "quoted" else name
        name += "?" if field.optional and notation != "names" else ""
        if field.kind == "object":
            parts.append(f"{name}: {shape(field.children, style, notation)}")
        elif field.kind == "rows":
            parts.append(f"{name}: [{shape(field.children, style, notation)}]")
        elif notation == "names":
            parts.append(name)
        elif field.kind == "list":
            parts.append(f"{name}: [{json_type(field.children[0].kind)}]")
        elif field.choices:
            quote, joint = ('"', "|") if notation == "quoted" else ("", " | ")
            parts.append(f"{name}: {joint.join(quote + choice + quote for choice in field.choices)}")
        else:
            parts.append(f"{name}: {field.kind if field.kind in ('date', 'datetime') else json_type(field.kind)}")
    return "{" + ", ".join(parts) + "}"


def _schema_text(schema: Sequence[Field], style: str, rng: Random) -> str:
    draw = rng.random()
    if draw < 0.3:
        body = dump(json_schema(schema, style, rng if rng.random() < 0.5 else None), rng.choice((None, None, None, 2)))
    elif draw < 0.75:
        body = shape(schema, style, "quoted")
    elif draw < 0.88:
        body = shape(schema, style, "types")
    elif draw < 0.95:
        body = shape(schema, style, "names")
    else:
        body = ", ".join(key(field.label, style) for field in schema)
    return (
        rng.choice(
            (
                "Schema: ",
                "Schema:\n",
                "Fields: ",
                "JSON schema:\n",
                "Shape: ",
                "Format: ",
                "",
                "Use this schema:\n",
                "Keys: ",
            )
        )
        + body
    )


def _random_schema(rng: Random, room: int) -> tuple[Field, ...]:
    """A schema that fits the room: some 60 characters of text and as many of JSON for each leaf."""
    size = rng.randint(2, max(3, min(14, room // 220)))
    depth = 0 if room < 500 else rng.choice((0, 1, 1, 2)) if room < 2500 else rng.choice((0, 1, 2, 2, 3))
    return fields.schema(rng, size, depth)


def _rows(room: int, rng: Random) -> tuple[int, int]:
    most = 2 if room < 900 else 4 if room < 2500 else rng.choice((4, 8, 14))
    return (1, most)


def _fitted(rng: Random, room: int, parts: int = 1) -> tuple[tuple[Field, ...], str, list[dict[Field, Any]]]:
    """A schema, a key style and `parts` records whose JSON together takes at most about a third of the room."""
    for attempt in range(8):
        schema = _random_schema(rng, room // (parts * (attempt + 1)))
        records = [fields.fill(schema, rng, _rows(room // (parts * (attempt + 1)), rng)) for _ in range(parts)]
        style = rng.choice(("snake", "snake", "snake", "camel", "words", "kebab", "pascal"))
        if sum(len(dump(target(record, style), None)) for record in records) < room * 0.36:
            break
    return schema, style, records


def extract(rng: Random, room: int) -> Draft:
    """A text and its JSON; the keys come from a schema, or from the labels where none is shown.

    With a schema the text is no copy of it: its order differs, some labels are worded differently, and it may state
    fields that nobody asked for. So a value has to be found by its label and not by its place.
    """
    schema, style, (record,) = _fitted(rng, room)
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
    ask = _schema_text(schema, style, rng) if with_schema else ""
    instruction = _instruction(rng) if rng.random() < 0.85 else ""
    parts = [rng.choice(("", "", "Text:\n", "Text: ", "Document:\n")) + text, ask, instruction]
    rng.shuffle(parts)
    return _one_turn("\n\n".join(part for part in parts if part), answer, rng)


def _one_turn(question: str, answer: str, rng: Random) -> Draft:
    """The question and its answer as a chat or in one of the plain layouts."""
    draft = Draft()
    draw = rng.random()
    if draw < 0.66:
        draft.ask(question)
        draft.answer(answer)
    else:
        left, right = rng.choice(
            (
                ("Input: ", "\nOutput: "),
                ("", "\n=> "),
                ("Text:\n", "\nJSON:\n"),
                ("", "\n\n"),
                ("### in\n", "\n### out\n"),
                ("", "\n---\n"),
            )
        )
        draft.say(left, CUE)
        draft.say(question, FREE)
        draft.say(right, CUE)
        draft.say(answer, ANSWER)
        draft.say("\n", CUE)
    return draft


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
    _, style, records = _fitted(rng, room, parts)
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
    _, style, (record,) = _fitted(rng, room)
    name, source, answer = rng.choice(
        (
            ("YAML", dump(target(record, "snake"), rng.choice((None, 2))), plain_yaml(record)),
            ("a list of lines", dump(target(record, style), rng.choice((None, 2))), plain_listing(record)),
            ("JSON with line breaks", dump(target(record, style), None), dump(target(record, style), 2)),
            ("JSON on one line", dump(target(record, style), 2), dump(target(record, style), None)),
        )
    )
    wish = rng.choice(("Write this as {}.", "Show it as {}.", "Now as {}.", "Turn it into {}.")).format(name)
    return _one_turn(f"{source}\n\n{wish}", answer, rng)


def question(rng: Random, room: int) -> Draft:
    """A text or table and short questions whose answers stand in it."""
    draft, rows_wanted = Draft(), rng.random() < 0.4
    if rows_wanted:
        columns = _scalars(rng, rng.randint(2, 6))
        rows = [_full(columns, rng) for _ in range(max(2, min(30, room // (len(columns) * 22))))]
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
        columns = _scalars(rng, max(2, min(12, room // 100)))
        record = _full(columns, rng)
        draft.say(show(record, rng, True) + "\n\n", FREE)
        pairs = [
            (key(f.label, "words"), record[f].surfaces[0])
            for f in rng.sample(columns, min(len(columns), rng.randint(1, 5)))
        ]
        if rng.random() < 0.3:
            pairs.append((key(_scalars(rng, 1)[0].label, "words"), "not stated"))
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


def _scalars(rng: Random, count: int) -> list[Field]:
    """`count` required scalar fields, none of them as long as a sentence."""
    taken: set[tuple[str, ...]] = set()
    drawn = (fields.scalar_field(rng, taken) for _ in range(count))
    return [Field(f.label, "phrase" if f.kind == "sentence" else f.kind, choices=f.choices) for f in drawn]


def _full(columns: Sequence[Field], rng: Random) -> dict[Field, Any]:
    return {column: fields.scalar(column, rng) for column in columns}


def reshape(rng: Random, room: int) -> Draft:
    """JSON to JSON: keys in another style, some picked or dropped, sorted, renamed by a map, or one value changed."""
    _, style, (record,) = _fitted(rng, int(room * 0.8))
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
    return _one_turn(f"{dump(source, rng.choice((None, None, 2)))}\n\n{wish}", dump(result, None), rng)


def gather(rng: Random, room: int) -> Draft:
    """A table, or several small texts, to an array of objects; now and then a sum or a count."""
    columns = _scalars(rng, rng.randint(2, 6))
    rows = [_full(columns, rng) for _ in range(max(2, min(40, room // (len(columns) * 60))))]
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
    ask = f"{wish}\n{_schema_text(columns, style, rng)}" if rng.random() < 0.3 or style != "snake" else wish
    return _one_turn(f"{text}\n\n{ask}", dump(result, None), rng)


def label(rng: Random, room: int) -> Draft:
    """Label names with their cue words, worked examples, and texts to label."""
    names = list(
        dict.fromkeys(
            "_".join((rng.choice(words.VERBS), rng.choice(words.NOUNS)))
            if rng.random() < 0.7
            else rng.choice(words.NOUNS)
            for _ in range(rng.randint(2, 9))
        )
    )
    cues = {name: [*name.split("_"), rng.choice(words.ATTRIBUTES)] for name in names}

    def text(name: str) -> str:
        frame = rng.choice(
            (
                "I want to {}",
                "please {} for me",
                "can you {} today?",
                "why did nobody {}",
                "it is about {}",
                "{} again",
                "I could not {}",
                "{}",
            )
        )
        tail = rng.choice(
            ("", "", f" near {words.place(rng)}", f" for {words.person(rng)}", f", {words.phrase(rng, 2, 4)}")
        )
        joined = " ".join((cues[name][0], rng.choice(("the", "my", "a", "this", "")), *cues[name][1:-1])).replace(
            "  ", " "
        )
        return frame.format(joined) + tail

    arrow = rng.choice((" -> ", "\nlabel: ", " => ", "\n", " | "))
    draft = Draft()
    chosen = [rng.choice(names) for _ in range(max(2, min(12, room // 70)))]
    if rng.random() < 0.6:
        ask = rng.choice(("Which label fits?", "Choose one label.", "Pick the intent.", "Classify the message."))
        for number, name in enumerate(chosen[:4]):
            draft.ask((f"{ask} Labels: {', '.join(names)}\n\n" if number == 0 else "") + text(name), 0.2)
            draft.answer(name)
        return draft
    draft.say(f"labels: {', '.join(names)}\n", FREE)
    for name in chosen:
        draft.say(text(name) + arrow, 0.15)
        draft.say(f"{name}\n", ANSWER)
    return draft


def _snake(field: Field) -> str:
    return key(field.label, "snake")


def call(rng: Random, room: int) -> Draft:
    """Function signatures, a wish in words, and the call as JSON."""
    functions = []
    for _ in range(rng.randint(1, 2 if room < 1200 else 4)):
        name = f"{rng.choice(words.VERBS)}_{rng.choice(words.NOUNS)}"
        functions.append((name, _scalars(rng, rng.randint(1, 4))))
    name, columns = rng.choice(functions)
    record = _full([c for c in columns if not c.optional or rng.random() < 0.5] or columns, rng)
    if rng.random() < 0.5:
        shown = "\n".join(f"{n}({', '.join(f'{_snake(c)}: {json_type(c.kind)}' for c in cs)})" for n, cs in functions)
    else:
        shown = dump([{"name": n, "parameters": json_schema(cs, "snake")} for n, cs in functions], None)
    said = [f"{key(f.label, 'words')} {surface(v, rng, True)}" for f, v in record.items()]
    wish = rng.choice(("Please {} with {}.", "{}: {}", "I want to {}, {}.", "{} using {}", "Could you {}? {}")).format(
        name.replace("_", " the "), ", ".join(said)
    )
    return _one_turn(
        f"{rng.choice(('Functions:', 'Tools:', 'You can call:'))}\n{shown}\n\n{wish}",
        dump({"name": name, "arguments": target(record, "snake")}, None),
        rng,
    )


def shell(rng: Random, room: int) -> Draft:
    """Wishes in plain English and the shell line for each; names are invented, so they must be copied."""
    draft, chat = Draft(), rng.random() < 0.6
    for _ in range(rng.randint(1, max(2, min(8, room // 120)))):
        wish, line = _shell_line(rng)
        if chat:
            draft.ask(wish, 0.2)
            draft.answer(line)
        else:
            draft.say(f"# {wish}\n$ ", 0.2)
            draft.say(f"{line}\n", ANSWER)
    return draft


def _shell_line(rng: Random) -> tuple[str, str]:
    a, b = words.any_word(rng), words.any_word(rng)
    ending, number = rng.choice(("txt", "log", "csv", "json", "py", "md", "cfg", "bak")), rng.randint(1, 90)
    file, folder, other = f"{a}.{ending}", f"{b}/{words.any_word(rng)}", f"{words.any_word(rng)}.{ending}"
    return rng.choice(
        (
            (f"show me what {folder} holds, hidden entries too", f"ls -la {folder}"),
            (f"the first {number} lines of {file}", f"head -n {number} {file}"),
            (f"the last {number} lines of {file} and whatever comes after", f"tail -n {number} -f {file}"),
            (f"how many lines has {file}", f"wc -l {file}"),
            (f"make the folder {folder} with its parents", f"mkdir -p {folder}"),
            (f"lines of {file} that contain {b}", f"grep '{b}' {file}"),
            (f"lines of {file} without {b}, numbered", f"grep -nv '{b}' {file}"),
            (f"names of .{ending} files below {folder}", f"find {folder} -type f -name '*.{ending}'"),
            (
                f".{ending} files in {folder} bigger than {number} megabytes",
                f"find {folder} -name '*.{ending}' -size +{number}M",
            ),
            (f"files below {folder} touched in the last {number} days", f"find {folder} -type f -mtime -{number}"),
            (f"copy {file} to {folder}", f"cp {file} {folder}/"),
            (f"give {file} the name {other}", f"mv {file} {other}"),
            (f"pack {folder} into {a}.tar.gz", f"tar -czf {a}.tar.gz {folder}"),
            (f"unpack {a}.tar.gz into {folder}", f"tar -xzf {a}.tar.gz -C {folder}"),
            (f"size of {folder} in a readable unit", f"du -sh {folder}"),
            (f"sort {file} and drop repeats", f"sort {file} | uniq"),
            (f"the {number} most common lines of {file}", f"sort {file} | uniq -c | sort -rn | head -n {number}"),
            (f"put {b} for {a} everywhere in {other}", f"sed -i 's/{a}/{b}/g' {other}"),
            (f"column {number % 9 + 1} of {file}", f"awk '{{print ${number % 9 + 1}}}' {file}"),
            (f"let only the owner read {file}", f"chmod 600 {file}"),
            (f"compare {file} with {other}", f"diff {file} {other}"),
            (f"stop process {number}", f"kill {number}"),
            (f"set {a.upper()} to {b} for later commands", f"export {a.upper()}={b}"),
            (f"archive every .{ending} file of {folder}", f"find {folder} -name '*.{ending}' -print0 | xargs -0 gzip"),
        )
    )


def graph(rng: Random, room: int) -> Draft:
    """Sentences about who relates to what, and the entities and relations in them."""
    kinds = {"person": words.person, "place": words.place, "company": words.company}
    relations = [
        (
            f"{rng.choice(words.VERBS)}s_{rng.choice(('at', 'for', 'with', 'in', 'from', 'to'))}"
            if rng.random() < 0.7
            else f"{rng.choice(words.NOUNS)}_of"
        )
        for _ in range(3)
    ]
    entities = [(kind, kinds[kind](rng)) for kind in rng.choices(list(kinds), k=max(3, min(14, room // 130)))]
    facts = []
    for _ in range(max(2, min(14, room // 150))):
        (_, one), (_, two) = rng.sample(entities, 2)
        facts.append((one, rng.choice(relations), two))
    facts = list(dict.fromkeys(facts))
    text = " ".join(
        f"{one} {'is ' if relation.endswith('_of') else ''}{relation.replace('_', ' ')} {two}."
        for one, relation, two in facts
    )
    seen = list(dict.fromkeys(name for one, _, two in facts for name in (one, two)))
    by_name = {name: kind for kind, name in entities}
    answer: dict[str, Any] = {
        "entities": [{"name": name, "type": by_name[name]} for name in seen],
        "relations": [{"source": one, "relation": relation, "target": two} for one, relation, two in facts],
    }
    wish = rng.choice(
        (
            "Draw the graph as JSON.",
            "Which entities and relations are there?",
            "Graph of this text, please.",
            "Facts to a graph.",
        )
    )
    if rng.random() < 0.4:
        wish, answer = "Relations as [source, relation, target].", {"relations": [list(fact) for fact in facts]}
    return _one_turn(f"{text}\n\n{wish}", dump(answer, None), rng)


def plain_text(rng: Random, room: int) -> Draft:
    """Sentences only: the words themselves."""
    draft = Draft()
    draft.say(" ".join(words.sentence(rng) for _ in range(max(2, min(30, room // 60)))) + "\n", 0.3)
    return draft


TASKS: tuple[tuple[Callable[[Random, int], Draft], int], ...] = (
    (extract, 52),
    (examples, 14),
    (gather, 7),
    (question, 8),
    (reshape, 6),
    (render, 4),
    (label, 4),
    (call, 4),
    (shell, 3),
    (graph, 3),
    (plain_text, 1),
)
"""Tasks with their shares."""

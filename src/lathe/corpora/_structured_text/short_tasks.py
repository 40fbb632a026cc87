"""Short tasks: labels, function calls, shell lines, graphs, and sentences alone."""

from __future__ import annotations

from random import Random
from typing import Any

from lathe.corpora._structured_text import words
from lathe.corpora._structured_text.draft import ANSWER, FREE, Draft, one_turn
from lathe.corpora._structured_text.fields import Field, json_type, key, target
from lathe.corpora._structured_text.renderings import dump, surface
from lathe.corpora._structured_text.schemas import filled, json_schema, scalars


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
        functions.append((name, scalars(rng, rng.randint(1, 4))))
    name, columns = rng.choice(functions)
    record = filled([c for c in columns if not c.optional or rng.random() < 0.5] or columns, rng)
    if rng.random() < 0.5:
        shown = "\n".join(f"{n}({', '.join(f'{_snake(c)}: {json_type(c.kind)}' for c in cs)})" for n, cs in functions)
    else:
        shown = dump([{"name": n, "parameters": json_schema(cs, "snake")} for n, cs in functions], None)
    said = [f"{key(f.label, 'words')} {surface(v, rng, True)}" for f, v in record.items()]
    wish = rng.choice(("Please {} with {}.", "{}: {}", "I want to {}, {}.", "{} using {}", "Could you {}? {}")).format(
        name.replace("_", " the "), ", ".join(said)
    )
    return one_turn(
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
    return one_turn(f"{text}\n\n{wish}", dump(answer, None), rng)


def plain_text(rng: Random, room: int) -> Draft:
    """Sentences only: the words themselves."""
    draft = Draft()
    draft.say(" ".join(words.sentence(rng) for _ in range(max(2, min(30, room // 60)))) + "\n", 0.3)
    return draft

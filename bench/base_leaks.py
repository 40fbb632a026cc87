"""Does the pretraining corpus share text with the data that bases are judged on? Prints counts and examples; exit
code 1 where it does.

    python bench/base_leaks.py ../shared/data             # every document that the shipped recipe can have used
    python bench/base_leaks.py ../shared/data --documents 5000
    python bench/base_leaks.py ../shared/data --base src/lathe/assets/nano      # its own recipe; the result goes
    into its record and card

Compared are all strings of all files below the folder, and rows and schemas of the generated task corpora, in three
ways: normalised lines of at least five words, runs of thirteen words, and the key sets (three keys or more) of JSON
objects in the documents against those of the schemas. A line or run that stands in both is a leak; so is a key set.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from lathe import plugins
from lathe import runs as runs_on_disk
from lathe.corpora import structured_text
from lathe.pretraining import card, read_pretrain_recipe
from lathe.records.pretrain import LeakCheck, Phase, PretrainRecipe, PretrainRecord

WORDS_A_RUN = 13
WORDS_A_LINE = 5
_WORD = re.compile(r"\w+")
_CHARACTERS_A_TOKEN = 2.6
_BATCH = 512


def words(text: str) -> list[str]:
    """Lower-case runs of letters, digits and underscores."""
    return _WORD.findall(text.lower())


def lines(text: str) -> Iterator[str]:
    """Normalised lines that are long enough to mean something."""
    for line in text.splitlines():
        parts = words(line)
        if len(parts) >= WORDS_A_LINE:
            yield " ".join(parts)


def runs(text: str) -> Iterator[int]:
    """Hashes of all runs of thirteen words."""
    parts = words(text)
    for start in range(len(parts) - WORDS_A_RUN + 1):
        yield hash(" ".join(parts[start : start + WORDS_A_RUN]))


def strings(value: Any) -> Iterator[str]:
    """Every string inside a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def key_sets(value: Any) -> Iterator[frozenset[str]]:
    """The keys of every object inside a JSON value that has at least three."""
    if isinstance(value, dict):
        if len(value) >= 3:
            yield frozenset(value)
        for inner in value.values():
            yield from key_sets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from key_sets(inner)


def schema_key_sets(schema: Any) -> Iterator[frozenset[str]]:
    """The property names of every object that a JSON Schema describes, where it has at least three."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict) and len(properties) >= 3:
            yield frozenset(properties)
        for inner in schema.values():
            yield from schema_key_sets(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from schema_key_sets(inner)


def file_texts(path: Path) -> Iterator[str]:
    """All texts of a data file, whatever its form."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".jsonl":
        for line in text.splitlines():
            if line.strip():
                yield from strings(json.loads(line))
    elif path.suffix == ".json":
        yield from strings(json.loads(text))
    elif path.suffix == ".csv":
        for row in csv.reader(text.splitlines()):
            yield from row
    else:
        yield text


def documents(recipe: PretrainRecipe, limit: int | None) -> Iterator[structured_text.Document]:
    """Every document that training with `recipe` can have used (some more, in fact), or the first `limit`."""

    def stretch(seed: int, first: int, tokens: int, phase: Phase) -> Iterator[structured_text.Document]:
        characters, since_full = 0.0, 0
        for index in count(first):
            made = structured_text.document(seed, index, phase)
            yield made
            characters += len(made.text)
            since_full += characters > tokens * _CHARACTERS_A_TOKEN
            if since_full > _BATCH:
                return

    def all_of_them() -> Iterator[structured_text.Document]:
        for number, phase in enumerate(recipe.phases):
            for chunk in range(-(-phase.tokens // recipe.chunk_tokens) + 2):
                yield from stretch(recipe.seed + 1000 * (number + 1), chunk * 100_000, recipe.chunk_tokens, phase)

    return islice(all_of_them(), limit)


def main() -> int:
    """Print the findings; 0 where there are none."""
    parser = argparse.ArgumentParser(
        description="Looks for shared text between the pretraining corpus and judged data."
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=None, help="only the first so many documents")
    parser.add_argument("--rows", type=int, default=5000, help="rows of each generated task corpus")
    parser.add_argument(
        "--base", type=Path, default=None, help="folder of a base: its recipe is used, its card gets the result"
    )
    arguments = parser.parse_args()
    record = (
        PretrainRecord.from_json((arguments.base / "pretrain.json").read_text(encoding="utf-8"))
        if arguments.base
        else None
    )
    recipe = record.recipe if record else read_pretrain_recipe("nano")
    judged_lines: set[str] = set()
    judged_runs: set[int] = set()
    judged_keys: set[frozenset[str]] = set()
    files = [
        path
        for path in sorted(arguments.data.rglob("*"))
        if path.is_file()
        and path.suffix in {".jsonl", ".json", ".csv", ".nl", ".cm"}
        and "configs" not in path.parent.name
    ]
    for path in files:
        for text in file_texts(path):
            judged_lines.update(lines(text))
            judged_runs.update(runs(text))
        if path.suffix == ".json":
            judged_keys.update(schema_key_sets(json.loads(path.read_text(encoding="utf-8"))))
    generated = [name for name in plugins.names("corpora") if plugins.load("corpora", name).task]
    for name in generated:
        corpus = plugins.load("corpora", name)
        for row in corpus.rows(1, arguments.rows):
            for text in strings(row):
                judged_lines.update(lines(text))
                judged_runs.update(runs(text))
        for schema in corpus.schemas().values():
            judged_keys.update(schema_key_sets(schema))
    print(f"judged: {len(files)} files and {', '.join(generated)} ({arguments.rows} rows each): ", end="")
    print(f"{len(judged_lines)} lines, {len(judged_runs)} runs of {WORDS_A_RUN} words, {len(judged_keys)} key sets")
    num_documents = num_characters = num_runs = 0
    shared_lines: dict[str, int] = {}
    shared_keys: dict[frozenset[str], int] = {}
    for made in documents(recipe, arguments.documents):
        num_documents += 1
        num_characters += len(made.text)
        for line in lines(made.text):
            if line in judged_lines:
                shared_lines[line] = shared_lines.get(line, 0) + 1
        num_runs += sum(run in judged_runs for run in runs(made.text))
        for start, end, weight in made.weights:
            if weight == 1 and made.text[start] == "{":
                try:
                    value = json.loads(made.text[start:end].replace("<|im_end|>", ""))
                except ValueError:
                    continue
                for keys in key_sets(value):
                    if keys in judged_keys:
                        shared_keys[keys] = shared_keys.get(keys, 0) + 1
    print(f"corpus: {num_documents} documents, {num_characters} characters")
    print(f"shared: {len(shared_lines)} lines, {num_runs} runs, {len(shared_keys)} key sets")
    for line, times in sorted(shared_lines.items(), key=lambda item: -item[1])[:10]:
        print(f"  line, {times} times: {line[:120]}")
    for keys, times in shared_keys.items():
        print(f"  keys, {times} times: {', '.join(sorted(keys))}")
    if record is not None:
        leaks = LeakCheck(
            judged_files=len(files),
            judged_corpora=tuple(generated),
            documents=num_documents,
            shared_lines=len(shared_lines),
            shared_runs=num_runs,
            shared_key_sets=len(shared_keys),
        )
        record = record.model_copy(update={"leaks": leaks})
        runs_on_disk.commit_text(arguments.base / "CARD.md", card(record))
        runs_on_disk.commit_text(arguments.base / "pretrain.json", record.to_json())
    return int(bool(shared_lines or num_runs or shared_keys))


if __name__ == "__main__":
    sys.exit(main())

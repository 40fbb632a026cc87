"""Does the pretraining corpus share text with the data that bases are judged on? Prints counts and examples; exit
code 1 where it does.

    python bench/base_leaks.py ../shared/data             # every document that the shipped recipes can have used
    python bench/base_leaks.py ../shared/data --documents 5000
    python bench/base_leaks.py ../shared/data --base src/lathe/assets/nano      # its own recipe; the result goes
    into its record and card

Compared are all strings of all files below the folder, and rows and schemas of the generated task corpora, in three
ways: normalised lines of at least five words, runs of thirteen words, and the key sets (three keys or more) of JSON
objects in the documents against those of the schemas. A line or run that stands in both is a leak; so is a key set.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from lathe import plugins, storage
from lathe.corpora import structured_text
from lathe.pretraining import card, read_pretrain_recipe, shipped_pretrain_recipes
from lathe.records.pretrain import LeakCheck, Phase, PretrainRecipe, PretrainRecord

WORDS_A_RUN = 13
WORDS_A_LINE = 5
FORMS = {".jsonl", ".json", ".csv", ".nl", ".cm"}
"""How names of data files end."""
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


def documents(recipe: PretrainRecipe) -> Iterator[structured_text.Document]:
    """Every document that training with `recipe` can have used (some more, in fact)."""

    def stretch(seed: int, first: int, tokens: int, phase: Phase) -> Iterator[structured_text.Document]:
        characters, since_full = 0.0, 0
        for index in count(first):
            made = structured_text.document(seed, index, phase)
            yield made
            characters += len(made.text)
            since_full += characters > tokens * _CHARACTERS_A_TOKEN
            if since_full > _BATCH:
                return

    for number, phase in enumerate(recipe.phases):
        for chunk in range(-(-phase.tokens // recipe.chunk_tokens) + 2):
            yield from stretch(recipe.seed + 1000 * (number + 1), chunk * 100_000, recipe.chunk_tokens, phase)


class Judged:
    """What documents are compared with."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self.runs: set[int] = set()
        self.keys: set[frozenset[str]] = set()

    def add(self, texts: Iterable[str]) -> None:
        """Takes in lines and runs of some texts."""
        for text in texts:
            self.lines.update(lines(text))
            self.runs.update(runs(text))


def judged_files(folder: Path) -> list[Path]:
    """The data files below a folder; configurations are none."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in FORMS and "configs" not in path.parent.name
    ]


def judged(files: Sequence[Path], corpora: Sequence[str], rows: int) -> Judged:
    """All of the data files, and so many rows of each generated task corpus with all of its schemas."""
    found = Judged()
    for path in files:
        found.add(file_texts(path))
        if path.suffix == ".json":
            found.keys.update(schema_key_sets(json.loads(path.read_text(encoding="utf-8"))))
    for name in corpora:
        corpus = plugins.load("corpora", name)
        for row in corpus.rows(1, rows):
            found.add(strings(row))
        for schema in corpus.schemas().values():
            found.keys.update(schema_key_sets(schema))
    return found


@dataclass
class Shared:
    """What documents have in common with judged data, with how often each thing was met."""

    documents: int = 0
    characters: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    keys: Counter[frozenset[str]] = field(default_factory=Counter)

    def tell(self) -> None:
        """Prints it."""
        print(f"corpus: {self.documents} documents, {self.characters} characters")
        print(f"shared: {len(self.lines)} lines, {self.runs} runs, {len(self.keys)} key sets")
        for line, times in self.lines.most_common(10):
            print(f"  line, {times} times: {line[:120]}")
        for keys, times in self.keys.items():
            print(f"  keys, {times} times: {', '.join(sorted(keys))}")


def shared(made: Iterable[structured_text.Document], data: Judged) -> Shared:
    """What documents share with judged data."""
    found = Shared()
    for document in made:
        found.documents += 1
        found.characters += len(document.text)
        found.lines.update(line for line in lines(document.text) if line in data.lines)
        found.runs += sum(run in data.runs for run in runs(document.text))
        found.keys.update(keys for value in answers(document) for keys in key_sets(value) if keys in data.keys)
    return found


def answers(document: structured_text.Document) -> Iterator[Any]:
    """The JSON objects that a document teaches to write."""
    for start, end, weight in document.weights:
        if weight == 1 and document.text[start] == "{":
            with contextlib.suppress(ValueError):
                yield json.loads(document.text[start:end].replace("<|im_end|>", ""))


def main() -> int:
    """Print the findings; 0 where there are none."""
    parser = argparse.ArgumentParser(
        description="Looks for shared text between the pretraining corpus and judged data."
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=None, help="only the first so many documents")
    parser.add_argument("--rows", type=int, default=5000, help="rows of each generated task corpus")
    parser.add_argument("--base", type=Path, help="folder of a base: its recipe is used, its card gets the result")
    asked = parser.parse_args()
    record = PretrainRecord.from_json((asked.base / "pretrain.json").read_text()) if asked.base else None
    files = judged_files(asked.data)
    corpora = [name for name in plugins.names("corpora") if plugins.load("corpora", name).task]
    data = judged(files, corpora, asked.rows)
    print(f"judged: {len(files)} files and {', '.join(corpora)} ({asked.rows} rows each): ", end="")
    print(f"{len(data.lines)} lines, {len(data.runs)} runs of {WORDS_A_RUN} words, {len(data.keys)} key sets")
    recipes = [record.recipe] if record else map(read_pretrain_recipe, shipped_pretrain_recipes().values())
    found = shared(islice(chain.from_iterable(map(documents, recipes)), asked.documents), data)
    found.tell()
    if record is not None:
        leaks = LeakCheck(
            judged_files=len(files),
            judged_corpora=tuple(corpora),
            documents=found.documents,
            shared_lines=len(found.lines),
            shared_runs=found.runs,
            shared_key_sets=len(found.keys),
        )
        record = record.model_copy(update={"leaks": leaks})
        storage.commit_text(asked.base / "CARD.md", card(record))
        storage.commit_text(asked.base / "pretrain.json", record.to_json())
    return int(bool(found.lines or found.runs or found.keys))


if __name__ == "__main__":
    sys.exit(main())

"""`lathe new FILE`: a complete, commented recipe for a person's own rows.

    propose([Path("my.jsonl")], Path("."))    ->  the text of my.yaml
    proposal([Path("my.jsonl")], Path("."))   ->  Proposed(that text, task="intent", why="the answers are labels ...", remarks=())

The layout is told from the rows, the task by trying (lathe.data.choosing). Nothing is written here.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lathe import plugins
from lathe.data.baselines.learnability import MOST_LABELS, ROWS_A_LABEL
from lathe.data.choosing import Chosen, choose
from lathe.data.conversations import row_files
from lathe.data.conversations.formats import LOOKED_AT, Layout, detect
from lathe.data.files import tables
from lathe.data.files.placed import Placed
from lathe.data.preparing.origin_rows import read
from lathe.errors import DataError
from lathe.records import Row
from lathe.safe_text import typed, yaml_text

WANTED_TEST_ROWS = 200
WIDTH = 32
"""Characters of a line before its comment."""
NAME_LENGTH = 73
"""Of the 80 characters that a name may have, seven are left for a hash."""


@dataclass(frozen=True)
class Seen:
    """What a file turned out to be. first: its first rows; count: all that could be read; unread: those that could not."""

    found: row_files.Found
    first: Sequence[Row]
    count: int
    unread: int


@dataclass(frozen=True)
class Proposed:
    """A recipe as text, and what a person is told of it. task, why: what was chosen, and what of the answers tells so.

    remarks: what of the rows is not trained with, and what to do about it.
    """

    text: str
    task: str
    why: str
    remarks: tuple[str, ...]


def propose(paths: str | Path | Sequence[str | Path], recipe_folder: str | Path = ".") -> str:
    """The text of a recipe, as `proposal` makes it. paths: one file or several."""
    listed = [paths] if isinstance(paths, str | Path) else paths
    return proposal([Path(path) for path in listed], Path(recipe_folder)).text


def proposal(paths: Sequence[Path], recipe_folder: Path, name: str = "") -> Proposed:
    """A recipe for files of rows, or a folder of them, that will lie in `recipe_folder`. name: of its runs; else the first file's.

    Raises DataError where there are no rows, their layout is not known, or no task reads them.
    """
    files, _ = row_files.find(paths)
    if len(paths) > 1 and len({found.side for found in files} - {None}) < len(files):
        hint = "Name the files train, validation and test; or put them into one folder and name the folder."
        raise DataError(f"{len(files)} files whose names do not say which side each is", file=str(paths[0]), hint=hint)
    seen = [look(found) for found in files]
    rows = [row for one in seen for row in one.first[:LOOKED_AT]]
    layout = detect(rows)
    further = [row for one in seen for row in one.first[LOOKED_AT:]]
    chosen = choose(rows, layout, further, more=any(len(one.first) < one.count for one in seen))
    remarks = left_out_remarks(chosen, layout)
    text = written(seen, paths[0], layout, chosen, remarks, rows, recipe_folder, name or name_of(seen[0].found.path))
    return Proposed(text, chosen.task, chosen.why, remarks)


def look(found: row_files.Found) -> Seen:
    """Reads a file through once."""
    first: list[Row] = []
    count = unread = 0
    # As a run reads it: of a pair of files `lathe check` names the columns otherwise.
    for item in read(found.path) if found.path.is_file() else tables.rows(found.path):
        if isinstance(item, Placed):
            count += 1
            if len(first) < MOST_LABELS * ROWS_A_LABEL:
                first.append(item.row)
        else:
            unread += 1
    if not first:
        raise DataError(
            "holds no row that can be read", file=str(found.path), hint=f"See why: lathe check {typed(found.path)}"
        )
    return Seen(found, first, count, unread)


def written(
    seen: Sequence[Seen],
    given: Path,
    layout: Layout,
    chosen: Chosen,
    remarks: Sequence[str],
    rows: Sequence[Row],
    recipe_folder: Path,
    name: str,
) -> str:
    """The recipe as text. given: the file or folder that a person named first. name: of its runs."""
    total, unread = sum(one.count for one in seen), sum(one.unread for one in seen)
    names = " ".join(typed(shown(one.found.path, recipe_folder)) for one in seen)
    lines = [
        f"# {total:,} rows of the layout {layout.said()}.",
        *([f"# {unread:,} rows cannot be read; see why with: lathe check {names}"] if unread else []),
        f"# Before: lathe check {names}      Then: lathe plan THIS, lathe run THIS",
        "",
        f"name: {yaml_text(name)}",
        "base: lathe:nano                 # or a folder of safetensors, or a Hub id such as HuggingFaceTB/SmolLM2-135M",
        f"task: {chosen.task}".ljust(WIDTH) + f" # {chosen.why}",
        "",
        "data:",
        *data_lines(seen, given, recipe_folder),
        *field_lines(chosen.fields),
        *(f"  # {remark}" for remark in remarks),
        "",
        *schema_lines(rows),
        "method: {kind: lora, rank: 16, alpha: 32}      # or kind: qlora, full",
        "",
        "train:",
        "  epochs: 3",
        "  examples_per_step: 16          # what one optimiser step learns from",
        "  learning_rate: 1.0e-3          # for the small bundled base; 2.0e-4 is usual for a model of a billion parameters",
        "",
        "# Say what would be good enough before you look. Two gates stand by default: better than the base, better than the rule.",
        "# gates:",
        f"#   - {{metric: {plugins.load('tasks', chosen.task).primary}, at_least: 0.90, judge: lower_bound}}",
        "",
        "ship: [adapter, merged]",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def data_lines(seen: Sequence[Seen], given: Path, recipe_folder: Path) -> list[str]:
    """The `data` part: a file for each side where the names say so, else one source that is split."""
    sides = {one.found.side: one for one in seen}
    if "train" in sides and len(sides) == len(seen):
        named = ((side, sides[side]) for side in ("train", "validation", "test") if side in sides)
        return [
            f"  {side}: {yaml_text(shown(one.found.path, recipe_folder))}     # {one.count:,} rows"
            for side, one in named
        ]
    total = sum(one.count for one in seen)
    share = min(0.3, max(0.1, round(WANTED_TEST_ROWS / total, 2)))
    return [
        f"  source: {yaml_text(shown(given, recipe_folder))}",
        f"  split: {{validation: 0.1, test: {share:g}}}     # by the hash of each row's text: about {share * total:,.0f} test rows",
    ]


def field_lines(fields: Mapping[str, str]) -> list[str]:
    """The mapping of columns, where they have other names than the task's."""
    said = ", ".join(f"{key}: {yaml_text(value)}" for key, value in fields.items())
    return [f"  fields: {{{said}}}     # your columns, by the task's names"] if fields else []


def left_out_remarks(chosen: Chosen, layout: Layout) -> tuple[str, ...]:
    """That columns which look like a part of the prompt are not read, and what to do."""
    if not chosen.left_out:
        return ()
    they = "it" if len(chosen.left_out) == 1 else "them"
    if chosen.fields and set(chosen.left_out) <= set(layout.columns.values()):
        todo = f"To train with {they}, take the line `fields` out."
    else:
        todo = (
            f"To train with {they}, write {they} into the text that is asked, or name the columns so that they are read together: "
            "instruction, input, output; context, question, answer; system beside any."
        )
    return (f"Left out of the prompt: {', '.join(chosen.left_out)}. {todo}",)


def schema_lines(rows: Sequence[Row]) -> list[str]:
    """The `schema` part where rows name one; it waits for the folder."""
    if not all(isinstance(row.get("schema_id"), str) for row in rows):
        return []
    return [
        "# Your rows name a schema each. Give the folder of *.json schemas, and the model is shown the shape of its answer:",
        "# schema: {from: schemas, key: schema_id}",
        "",
    ]


def shown(path: Path, recipe_folder: Path) -> str:
    """A path as a recipe in that folder would say it. Raises DataError where its name cannot stand in one."""
    path, folder = path.absolute(), recipe_folder.absolute()
    said = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    try:
        said.encode()
    except UnicodeEncodeError as error:
        name = said.encode(errors="replace").decode()
        raise DataError(
            "the name is no UTF-8, and a recipe is", file=name, hint="Rename the file or folder."
        ) from error
    return said


def name_of(path: Path) -> str:
    """A name for the run: the file's, with accents left out and what else a name may not hold made dashes.

    Where letters or digits are lost so, a hash of them stands behind: two such files would share a name, and their recipes a run.
    """
    stem = unicodedata.normalize("NFKD", path.name.split(".")[0] or path.parent.name)
    plain = "".join(sign for sign in stem if not unicodedata.combining(sign))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:NAME_LENGTH] or "mine"
    lost = any(sign.isalnum() and not sign.isascii() for sign in plain)
    return f"{name}-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:6]}" if lost else name

"""What a person handed over on disk: is it there, and is it something that can be read to its end?"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path

from lathe.errors import DataError

ROWS_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".json", ".parquet", ".arrow", ".nl", ".src", ".source")
"""Files of a folder that are read as rows, in capitals too; those of text may have `.gz` behind it."""
TABLE_SUFFIXES = (".parquet", ".arrow")
ANSWERS_OF = {".nl": ".cm", ".src": ".tgt", ".source": ".target"}
"""Files of texts, one a line, whose answers stand in the same lines of a file beside them (NL2Bash: sentences and commands)."""
POSSIBLE_ANSWERS = "possible_answer"
"""Folder beside a file of questions that holds their answers under the same file name (BFCL)."""
SAVED_BY_DATASETS = ("state.json", "dataset_info.json")
"""Files that tell a folder made by `save_to_disk` of the package datasets; its rows are in data-*.arrow."""
KINDS = (
    (stat.S_ISDIR, "a folder", "Name a file."),
    (stat.S_ISFIFO, "a pipe, which has no end that could be read twice", "Write it to a file first."),
    (stat.S_ISCHR, "a device", "Name a file."),
    (stat.S_ISBLK, "a device", "Name a file."),
    (stat.S_ISSOCK, "a socket", "Name a file."),
)


def regular(path: Path) -> None:
    """Raises DataError, which says what was found and what to do, unless `path` is a regular file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        if path.is_symlink():
            hint = "Mend the link, or name the file itself."
            raise DataError(
                f"this is a link to {os.readlink(path)}, and there is no such file", file=str(path), hint=hint
            ) from error
        raise DataError("there is no such file", file=str(path), hint=nearest(path)) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=str(path)) from error
    for is_kind, words, hint in KINDS:
        if is_kind(mode):
            raise DataError(f"this is {words}, expected a file of rows", file=str(path), hint=hint)
    if not os.access(path, os.R_OK):
        raise DataError("may not be read: permission denied", file=str(path), hint=f"Allow it with: chmod u+r {path}")


def nearest(path: Path) -> str | None:
    """A hint that names the most similar file beside a missing one."""
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder} either."
    near = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
    return f"Did you mean {folder / near[0]}?" if near else None


def row_files(path: Path) -> list[Path]:
    """The files that hold the rows: the file itself, or all files of rows in a folder, by name; of a folder that the package
    datasets saved, its Arrow files.

    Raises DataError where there is none, or where one cannot be read.
    """
    if not path.is_dir():
        regular(path)
        refuse_answers(path)
        return [path]
    if all((path / name).is_file() for name in SAVED_BY_DATASETS):
        return sorted(path.glob("data-*.arrow"))
    found = sorted(p for p in path.iterdir() if stem_of(p).endswith(ROWS_SUFFIXES) and p.name[0] != ".")
    if not found:
        raise DataError(f"the folder holds no file of rows ({', '.join(ROWS_SUFFIXES)})", file=str(path))
    for file in found:
        regular(file)
    return found


def refuse_answers(path: Path) -> None:
    """Raises DataError for a file of answers, whose rows begin in the file of texts beside it."""
    for asked, answered in ANSWERS_OF.items():
        texts = path.with_suffix(asked)
        if path.suffix == answered and texts.is_file():
            raise DataError(f"holds the answers to {texts.name}", file=str(path), hint=f"Name {texts}: it brings them.")


def stem_of(path: Path) -> str:
    """The name by which a file's format is told: in small letters, without `.gz`."""
    return path.name.lower().removesuffix(".gz")


def is_tabular(path: Path) -> bool:
    """Whether a file's name says that it is Parquet or Arrow."""
    return path.suffix.lower() in TABLE_SUFFIXES


def answers_of(path: Path) -> Path | None:
    """The file that holds the answers to a file of texts or questions; None for files whose rows are whole."""
    suffix = ANSWERS_OF.get(path.suffix)
    if suffix is not None:
        return path.with_suffix(suffix)
    possible = path.parent / POSSIBLE_ANSWERS / path.name
    return possible if possible.is_file() else None


def schema_files(folder: Path) -> dict[str, Path]:
    """All *.json files below a folder, by file stem: the name that rows use. Raises DataError."""
    if folder.is_file():
        hint = (
            f"Put it into a folder of its own and name that, with other schemas or alone: {folder.parent / folder.stem}"
        )
        raise DataError("this is a file, expected a folder of *.json schemas", file=str(folder), hint=hint)
    if not folder.is_dir():
        raise DataError("there is no such folder of schemas", file=str(folder), hint=nearest(folder))
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.json")):
        if path.stem in found:
            raise DataError(
                f"two schemas are named {path.stem}: {found[path.stem].relative_to(folder)} and {path.relative_to(folder)}",
                file=str(folder),
                hint="Rename one; rows choose a schema by its file name.",
            )
        regular(path)
        found[path.stem] = path
    if not found:
        raise DataError("the folder holds no *.json schema", file=str(folder))
    return found

"""Data sets of the Hugging Face Hub, fetched as the files that they consist of: no script of theirs is ever run.

    fetch("hub:org/name")        the newest revision        fetch("hub:org/name@v1")     a tag, a branch or a commit

What is fetched, or lies in the cache already, is a folder of Parquet, JSON lines or CSV files, which is then read like any other.
"""

from __future__ import annotations

from pathlib import Path

from lathe.errors import InputError
from lathe.files import ROWS_SUFFIXES, TABLE_SUFFIXES
from lathe.hub import NAME, snapshot

PREFIX = "hub:"
WANTED = tuple(f"*{suffix}" for suffix in (*ROWS_SUFFIXES, *TABLE_SUFFIXES)) + tuple(
    f"*{suffix}.gz" for suffix in ROWS_SUFFIXES
)


def is_hub(place: str) -> bool:
    """Whether a place is a data set of the Hub."""
    return place.startswith(PREFIX)


def fetch(place: str) -> Path:
    """The folder with a data set's files of rows.

    Raises InputError for what is no data set there, Unavailable where the Hub cannot be reached and the cache does not hold it.
    """
    name = place.removeprefix(PREFIX)
    if not NAME.match(name):
        raise InputError(
            f"{place!r} is no data set of the Hub",
            hint=f"Write {PREFIX}organisation/name, or {PREFIX}organisation/name@revision.",
        )
    return rows_folder(snapshot(name, "dataset", WANTED, called=place))


def rows_folder(folder: Path) -> Path:
    """The folder of a snapshot that holds its files of rows: itself, or the one below. Raises InputError for several."""
    holding = sorted({path.parent for pattern in WANTED for path in folder.rglob(pattern)})
    if folder in holding or not holding:
        return folder
    if len(holding) > 1:
        names = ", ".join(str(one.relative_to(folder)) for one in holding[:8])
        raise InputError(
            f"the data set has {len(holding)} configurations: {names}",
            hint=f"Name one by its folder, such as {holding[0]}",
        )
    return holding[0]

"""Data sets of the Hugging Face Hub, fetched as the files that they consist of: no script of theirs is ever run.

    fetch("hub:org/name")        the newest revision        fetch("hub:org/name@v1")     a tag, a branch or a commit

What is fetched, or lies in the cache already, is a folder of Parquet, JSON lines or CSV files, which is then read like any other.
"""

from __future__ import annotations

import re
from pathlib import Path

from lathe.errors import InputError, Unavailable
from lathe.files import ROWS_SUFFIXES, TABLE_SUFFIXES

PREFIX = "hub:"
NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?$")
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
    repo, _, revision = name.partition("@")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{place} needs the package {missing.name}", hint="pip install huggingface_hub") from missing
    try:
        folder = Path(
            snapshot_download(
                repo, repo_type="dataset", revision=revision or None, allow_patterns=list(WANTED), etag_timeout=10
            )
        )
    except GatedRepoError as error:
        raise InputError(f"{place} is gated", hint="Accept its terms on the Hub, then: hf auth login") from error
    except RevisionNotFoundError as error:
        raise InputError(f"{repo} has no revision {revision!r}", hint="Take a branch, a tag or a commit.") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{place} is not on the Hub, or is private", hint="Check the name; for a private one: hf auth login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise Unavailable(
            f"{place}: the Hub cannot be reached and the cache does not hold it", hint="Try again with a network."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise Unavailable(
            f"{place}: the Hub did not answer ({type(error).__name__})", hint="Try again later."
        ) from error
    return rows_folder(folder)


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

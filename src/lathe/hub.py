"""Repositories of the Hugging Face Hub, fetched as files: no code of theirs is ever run.

    snapshot("org/name@v1", "model", ["*.safetensors", "*.json"], called="base org/name@v1")     -> folder of the files
    dataset("hub:org/name@v1")                                                                   -> folder of the files of rows

What the cache holds already is not fetched again, and is found without a network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lathe.errors import InputError, Unavailable
from lathe.files import ROWS_SUFFIXES, TABLE_SUFFIXES

if TYPE_CHECKING:
    from lathe.records import LockedRecipe

NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?$")
"""organisation/name, or organisation/name@revision."""
DATASET_PREFIX = "hub:"
ROW_FILES = tuple(f"*{suffix}" for suffix in (*ROWS_SUFFIXES, *TABLE_SUFFIXES)) + tuple(
    f"*{suffix}.gz" for suffix in ROWS_SUFFIXES
)
COMMIT = re.compile(r"[0-9a-f]{40}")
CACHED = re.compile(r"/(?P<kind>models|datasets)--(?P<repo>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})(?:/|$)")
"""How the client's cache lays out a repository."""


def snapshot(name: str, kind: Literal["model", "dataset"], patterns: Sequence[str], called: str) -> Path:
    """The folder with a repository's files that match a pattern; its name is the commit. `called`: what messages call it.

    Raises InputError for what is not there, Unavailable where the Hub cannot be reached and the cache does not hold it, or where
    a person has to accept terms first.
    """
    repo, _, revision = name.partition("@")
    elsewhere = f"hf download {repo}" if kind == "model" else f"hf download --repo-type dataset {repo}"
    hint = (
        f"Connect once and run the same command, or fetch it elsewhere with `{elsewhere}` and copy the cache folder; "
        "or name a local folder."
    )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as missing:
        raise Unavailable(
            f"{called} needs the package huggingface_hub", hint="pip install huggingface_hub"
        ) from missing
    try:
        return Path(
            snapshot_download(
                repo,
                repo_type=kind,
                revision=revision or None,
                allow_patterns=list(patterns),
                etag_timeout=10,
                local_files_only=_unlisted(repo, kind, revision) and not _answers(repo, kind, revision),
            )
        )
    except GatedRepoError as error:
        raise Unavailable(
            f"{called} is gated on the Hub", hint=f"Accept its terms there, then: hf auth login ({repo})"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"{repo} has no revision {revision!r} on the Hub", hint="Take a branch, a tag or a commit."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{called} is not on the Hub, or is private", hint="Check the name; for a private one: hf auth login"
        ) from error
    except HFValidationError as error:
        raise InputError(
            f"{called}: {repo!r} is no name on the Hub", hint="One looks like organisation/name."
        ) from error
    except LocalEntryNotFoundError as error:
        raise Unavailable(f"{called}: the Hub cannot be reached and the cache does not hold it", hint=hint) from error
    except (HfHubHTTPError, OSError) as error:
        raise Unavailable(f"{called}: the Hub did not answer ({type(error).__name__})", hint=hint) from error


def _unlisted(repo: str, kind: Literal["model", "dataset"], revision: str) -> bool:
    """Whether the client would ask for the list of a commit's files, six times and in 23 s where nobody answers: clients before it
    cached files without their list."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = Path(HF_HUB_CACHE, f"{kind}s--{repo.replace('/', '--')}", "trees", f"{revision}.json")
    return COMMIT.fullmatch(revision) is not None and not cached.is_file()


def _answers(repo: str, kind: Literal["model", "dataset"], commit: str) -> bool:
    """Whether the Hub can be reached, be its answer a refusal; asked once."""
    from httpx2 import TransportError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().repo_info(repo, repo_type=kind, revision=commit, timeout=10)
    except HfHubHTTPError:
        return True
    except (TransportError, OfflineModeIsEnabled):
        return False
    return True


def push(
    repo: str, kind: Literal["model", "dataset"], contents: Mapping[str, Path | bytes], *, public: bool, message: str
) -> str:
    """Adds files, by their path there, in one commit, and returns its address. The repository is made where there is none.

    Raises Unavailable where the Hub cannot be reached or does not take the token, InputError where it refuses the files.
    """
    from httpx2 import TransportError
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=part if isinstance(part, bytes) else str(part))
        for name, part in sorted(contents.items())
    ]
    api = HfApi()
    try:
        api.create_repo(repo, repo_type=kind, private=not public, exist_ok=True)
        done = api.create_commit(repo, operations, commit_message=message, repo_type=kind)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            raise Unavailable(
                f"the Hub does not let this token write to {repo} ({status})",
                hint="Log in with one that may: hf auth login",
            ) from error
        raise Unavailable(
            f"the Hub did not take {repo} ({status})", hint="Nothing was changed here; try again."
        ) from error
    except ValueError as error:
        raise InputError(f"the Hub refuses {repo}: {str(error).strip()}") from error
    except (OSError, TransportError) as error:
        raise Unavailable(
            f"{repo}: the Hub cannot be reached ({type(error).__name__})", hint="Nothing was changed here; try again."
        ) from error
    return str(done.commit_url)


def is_dataset(place: str) -> bool:
    """Whether a place is a data set of the Hub, `hub:organisation/name`."""
    return place.startswith(DATASET_PREFIX)


def dataset(place: str) -> Path:
    """The folder with a data set's files of rows: Parquet, JSON lines or CSV, read like any other; no script of theirs is run.

    Raises InputError for what is no data set there, Unavailable where the Hub cannot be reached and the cache does not hold it.
    """
    name = place.removeprefix(DATASET_PREFIX)
    if not NAME.match(name):
        raise InputError(
            f"{place!r} is no data set of the Hub",
            hint=f"Write {DATASET_PREFIX}organisation/name, or {DATASET_PREFIX}organisation/name@revision.",
        )
    return rows_folder(snapshot(name, "dataset", ROW_FILES, called=place))


def rows_folder(folder: Path) -> Path:
    """The folder of a snapshot that holds its files of rows: itself, or the one below. Raises InputError for several."""
    holding = sorted({path.parent for pattern in ROW_FILES for path in folder.rglob(pattern)})
    if folder in holding or not holding:
        return folder
    if len(holding) > 1:
        names = ", ".join(str(one.relative_to(folder)) for one in holding[:8])
        raise InputError(
            f"the data set has {len(holding)} configurations: {names}",
            hint=f"Name one by its folder, such as {holding[0]}",
        )
    return holding[0]


def commit_of(path: Path) -> str | None:
    """The commit of a file that lies in the cache of the Hub's client; None for others."""
    found = CACHED.search(path.as_posix())
    return found["commit"] if found else None


def dataset_of(path: Path) -> str | None:
    """organisation/name of the data set that a file in the client's cache belongs to; None for others."""
    return _repo_of(path, "datasets")


def model_of(folder: Path) -> str | None:
    """organisation/name of the model whose files a folder of the client's cache holds; None for others."""
    return _repo_of(folder, "models")


def base_name(locked: LockedRecipe) -> str:
    """The base as a stranger can know it: a bundled one, organisation/name on the Hub, or a folder's name without the way to it."""
    base = locked.recipe.base
    return base if base.startswith("lathe:") else model_of(Path(locked.base_folder)) or Path(base).name


def _repo_of(path: Path, kind: str) -> str | None:
    found = CACHED.search(path.as_posix())
    return found["repo"].replace("--", "/", 1) if found and found["kind"] == kind else None

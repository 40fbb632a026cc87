"""Repositories of the Hugging Face Hub, fetched as files: no code of theirs is ever run.

    snapshot("org/name@v1", "model", ["*.safetensors", "*.json"], called="base org/name@v1")     -> folder of the files

What the cache holds already is not fetched again, and is found without a network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lathe.errors import InputError, Unavailable

NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?$")
"""organisation/name, or organisation/name@revision."""


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
                repo, repo_type=kind, revision=revision or None, allow_patterns=list(patterns), etag_timeout=10
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
        raise InputError(f"{repo!r} is no name on the Hub", hint="One looks like organisation/name.") from error
    except LocalEntryNotFoundError as error:
        raise Unavailable(f"{called}: the Hub cannot be reached and the cache does not hold it", hint=hint) from error
    except (HfHubHTTPError, OSError) as error:
        raise Unavailable(f"{called}: the Hub did not answer ({type(error).__name__})", hint=hint) from error

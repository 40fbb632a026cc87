"""Finds the base model on disk, or fetches it.

lathe:nano          the model inside the package
./models/mine       a folder, relative to the recipe
org/name@revision   a Hub id; only weights, configuration and tokenizer files are fetched
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from lathe import hub
from lathe.errors import InputError, did_you_mean
from lathe.model_folder import check_base
from lathe.records import FileHash
from lathe.storage import file_sha256

WEIGHTS = "*.safetensors"
DESCRIBING = ("*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
"""Files that a base consists of beside its weights. Nothing else is fetched, hashed or opened."""


class Base(NamedTuple):
    """A base on disk."""

    folder: Path
    revision: str | None
    """commit of a Hub id; None for a folder"""


def find_base(base: str, recipe_folder: Path, *, weights: bool = True) -> Base:
    """The folder of a base, checked. weights: whether they are needed; else they are not fetched, and may be missing.

    Raises InputError, Unavailable and Refused.
    """
    found = locate(base, recipe_folder, weights=weights)
    check_base(found.folder, weights=weights)
    return found


def locate(base: str, recipe_folder: Path, *, weights: bool = True) -> Base:
    """The folder of a base, not yet checked."""
    if base.startswith("lathe:"):
        return Base(bundled(base), None)
    folder = (recipe_folder / Path(base).expanduser()).resolve()
    if folder.is_dir():
        return Base(folder, None)
    if hub.NAME.match(base):
        return fetch(base, weights=weights, called=f"base {base} (no folder {folder}, so a Hub id)")
    raise InputError(
        f"base {base!r} is no folder ({folder}), no bundled model and no Hub id",
        hint="Expected lathe:nano, a folder of safetensors, or a Hub id such as HuggingFaceTB/SmolLM2-135M.",
    )


def bundled(base: str) -> Path:
    """Folder of a model that comes with the package."""
    assets = Path(str(files("lathe"))) / "assets"
    name = base.removeprefix("lathe:")
    known = sorted(path.name for path in assets.iterdir() if path.is_dir()) if assets.is_dir() else []
    if name in known:
        return assets / name
    raise InputError(f"there is no bundled model {base}", hint=did_you_mean(name, known, "lathe:{}"))


def fetch(base: str, *, called: str, weights: bool = True) -> Base:
    """Fetches a base from the Hub, or takes it from the cache. called: what messages call it. Raises Unavailable and InputError."""
    patterns = (WEIGHTS, *DESCRIBING) if weights else DESCRIBING
    folder = hub.snapshot(base, "model", patterns, called=called)
    return Base(folder, folder.name)


def base_files(folder: Path, *, weights: bool = True) -> tuple[FileHash, ...]:
    """The files that a base consists of, with their hashes; on request without the weights, which can take many seconds."""
    patterns = (WEIGHTS, *DESCRIBING) if weights else DESCRIBING
    found = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return tuple(FileHash(path=path.name, sha256=file_sha256(path), num_bytes=path.stat().st_size) for path in found)


def weight_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of weights, by name; no byte of it is read."""
    return {path.name: path.stat().st_size for path in sorted(folder.glob(WEIGHTS))}

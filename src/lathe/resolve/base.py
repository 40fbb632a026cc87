"""Finds the base model on disk and refuses whatever could run code.

lathe:nano          the model inside the package
./models/mine       a folder, relative to the recipe
org/name@revision   a Hub id; only weights, configuration and tokenizer files are fetched
"""

from __future__ import annotations

import difflib
import json
import pickletools
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from lathe.errors import InputError, Refused, Unavailable
from lathe.records import FileHash
from lathe.runs import file_sha256

ALLOWED = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
"""Files that a base consists of; nothing else is fetched, hashed or opened."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?$")
REMOTE_CODE_KEYS = ("auto_map", "custom_generate", "trust_remote_code", "custom_pipelines")
CALLING_OPCODES = {
    "GLOBAL",
    "STACK_GLOBAL",
    "INST",
    "OBJ",
    "REDUCE",
    "BUILD",
    "NEWOBJ",
    "NEWOBJ_EX",
    "EXT1",
    "EXT2",
    "EXT4",
}
ARCHIVES = ((b"PK\x03\x04", "a zip archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"\x1f\x8b", "a gzip archive"))
SAFE_HINT = "Convert the weights to safetensors, and remove the file from the folder."


class Base(NamedTuple):
    """A base on disk."""

    folder: Path
    revision: str | None
    """commit of a Hub id; None for a folder"""


def find_base(base: str, recipe_folder: Path) -> Base:
    """The folder of a base, checked. Raises InputError, Unavailable and Refused."""
    found = locate(base, recipe_folder)
    check_folder(found.folder)
    return found


def locate(base: str, recipe_folder: Path) -> Base:
    """The folder of a base, not yet checked."""
    if base.startswith("lathe:"):
        return Base(bundled(base), None)
    folder = (recipe_folder / Path(base).expanduser()).resolve()
    if folder.is_dir():
        return Base(folder, None)
    if HUB_ID.match(base):
        return fetch(base)
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
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        f"Did you mean lathe:{near[0]}?" if near else f"There are: {', '.join('lathe:' + k for k in known) or 'none'}."
    )
    raise InputError(f"there is no bundled model {base}", hint=hint)


def fetch(base: str) -> Base:
    """Fetches a base from the Hub, or takes it from the cache. Raises Unavailable and InputError."""
    repo, _, revision = base.partition("@")
    hint = (
        f"Connect once and run the same command, or fetch it elsewhere with `hf download {repo}` and copy the cache folder; "
        "or name a local folder as base."
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
            f"base {base} needs the package huggingface_hub", hint="pip install huggingface_hub"
        ) from missing
    try:
        folder = Path(snapshot_download(repo, revision=revision or None, allow_patterns=list(ALLOWED), etag_timeout=10))
    except GatedRepoError as error:
        raise Unavailable(
            f"{repo} is gated on the Hub", hint=f"Accept its terms there, then: hf auth login ({repo})"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"{repo} has no revision {revision!r} on the Hub", hint="Take a branch, a tag or a commit."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{repo} is not on the Hub, or is private", hint="Check the name; for a private one: hf auth login"
        ) from error
    except HFValidationError as error:
        raise InputError(f"{repo!r} is no Hub id", hint="A Hub id looks like organisation/name.") from error
    except LocalEntryNotFoundError as error:
        raise Unavailable(
            f"base {base}: the Hub cannot be reached and the cache does not hold it", hint=hint
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise Unavailable(f"base {base}: the Hub did not answer ({type(error).__name__})", hint=hint) from error
    return Base(folder, folder.name)


# ------------------------------------------------------------------------------------------ refusal by content


def check_folder(folder: Path) -> None:
    """Refuses a base folder with executable content, and says what is missing in one that is no model."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not hidden(path.relative_to(folder)):
            refuse_file(path, path.relative_to(folder))
    config = read_json(folder / "config.json", "a model's configuration")
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        if (folder / name).is_file():
            refuse_remote_code(read_json(folder / name, "a model's configuration"), folder / name)
    if not isinstance(config.get("model_type"), str):
        raise InputError(
            f"{folder / 'config.json'} names no model_type", hint="Is this the folder of a transformers model?"
        )
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder} holds no *.safetensors weights", hint="Save the model with safe_serialization=True."
        )
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"{folder} holds no tokenizer.json", hint="Save the fast tokenizer into the folder.")


def hidden(relative: Path) -> bool:
    """Whether a path lies in a hidden folder, such as the download notes of the Hub client."""
    return any(part.startswith(".") for part in relative.parts)


def refuse_file(path: Path, name: Path) -> None:
    """Raises Refused for pickles, archives, Python code and weights that are not what their name says."""
    if path.suffix == ".py":
        raise Refused(
            f"{name} in the base folder is Python code, and Lathe runs no code that comes with a model",
            hint="Remove it.",
        )
    if path.suffix in PICKLES:
        raise Refused(f"{name} in the base folder can hold a pickle, which runs code when it is opened", hint=SAFE_HINT)
    with open(path, "rb") as file:
        head = file.read(512)
        for magic, words in ARCHIVES:
            if head.startswith(magic):
                raise Refused(f"{name} in the base folder is {words}, whatever its name says", hint=SAFE_HINT)
        if head[257:262] == b"ustar":
            raise Refused(f"{name} in the base folder is a tar archive, whatever its name says", hint=SAFE_HINT)
        if path.suffix == ".safetensors":
            refuse_false_safetensors(head, path.stat().st_size, name)
        elif is_pickle(head + file.read(1 << 20)):
            raise Refused(f"{name} in the base folder is a pickle, whatever its name says", hint=SAFE_HINT)


def refuse_false_safetensors(head: bytes, num_bytes: int, name: Path) -> None:
    """The format: 8 bytes length of the header (little endian), then the header, a JSON object."""
    length = int.from_bytes(head[:8], "little")
    if len(head) < 10 or head[8:9] != b"{" or length > min(num_bytes - 8, 100_000_000):
        raise Refused(f"{name} in the base folder is no safetensors file, whatever its name says", hint=SAFE_HINT)


def is_pickle(data: bytes) -> bool:
    """Whether bytes are a pickle, of any protocol: read as opcodes, never executed."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    try:
        return any(opcode.name in CALLING_OPCODES for opcode, _, _ in pickletools.genops(data)) and b"." in data
    except Exception:  # any other bytes than a pickle's end in one error or another
        return False


def refuse_remote_code(config: dict[str, object], path: Path) -> None:
    """Raises Refused where a configuration names code that should be loaded with the model."""
    for key in REMOTE_CODE_KEYS:
        if config.get(key):
            raise Refused(
                f"{path.name} of the base asks for remote code ({key})",
                hint="Take a model whose architecture transformers knows; Lathe runs no code that comes with a model.",
            )


def read_json(path: Path, what: str) -> dict[str, object]:
    """A JSON object from a file of at most 10 MB. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path.parent} holds no {path.name} ({what})", hint="Is this the folder of a model?")
    if path.stat().st_size > 10_000_000:
        raise InputError(f"{path} is larger than 10 MB, expected {what}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, expected an object ({what})")
    return value


def base_files(folder: Path) -> tuple[FileHash, ...]:
    """The files that a base consists of, with their hashes."""
    found = sorted({path for pattern in ALLOWED for path in folder.glob(pattern) if path.is_file()})
    return tuple(FileHash(path=path.name, sha256=file_sha256(path), num_bytes=path.stat().st_size) for path in found)

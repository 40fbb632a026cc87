"""What goes into a repository, by its path there: files of the run as they are, and the few that are made for it.

Which export lies at the top and which in a folder of its own is known to the record of what was shipped
(`Bundle.published_folder`), for the card names the same places.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from lathe import hub
from lathe.records import Bundle, Card, FileHash, LockedRecipe, Manifest
from lathe.runs import CARD_EVIDENCE, RunFolder
from lathe.storage import file_sha256

Contents = Mapping[str, Path | bytes]

ADAPTER_CONFIG = "adapter_config.json"
SUMS = "SHA256SUMS"


def model_contents(run: RunFolder, locked: LockedRecipe, bundle: Bundle, card: Card) -> Contents:
    """The shipped files, the card as README.md, CARD.json and SHA256SUMS."""
    found: dict[str, Path | bytes] = {}
    for shipped in bundle.shipped:
        for file in shipped.files:
            found[f"{bundle.published_folder(shipped)}{file.path}"] = run.path / shipped.path / file.path
    for name, path in found.items():
        if Path(name).name == ADAPTER_CONFIG and isinstance(path, Path):
            found[name] = portable(path.read_text(encoding="utf-8"), hub.base_name(locked))
    return _with_card(found, card)


def portable(adapter_config: str, base: str) -> bytes:
    """An adapter's configuration that names its base as others know it, not by a folder of this machine."""
    config = json.loads(adapter_config)
    config["base_model_name_or_path"] = base
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()


def data_contents(run: RunFolder, manifest: Manifest, card: Card) -> Contents:
    """The rows of each side as the model saw them, the card as README.md, CARD.json and SHA256SUMS."""
    return _with_card({f"{side}.jsonl": run.rows(side) for side, count in manifest.sides.items() if count.rows}, card)


def _with_card(found: Contents, card: Card) -> Contents:
    whole = {**found, "README.md": card.text.encode(), CARD_EVIDENCE: card.evidence.encode()}
    return {**whole, SUMS: "".join(f"{file.sha256}  {file.path}\n" for file in hashes(whole)).encode()}


def hashes(contents: Contents) -> tuple[FileHash, ...]:
    """Size and sha256 of all that goes there, by path."""
    return tuple(
        FileHash(path=name, sha256=file_sha256(part), num_bytes=part.stat().st_size)
        if isinstance(part, Path)
        else FileHash(path=name, sha256=hashlib.sha256(part).hexdigest(), num_bytes=len(part))
        for name, part in sorted(contents.items())
    )


def texts(contents: Contents, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(place, text) of every line that a person could read. known: sha256 of files that are public already: those of the base."""
    for file in hashes(contents):
        part = contents[file.path]
        if file.sha256 in known or file.path.endswith((".safetensors", ".gguf", ".bin")):
            continue
        data = part if isinstance(part, bytes) else part.read_bytes()
        for number, line in enumerate(data.decode(errors="replace").split("\n"), start=1):
            yield f"{file.path}:{number}", line

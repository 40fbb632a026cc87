"""A model of the Hub as far as a plan needs it: its config.json, and what the headers of its weight files say.

    config("org/name@v1")    the configuration
    stored("org/name@v1")    Stored(parameters=134515008, num_bytes=269030016, by_dtype={"BF16": 134515008})

No weight is read: a safetensors file begins with its header, and only that range of bytes is asked for.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import Field

from lathe import hub
from lathe.errors import InputError, Unavailable
from lathe.model_folder.weights import BITS
from lathe.plan import configuration
from lathe.records import Record


class Stored(Record):
    """What weight files hold, by their headers alone."""

    parameters: int
    num_bytes: int
    by_dtype: dict[str, int] = Field(description="parameters by the format's own names, such as BF16")


def is_name(place: str) -> bool:
    """Whether a place that is not there can be the name of a model of the Hub.

    A mistyped path is none: one that begins with ./, that of a JSON file, and one into a folder which is there; a name with a
    revision is one even so.
    """
    path = Path(place)
    mistyped = path.suffix == ".json" or ("@" not in place and path.parent.is_dir())
    return not path.exists() and not mistyped and hub.NAME.match(place) is not None


def config(name: str) -> dict[str, Any]:
    """The configuration of a model. Raises as `hub.snapshot`."""
    called = f"the configuration of {name} (no folder {Path(name).absolute()}, so a Hub id)"
    return configuration.read(hub.snapshot(name, "model", ["config.json"], called=called))


def stored(name: str) -> Stored:
    """Counts and sizes of a model's weights.

    Raises InputError where it has no safetensors or a damaged header, Unavailable where the Hub does not answer.
    """
    from huggingface_hub import get_safetensors_metadata
    from huggingface_hub.errors import HfHubHTTPError, NotASafetensorsRepoError, SafetensorsParsingError

    repo, _, revision = name.partition("@")
    try:
        found = get_safetensors_metadata(repo, revision=revision or None)
    except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
        said = str(error).strip().split("\n")[0]
        raise InputError(f"{name}: {said}", hint="Expected a model with *.safetensors weights.") from error
    except (HfHubHTTPError, OSError) as error:
        raise Unavailable(
            f"the weight files of {name} could not be asked for: {error}", hint="Connect, or count a local config.json."
        ) from error
    tensors = [tensor for file in found.files_metadata.values() for tensor in file.tensors.values()]
    by_dtype: dict[str, int] = {}
    for tensor in tensors:
        by_dtype[tensor.dtype] = by_dtype.get(tensor.dtype, 0) + math.prod(tensor.shape)
    return Stored(
        parameters=sum(by_dtype.values()),
        num_bytes=sum(count * BITS.get(dtype, 32) // 8 for dtype, count in by_dtype.items()),
        by_dtype=by_dtype,
    )

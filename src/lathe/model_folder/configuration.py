"""The JSON files of a model folder: read with a bound, and their numbers held against what models have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from lathe.errors import InputError
from lathe.records import Json

LARGEST_JSON = 10_000_000
"""Bytes of a configuration; the largest have some 100 kB."""
LARGEST_SIZES: Mapping[str, int] = {
    "vocab_size": 4_000_000,
    "hidden_size": 65_536,
    "intermediate_size": 1_048_576,
    "num_hidden_layers": 1_024,
    "num_attention_heads": 1_024,
    "num_key_value_heads": 1_024,
    "head_dim": 4_096,
    "max_position_embeddings": 100_000_000,
}
"""Sizes in config.json that decide allocations, with a bound far above any model that fits this product."""

SCALED_LOGITS = ("final_logit_softcapping", "logits_scaling", "logit_scale")
"""Keys of config.json by which logits are changed behind the output head; 1 and null change nothing."""


def read_json(path: Path, what: str) -> dict[str, Json]:
    """A JSON object from a file of at most LARGEST_JSON bytes. `what`: what messages say was expected. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path.parent} holds no {path.name}, {what}", hint="Is this the folder of a model?")
    if path.stat().st_size > LARGEST_JSON:
        raise InputError(f"{path} is larger than {LARGEST_JSON:,} bytes, expected {what}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, expected an object, {what}")
    return value


def check_form(path: Path, config: Mapping[str, Json]) -> None:
    """Raises InputError for weights that are quantised already, and for a model that does more to its logits than its output head:
    the engine, which computes hidden @ head.T, would train it wrongly."""
    if config.get("quantization_config"):
        given = config["quantization_config"]
        way = given.get("quant_method", "") if isinstance(given, dict) else ""
        raise InputError(
            f"{path}: the weights are quantised already ({way or 'quantization_config'}), expected numbers of 16 or 32 bits",
            hint="Take the model that this one was made from; method.kind: qlora quantises it while it is loaded.",
        )
    for key in SCALED_LOGITS:
        factor = config.get(key)
        if factor is not None and not (isinstance(factor, int | float) and math.isclose(factor, 1.0)):
            raise InputError(
                f"{path}: {key} = {factor} is not supported yet",
                hint="Take a base whose logits are hidden states times output head, as those of llama and qwen are.",
            )


def check_sizes(path: Path, config: Mapping[str, Json]) -> None:
    """Raises InputError for a size that no model has, before anything is allocated by it."""
    for key, largest in LARGEST_SIZES.items():
        size = config.get(key)
        if size is not None and not (type(size) is int and 1 <= size <= largest):
            raise InputError(f"{path}: {key} is {repr(size)[:40]}, expected a whole number from 1 to {largest:,}")

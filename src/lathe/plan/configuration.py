"""What a config.json tells by itself: parameters, weights in each storage, and what padded training would need.

look(config, Adapter(rank=8))   ->  {"parameters_total": 7615616512, "parameters_trainable": 20185088, ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lathe.errors import InputError
from lathe.files import nearest
from lathe.plan import memory, meta
from lathe.plan.architecture import DEFAULTS, Shapes, is_known, refuse_endless, shapes
from lathe.plan.parameters import Adapter, of, saves_known, without_layer
from lathe.records import Parameters

STORAGES: tuple[memory.Storage, ...] = ("fp32", "bf16", "nf4")
EXPECTED = (
    "Expected a config.json, the folder of one, or a Hub id such as HuggingFaceTB/SmolLM2-135M; write @main behind it where a "
    "folder here has its first name."
)
Counted = Literal["from its shapes", "by transformers, on the meta device"]


def read(path: Path) -> dict[str, Any]:
    """The configuration of a file, or of a model's folder. Raises InputError where it is none."""
    if path.is_dir():
        path = path / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = nearest(path) if isinstance(error, FileNotFoundError) else None
        hint = f"{near} {EXPECTED}" if near else EXPECTED
        raise InputError(f"could not read {path}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}", hint="Expected the config.json of a model.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} holds no JSON object", hint="Expected the config.json of a model.")
    return config


@dataclass(frozen=True)
class Count:
    """Exact counts. without_layer: adapter targets that match nothing, which peft passes over as long as another one matches."""

    parameters: Parameters
    how: Counted
    without_layer: tuple[str, ...] = ()


def counts(config: Mapping[str, Any], adapter: Adapter | None) -> Count:
    """Of any configuration; what is not written out here is counted in a child process.

    Raises InputError on a configuration that nobody can count, on targets of which none matches, and on a module to save that
    matches nothing; Unavailable without torch, or what transformers itself wants for such a model.
    """
    refuse_endless(config)
    if is_known(config):
        model = shapes(config)
        if adapter is None:
            return Count(of(model, None), "from its shapes")
        if saves_known(model, adapter.modules_to_save):
            missing = without_layer(model, adapter.targets)
            if 0 < len(missing) < len(adapter.targets):
                adapter = replace(adapter, targets=tuple(name for name in adapter.targets if name not in missing))
            return Count(of(model, adapter), "from its shapes", missing)
    elif not isinstance(config.get("model_type"), str):
        got = f"is {config['model_type']!r}" if "model_type" in config else "is not there"
        raise InputError(
            f"the configuration's model_type {got}, expected a name such as llama",
            hint="Expected the whole config.json of a model.",
        )
    found, missing = meta.counted(config, adapter)
    return Count(found, "by transformers, on the meta device", missing)


def look(
    config: Mapping[str, Any],
    adapter: Adapter | None,
    padded: tuple[int, int] | None = None,
    precision: Literal["fp32", "bf16"] = "bf16",
) -> dict[str, Any]:
    """What `lathe plan --config config.json --json` prints.

    Targets that match no layer are passed over, as peft does, and named; where none matches it is an error.
    padded: rows and positions of a batch; adds what a trainer that pads and scores every position would need for it, an estimate.
    """
    found = counts(config, adapter)
    counted = found.parameters
    said: dict[str, Any] = {
        "parameters_total": counted.total,
        "parameters_trainable": counted.trainable,
        "parameters_by_group": counted.by_group,
        "counted": found.how,
    }
    if found.without_layer:
        said["targets_without_layer"] = list(found.without_layer)
    if not is_known(config):
        if padded:
            raise InputError(f"memory is known for these architectures only: {', '.join(DEFAULTS)}")
        return said | {"weight_bytes": {"fp32": counted.total * 4, "bf16": counted.total * 2}}
    model = shapes(config)
    said["weight_bytes"] = {storage: memory.weight_bytes(model, counted, storage) for storage in STORAGES}
    if padded:
        said["padded"] = _padded(model, counted, adapter, padded, precision)
    return said


def _padded(
    model: Shapes,
    counted: Parameters,
    adapter: Adapter | None,
    batch: tuple[int, int],
    precision: Literal["fp32", "bf16"],
) -> dict[str, Any]:
    rows, positions = batch
    rank, targets = (adapter.rank, adapter.targets) if adapter else (1, "all-linear")
    setting = memory.Setting(0, 0, precision, adapter is None, rank, targets, stored_bytes=0, device="cuda")
    terms = memory.padded(model, counted, setting, rows, positions)
    worst = memory.largest(terms)
    return {
        "said": f"padded batches of {rows} x {positions:,}, {precision}: an estimate",
        "num_bytes": sum(term.num_bytes for term in terms),
        "largest": f"{worst.name}, {worst.num_bytes / 1e9:.1f} GB ({worst.formula})",
        "memory": [term.dump() for term in terms],
    }

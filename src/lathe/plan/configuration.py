"""What a config.json tells by itself: parameters, weights in each storage, and what padded training would need.

look(config, Adapter(rank=8))   ->  {"parameters_total": 7615616512, "parameters_trainable": 20185088, ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lathe.errors import InputError
from lathe.plan import memory, meta
from lathe.plan.architecture import DEFAULTS, Shapes, refuse_endless, shapes
from lathe.plan.parameters import Adapter, of, saves_known, without_layer
from lathe.records import Parameters

STORAGES: tuple[memory.Storage, ...] = ("fp32", "bf16", "nf4")
Counted = Literal["from its shapes", "by transformers, on the meta device"]


def read(path: Path) -> dict[str, Any]:
    """The configuration of a file, or of a model's folder. Raises InputError where it is none."""
    if path.is_dir():
        path = path / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "Expected a config.json, the folder of one, or a Hub id such as HuggingFaceTB/SmolLM2-135M."
        raise InputError(f"could not read {path}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}", hint="Expected the config.json of a model.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} holds no JSON object", hint="Expected the config.json of a model.")
    return config


def counts(config: Mapping[str, Any], adapter: Adapter | None) -> tuple[Parameters, Counted]:
    """Exact counts of any configuration; what is not written out here is counted in a child process.

    Raises InputError on a configuration that nobody can count and on targets that match nothing, Unavailable without torch.
    """
    refuse_endless(config)
    if config.get("model_type") in DEFAULTS:
        model = shapes(config)
        if adapter is None or saves_known(model, adapter.modules_to_save):
            return of(model, adapter), "from its shapes"
    elif "model_type" not in config:
        raise InputError("the configuration names no model_type", hint="Expected the whole config.json of a model.")
    return meta.counted(config, adapter), "by transformers, on the meta device"


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
    missing: tuple[str, ...] = ()
    if adapter is not None and config.get("model_type") in DEFAULTS:
        missing = without_layer(shapes(config), adapter.targets)
        if 0 < len(missing) < len(adapter.targets):
            kept = tuple(target for target in adapter.targets if target not in missing)
            adapter = replace(adapter, targets=kept)
    counted, how = counts(config, adapter)
    said: dict[str, Any] = {
        "parameters_total": counted.total,
        "parameters_trainable": counted.trainable,
        "parameters_by_group": counted.by_group,
        "counted": how,
    }
    if missing:
        said["targets_without_layer"] = list(missing)
    if config.get("model_type") not in DEFAULTS:
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

"""What a config.json tells by itself: parameters, weights in each storage, and what padded training would need.

look(config, Adapter(rank=8))   ->  {"parameters_total": 7615616512, "parameters_trainable": 20185088, ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lathe.errors import InputError
from lathe.plan import meta
from lathe.plan.architecture import DEFAULTS, shapes
from lathe.plan.memory import weight_bytes
from lathe.plan.parameters import Adapter, of, saves_known
from lathe.records import Parameters

Counted = Literal["from its shapes", "by transformers, on the meta device"]


def read(path: Path) -> dict[str, Any]:
    """The configuration of a file, or of a model's folder. Raises InputError where it is none."""
    if path.is_dir():
        path = path / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"could not read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}", hint="Expected the config.json of a model.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} holds no JSON object", hint="Expected the config.json of a model.")
    return config


def counts(config: Mapping[str, Any], adapter: Adapter | None) -> tuple[Parameters, Counted]:
    """Exact counts of any configuration; what is not written out here is counted in a child process.

    Raises InputError on a configuration that nobody can count and on targets that match nothing, Unavailable without torch.
    """
    if config.get("model_type") in DEFAULTS:
        model = shapes(config)
        if adapter is None or saves_known(model, adapter.modules_to_save):
            return of(model, adapter), "from its shapes"
    elif "model_type" not in config:
        raise InputError("the configuration names no model_type", hint="Expected the whole config.json of a model.")
    return meta.counted(config, adapter), "by transformers, on the meta device"


def look(config: Mapping[str, Any], adapter: Adapter | None) -> dict[str, Any]:
    """What `lathe plan --config config.json --json` prints."""
    counted, how = counts(config, adapter)
    said: dict[str, Any] = {
        "parameters_total": counted.total,
        "parameters_trainable": counted.trainable,
        "parameters_by_group": counted.by_group,
        "counted": how,
    }
    if config.get("model_type") in DEFAULTS:
        model = shapes(config)
        said["weight_bytes"] = {storage: weight_bytes(model, counted, storage) for storage in ("fp32", "bf16", "nf4")}
    else:
        said["weight_bytes"] = {"fp32": counted.total * 4, "bf16": counted.total * 2}
    return said

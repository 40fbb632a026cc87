"""Counts of models whose shapes are not written out here: asked of transformers, in a child process that alone loads torch.

counted(config, Adapter(rank=8))        some 10 s; needs lathe-slm[train]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from lathe.errors import InputError, Unavailable
from lathe.plan.parameters import Adapter
from lathe.records import Parameters

CHILD = "lathe.engine.meta_count"
SECONDS = 300


def counted(config: Mapping[str, Any], adapter: Adapter | None) -> tuple[Parameters, tuple[str, ...]]:
    """Counts of any configuration that transformers knows, and adapter targets that match no layer; adapter None = full training.

    Raises Unavailable where torch, or a package that transformers wants for such a model, is not installed, InputError where
    transformers or peft refuse the configuration or the adapter.
    """
    kind = config.get("model_type")
    missing = [package for package in ("torch", "transformers", "peft") if find_spec(package) is None]
    if missing:
        raise Unavailable(
            f"a model of type {kind!r} is counted with transformers, and {', '.join(missing)} is not installed",
            hint="pip install 'lathe-slm[train]'",
        )
    question = {
        "config": dict(config),
        "rank": adapter.rank if adapter else None,
        "targets": (adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets))
        if adapter
        else None,
        "dora": adapter.dora if adapter else False,
        "modules_to_save": list(adapter.modules_to_save) if adapter else [],
    }
    if question["targets"] == ["all-linear"]:
        question["targets"] = "all-linear"
    try:
        done = subprocess.run(
            [sys.executable, "-m", CHILD],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired) as error:
        raise InputError(f"a model of type {kind!r} could not be counted: no answer came from transformers") from error
    said = f"a model of type {kind!r} could not be counted: {answer.get('fault')}"
    if answer.get("is_missing"):
        raise Unavailable(said)
    if "fault" in answer:
        raise InputError(said, hint=answer["hint"])
    found = Parameters(total=answer["total"], trainable=answer["trainable"], by_group=answer["by_group"])
    return found, tuple(answer["without_layer"])

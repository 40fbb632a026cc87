"""A locked recipe and rows, without any file; and what torch counts of a step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lathe.plan.rates import computes_bf16
from lathe.records import LockedRecipe, Recipe
from lathe.text.tokens import TokenSet

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 160,
    "vocab_size": 420,
    "tie_word_embeddings": True,
    "max_position_embeddings": 512,
}


PRECISIONS = (
    "fp32",
    pytest.param(
        "bf16",
        marks=pytest.mark.skipif(
            not computes_bf16(), reason="this processor emulates bf16, at a ninth of fp32's speed"
        ),
    ),
)
"""Of steps that take seconds where products are emulated. What they hold in memory is the same everywhere."""


def locked_recipe(base: str = "base", **parts: Any) -> LockedRecipe:
    fields = {"name": "a", "base": "b", "task": "json_extraction", "data": {"source": "lathe:edge_json"}, **parts}
    return LockedRecipe(inputs="lock", base_folder=base, recipe=Recipe.model_validate(fields))


def token_set(lengths: list[int], truncated_rows: int = 0) -> TokenSet:
    """Rows of these lengths whose last third is supervised; no two begin alike."""
    supervised = [np.arange(length) >= length - max(1, length // 3) for length in lengths]
    return TokenSet(
        ids_T=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        supervised_T=np.concatenate(supervised),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example_ids=tuple(str(number) for number in range(len(lengths))),
        truncated_rows=truncated_rows,
    )


def peak_of(step: Callable[[], object], folder: Path) -> int:
    """Bytes of tensors that torch's profiler sees at once in a step, beside gradients and tables that stay."""
    from torch.profiler import ProfilerActivity, profile

    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    seen.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    changes = [
        event["args"]["Bytes"]
        for event in sorted(events, key=lambda event: event.get("ts", 0))
        if event.get("name") == "[memory]"
    ]
    return int(np.cumsum(changes).max())

"""The order of the stages, and what each depends on.

    doctor -> teach -> prepare -> plan -> base-zero, base-few, rule -> train -> tuned -> decide -> ship -> report

Every stage's input hash follows from the locked recipe alone (`stage_hashes`): the recipe parts that the stage reads, the files and
versions behind them, and the hashes of the stages before it. A stage whose record carries its hash is done; everything else runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lathe.runs import stage_inputs

if TYPE_CHECKING:
    from lathe.records import LockedRecipe


@dataclass(frozen=True)
class Stage:
    """reads: recipe parts (dotted), `base` and `data` standing for the hashes of the files behind them, `base:sizes` for the same
    with only the size of the weights, `base:form` for the same and whether it is held in 4 bits; after: earlier stages;
    validating: read besides where `train.validate` is on; regardless: what changes nothing of the outcome, below what is read."""

    name: str
    reads: tuple[str, ...]
    after: tuple[str, ...] = ()
    validating: tuple[str, ...] = ()
    regardless: tuple[str, ...] = ()


VALIDATION = (
    "base:form", "evaluate.max_new_tokens", "evaluate.token_budget", "evaluate.precision", "evaluate.constrained",
    "evaluate.confidence", "train.threads",
)  # fmt: skip
GENERATION = (*VALIDATION, "evaluate.samples", "evaluate.temperature")
"""While a model is trained it answers greedily."""

STAGES: tuple[Stage, ...] = (
    Stage("doctor", ("trainer", "method.kind", "train.optimiser", "evaluate.constrained", "ship")),
    Stage("teach", ("teacher", "data:asked", "schema", "task")),
    Stage("prepare", ("data", "schema", "task")),
    Stage("plan", ("base:sizes", "method", "train", "evaluate", "seed", "trainer"), ("prepare",)),
    Stage("base-zero", GENERATION, ("prepare",)),
    Stage("base-few", (*GENERATION, "evaluate.few_shot"), ("prepare",)),
    Stage("rule", ("evaluate.confidence",), ("prepare",)),
    Stage(
        "train",
        ("base", "method", "train", "seed", "trainer"),
        ("prepare",),
        validating=VALIDATION,
        # Where weights lie is as little as how many ranks there are: a run goes on in shards and out of them.
        regardless=("train.shard",),
    ),
    Stage("tuned", GENERATION, ("prepare", "train")),
    Stage("decide", ("gates", "expect", "evaluate"), ("plan", "base-zero", "base-few", "rule", "train", "tuned")),
    Stage("ship", ("base", "ship"), ("train", "decide")),
    Stage("report", ("name", "publish"), ("doctor", "plan", "decide", "ship")),
)

ARMS = ("base-zero", "base-few", "rule", "tuned")
WITH_WEIGHTS = frozenset(stage.name for stage in STAGES if {"base", "base:form"} & {*stage.reads})
"""Stages that open the weights of the base."""


def part(recipe: Mapping[str, Any], dotted: str) -> Any:
    """The value at a dotted path of a dumped recipe."""
    value: Any = recipe
    for key in dotted.split("."):
        value = value[key]
    return value


def _without(recipe: dict[str, Any], dotted: Sequence[str]) -> dict[str, Any]:
    """A dumped recipe without the values at these dotted paths."""
    left = deepcopy(recipe)
    for one in dotted:
        *path, last = one.split(".")
        del part(left, ".".join(path))[last]
    return left


def stage_hashes(locked: LockedRecipe) -> dict[str, str]:
    """The input hash of every stage, from the locked recipe alone."""
    recipe = locked.recipe.model_dump(mode="json", by_alias=True)
    base = [[Path(file.path).name, file.sha256] for file in locked.base_files]
    files: dict[str, Any] = {
        "base": base,
        "base:form": {"files": base, "quantised": locked.recipe.method.quantised},
        "base:sizes": [
            *([file.path, file.sha256] for file in locked.base_files if not file.path.endswith(".safetensors")),
            ["weights", locked.weight_bytes],
        ],
        "data": [
            [Path(file.path).name, file.sha256] for file in (*locked.data_files, locked.taught) if file is not None
        ],
        "data:asked": [[Path(file.path).name, file.sha256] for file in locked.data_files],
    }
    hashes: dict[str, str] = {}
    for stage in STAGES:
        parts: dict[str, Any] = {"stage": stage.name, "packages": locked.packages}
        validating = stage.validating if locked.recipe.train.validate_.every is not None else ()
        read = _without(recipe, stage.regardless)
        for name in (*stage.reads, *validating):
            said = part(read, name.partition(":")[0])
            parts[name] = {"recipe": said, "files": files[name]} if name in files else said
        parts["after"] = {earlier: hashes[earlier] for earlier in stage.after}
        hashes[stage.name] = stage_inputs(parts)
    return hashes

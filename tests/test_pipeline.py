"""What runs again when something changes, key by key; and how a run's status follows from what is on disk."""

from __future__ import annotations

from typing import Any

import pytest

from lathe.pipeline import STAGES, smoke_recipe, stage_hashes
from lathe.records import FileHash, LockedRecipe, Recipe
from lathe.status import describe

BASE: dict[str, Any] = {
    "name": "a-run",
    "base": "lathe:nano",
    "task": "json_extraction",
    "data": {"source": "lathe:edge_json"},
}

EVERYTHING = {stage.name for stage in STAGES} - {"doctor"}
FROM_TRAINING = {"plan", "train", "tuned", "decide", "ship", "report"}
MODEL_ARMS = {"base-zero", "base-few", "tuned", "plan", "decide", "ship", "report"}
VERDICT = {"decide", "ship", "report"}

AFFECTED: dict[str, tuple[Any, set[str]]] = {
    "name": ("another", {"report"}),
    "base": ("elsewhere", EVERYTHING - {"prepare", "rule"}),
    "task": ("intent", EVERYTHING),
    "data.source": ("lathe:edge_intent", EVERYTHING),
    "data.rows": (100, EVERYTHING),
    "data.seed": (1, EVERYTHING),
    "data.split.validation": (0.2, EVERYTHING),
    "data.split.test": (0.3, EVERYTHING),
    "data.fields": ({"input": "prompt"}, EVERYTHING),
    "data.where": ({"status": "ok"}, EVERYTHING),
    "data.system": ({"coder": "Write code."}, EVERYTHING),
    "data.against": (["runs/earlier"], EVERYTHING),
    "data.limit": (10, EVERYTHING),
    "data.max_rejected": (0.01, EVERYTHING),
    "data.invariants": ({"*": ["a == b"]}, EVERYTHING),
    "schema.in_prompt": (False, EVERYTHING),
    "schema.from": ("schemas", EVERYTHING),
    "schema.key": ("schema", EVERYTHING),
    "method.kind": ("full", FROM_TRAINING | {"doctor"}),
    "method.rank": (8, FROM_TRAINING),
    "method.alpha": (16.0, FROM_TRAINING),
    "method.dropout": (0.1, FROM_TRAINING),
    "method.targets": (["q_proj"], FROM_TRAINING),
    "train.epochs": (1.0, FROM_TRAINING),
    "train.max_steps": (5, FROM_TRAINING),
    "train.examples_per_step": (8, FROM_TRAINING),
    "train.learning_rate": (1e-4, FROM_TRAINING),
    "train.warmup_share": (0.1, FROM_TRAINING),
    "train.schedule": ("linear", FROM_TRAINING),
    "train.weight_decay": (0.1, FROM_TRAINING),
    "train.clip_norm": (None, FROM_TRAINING),
    "train.token_budget": (2048, FROM_TRAINING),
    "train.max_tokens": (512, FROM_TRAINING),
    "train.truncate": (True, FROM_TRAINING),
    "train.checkpoint_every": (10, FROM_TRAINING),
    "train.keep_checkpoints": (1, FROM_TRAINING),
    "train.precision": ("fp32", FROM_TRAINING),
    "train.threads": (1, FROM_TRAINING | MODEL_ARMS),
    "train.processes": (2, FROM_TRAINING),
    "evaluate.few_shot": (4, {"base-few", "plan"} | VERDICT),
    "evaluate.max_new_tokens": (64, MODEL_ARMS),
    "evaluate.token_budget": (1024, MODEL_ARMS),
    "evaluate.confidence": (0.9, MODEL_ARMS | {"rule"}),
    "evaluate.alpha": (0.1, VERDICT | {"plan"}),
    "gates": ([{"metric": "json_exact", "at_least": 0.5}], VERDICT),
    "expect": ({"json_exact": [0.1, 0.2]}, VERDICT),
    "ship": (["merged"], {"ship", "report", "doctor"}),
    "publish.licence": ("apache-2.0", {"report"}),
    "publish.data_licence": ("CC-BY-4.0", {"report"}),
    "trainer": ("trl", FROM_TRAINING - {"plan"} | {"doctor"}),
    "seed": (1, FROM_TRAINING),
}
"""Recipe key -> another value, and the stages that must run again for it."""

FILE_KEYS = {"data.train", "data.validation", "data.test"}  # exclude data.source; their content hash is tested below


def keys(model: Any, prefix: str = "") -> set[str]:
    """Every dotted key that a recipe has."""
    found = set()
    for name, field in model.model_fields.items():
        dotted = prefix + (field.alias or name)
        inner = field.annotation
        if hasattr(inner, "model_fields"):
            found |= keys(inner, dotted + ".")
        else:
            found.add(dotted)
    return found


def with_key(dotted: str, value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = {key: dict(v) if isinstance(v, dict) else v for key, v in BASE.items()}
    place = changed
    *path, last = dotted.split(".")
    for key in path:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


def hashes(recipe: dict[str, Any], base: str = "b0", data: str = "d0") -> dict[str, str]:
    locked = LockedRecipe(
        inputs="",
        recipe=Recipe.model_validate(recipe),
        base_folder="",
        base_files=(FileHash(path="model.safetensors", sha256=base, num_bytes=1),),
        data_files=(FileHash(path="rows.jsonl", sha256=data, num_bytes=1),),
    )
    return stage_hashes(locked)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_every_recipe_key_is_listed_here() -> None:
    assert keys(Recipe) == set(AFFECTED) | FILE_KEYS


@pytest.mark.parametrize("key", AFFECTED)
def test_changing_a_key_runs_again_just_what_it_affects(key: str) -> None:
    value, expected = AFFECTED[key]
    assert changed(hashes(BASE), hashes(with_key(key, value))) == expected


def test_another_data_file_under_the_same_name_runs_everything_again() -> None:
    assert changed(hashes(BASE), hashes(BASE, data="d1")) == EVERYTHING


def test_other_weights_under_the_same_name_leave_the_data_alone() -> None:
    assert changed(hashes(BASE), hashes(BASE, base="b1")) == EVERYTHING - {"prepare", "rule", "plan"}


def test_a_smoke_run_is_small_and_writes_a_checkpoint_half_way() -> None:
    small = smoke_recipe(Recipe.model_validate(BASE))
    assert small.train.max_steps == 10
    assert small.train.checkpoint_every == 5
    assert small.data.limit is not None
    assert small.data.limit <= 50


@pytest.mark.parametrize(
    ("held", "silent", "verdict", "state"),
    [
        (True, 1.0, None, "running"),
        (True, 500.0, None, "stalled"),
        (False, 1.0, None, "stopped"),
        (False, 1.0, "deploy", "done"),
    ],
)
def test_the_state_of_a_run_follows_from_lock_heartbeat_and_verdict(
    held: bool, silent: float, verdict: str | None, state: str
) -> None:
    beat = {"stage": "train", "done": 40, "total": 100, "rate": 2.0, "beat": 1000.0 - silent}
    seen = describe("r", held, beat, verdict, now=1000.0)
    assert seen.state == state
    assert seen.seconds_left == (30.0 if held else None)

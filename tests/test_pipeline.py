"""What runs again when something changes, key by key; and how a run's status follows from what is on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from lathe import hub
from lathe.errors import InputError, RunInUse
from lathe.pipeline import Run
from lathe.pipeline.smoke import smoke_recipe
from lathe.pipeline.stages import STAGES, stage_hashes
from lathe.records import FileHash, LockedRecipe, Recipe
from lathe.status import describe
from small_folder import write_folder
from tiny_run import quiet

BASE: dict[str, Any] = {
    "name": "a-run",
    "base": "lathe:nano",
    "task": "json_extraction",
    "data": {"source": "lathe:edge_json"},
}

TAUGHT: dict[str, Any] = BASE | {
    "data": {"source": "teacher"},
    "teacher": {
        "endpoint": "http://localhost/v1",
        "model": "big",
        "instructions": "Write of trains.",
        "rows": 5,
        "price_per_million": {"input": 1.0, "output": 1.0},
    },
}
DRAWN: dict[str, Any] = BASE | {"evaluate": {"temperature": 0.7}}
FULL: dict[str, Any] = BASE | {"method": {"kind": "full"}}
BASES: dict[str, dict[str, Any]] = {"evaluate.samples": DRAWN, "train.shard": FULL}
"""Of keys that mean nothing in BASE."""
EVERYTHING = {stage.name for stage in STAGES} - {"doctor"}
FROM_TRAINING = {"plan", "train", "tuned", "decide", "ship", "report"}
MODEL_ARMS = {"base-zero", "base-few", "tuned", "plan", "decide", "ship", "report"}
VERDICT = {"decide", "ship", "report"}

AFFECTED: dict[str, tuple[Any, set[str]]] = {
    "name": ("another", {"report"}),
    "base": ("elsewhere", EVERYTHING - {"teach", "prepare", "rule"}),
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
    "data.variants": (2, EVERYTHING),
    "data.max_rejected": (0.01, EVERYTHING),
    "data.invariants": ({"*": ["a == b"]}, EVERYTHING),
    "teacher.endpoint": ("http://elsewhere/v1", {"teach"}),
    "teacher.model": ("bigger", {"teach"}),
    "teacher.inputs": ("texts.txt", {"teach"}),
    "teacher.instructions": ("Write of ships.", {"teach"}),
    "teacher.seeds": ("seeds.jsonl", {"teach"}),
    "teacher.rows": (7, {"teach"}),
    "teacher.rows_per_request": (3, {"teach"}),
    "teacher.max_new_tokens": (64, {"teach"}),
    "teacher.temperature": (0.5, {"teach"}),
    "teacher.price_per_million.input": (2.0, {"teach"}),
    "teacher.price_per_million.output": (2.0, {"teach"}),
    "teacher.max_cost": (1.0, {"teach"}),
    "teacher.answers": ("answers.jsonl", {"teach"}),
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
    "train.group_by_prefix": (True, FROM_TRAINING),
    "train.learning_rate": (1e-4, FROM_TRAINING),
    "train.warmup_share": (0.1, FROM_TRAINING),
    "train.schedule": ("linear", FROM_TRAINING),
    "train.optimiser": ("adamw8bit", FROM_TRAINING | {"doctor"}),
    "train.weight_decay": (0.1, FROM_TRAINING),
    "train.clip_norm": (None, FROM_TRAINING),
    "train.token_budget": (2048, FROM_TRAINING),
    "train.recompute": (True, FROM_TRAINING),
    "train.max_tokens": (512, FROM_TRAINING),
    "train.truncate": (True, FROM_TRAINING),
    "train.checkpoint_every": (10, FROM_TRAINING),
    "train.keep_checkpoints": (1, FROM_TRAINING),
    "train.precision": ("fp32", FROM_TRAINING),
    "train.threads": (1, FROM_TRAINING | MODEL_ARMS),
    "train.processes": (2, FROM_TRAINING),
    "train.shard": (True, {"plan"} | VERDICT),
    "train.validate.every": (5, FROM_TRAINING),
    "train.validate.rows": (8, FROM_TRAINING),
    "train.validate.patience": (3, FROM_TRAINING),
    "train.validate.stop_on_collapse": (True, FROM_TRAINING),
    "evaluate.few_shot": (4, {"base-few", "plan"} | VERDICT),
    "evaluate.max_new_tokens": (64, MODEL_ARMS),
    "evaluate.samples": (3, MODEL_ARMS),
    "evaluate.temperature": (0.5, MODEL_ARMS),
    "evaluate.token_budget": (1024, MODEL_ARMS),
    "evaluate.precision": ("bf16", MODEL_ARMS),
    "evaluate.constrained": (True, MODEL_ARMS | {"doctor"}),
    "evaluate.confidence": (0.9, MODEL_ARMS | {"rule"}),
    "evaluate.alpha": (0.1, VERDICT | {"plan"}),
    "gates": ([{"metric": "json_exact", "at_least": 0.5}], VERDICT),
    "expect": ({"json_exact": [0.1, 0.2]}, VERDICT),
    "ship": (["merged"], {"ship", "report", "doctor"}),
    "publish.licence": ("apache-2.0", {"report"}),
    "publish.data_licence": ("CC-BY-4.0", {"report"}),
    "trainer": ("trl", FROM_TRAINING | {"doctor"}),
    "seed": (1, FROM_TRAINING),
}
"""Recipe key -> another value, and the stages that must run again for it."""

FILE_KEYS = {"data.train", "data.validation", "data.test"}  # exclude data.source; their content hash is tested below


def keys(model: Any, prefix: str = "") -> set[str]:
    """Every dotted key that a recipe has."""
    found = set()
    for name, field in model.model_fields.items():
        dotted = prefix + (field.alias or name)
        inner = next(
            (kind for kind in (*get_args(field.annotation), field.annotation) if hasattr(kind, "model_fields")), None
        )
        if inner is not None and get_origin(field.annotation) is not tuple:
            found |= keys(inner, dotted + ".")
        else:
            found.add(dotted)
    return found


def with_key(dotted: str, value: Any, base: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(base)
    place = changed
    *path, last = dotted.split(".")
    for key in path:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


def hashes(recipe: dict[str, Any], base: str = "b0", data: str = "d0", taught: str = "t0") -> dict[str, str]:
    locked = LockedRecipe(
        inputs="",
        recipe=Recipe.model_validate(recipe),
        base_folder="",
        base_files=(FileHash(path="model.safetensors", sha256=base, num_bytes=1),),
        data_files=(FileHash(path="rows.jsonl", sha256=data, num_bytes=1),),
        taught=FileHash(path="data/taught.jsonl", sha256=taught, num_bytes=1),
    )
    return stage_hashes(locked)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_every_recipe_key_is_listed_here() -> None:
    assert keys(Recipe) == set(AFFECTED) | FILE_KEYS


@pytest.mark.parametrize("key", AFFECTED)
def test_changing_a_key_runs_again_just_what_it_affects(key: str) -> None:
    value, expected = AFFECTED[key]
    base = TAUGHT if key.startswith("teacher.") else BASES.get(key, BASE)
    assert changed(hashes(base), hashes(with_key(key, value, base))) == expected


@pytest.mark.parametrize("key", ["evaluate.max_new_tokens", "evaluate.token_budget", "evaluate.confidence"])
def test_how_answers_are_generated_belongs_to_training_where_it_validates(key: str) -> None:
    value, expected = AFFECTED[key]
    validating = BASE | {"train": {"validate": {"every": 5}}}
    also = {**validating, "evaluate": {key.partition(".")[2]: value}}
    assert changed(hashes(validating), hashes(also)) == expected | FROM_TRAINING


def test_a_base_in_four_bits_answers_anew_in_every_arm() -> None:
    """From lora to full the base's own answers stand: it is held as it was."""
    assert changed(hashes(BASE), hashes(with_key("method.kind", "qlora", BASE))) == FROM_TRAINING | MODEL_ARMS | {
        "doctor"
    }


def test_another_data_file_under_the_same_name_runs_everything_again() -> None:
    assert changed(hashes(BASE), hashes(BASE, data="d1")) == EVERYTHING


def test_a_teachers_rows_count_by_what_they_are_and_not_by_how_they_were_asked_for() -> None:
    """A higher limit on cost trains nothing again; other rows do."""
    assert changed(hashes(TAUGHT, taught="t0"), hashes(TAUGHT, taught="t1")) == EVERYTHING - {"teach"}


def test_other_weights_under_the_same_name_leave_the_data_alone() -> None:
    assert changed(hashes(BASE), hashes(BASE, base="b1")) == EVERYTHING - {"teach", "prepare", "rule", "plan"}


def test_a_smoke_run_is_small_and_writes_a_checkpoint_half_way() -> None:
    small = smoke_recipe(Recipe.model_validate(BASE))
    assert small.train.max_steps == 10
    assert small.train.checkpoint_every == 5
    assert small.data.limit is not None
    assert small.data.limit <= 50


def test_a_smoke_run_sets_no_key_that_has_no_effect_on_its_rows() -> None:
    of_a_file = Recipe.model_validate(BASE | {"data": {"source": "rows.jsonl"}})
    assert smoke_recipe(of_a_file).data.rows == of_a_file.data.rows
    assert smoke_recipe(Recipe.model_validate(BASE)).data.rows == 40


def test_a_smoke_run_validates_where_the_recipe_does_and_none_of_it_ends_the_training() -> None:
    recipe = BASE | {"train": {"validate": {"every": 50, "patience": 1, "stop_on_collapse": True}}}
    small = smoke_recipe(Recipe.model_validate(recipe)).train.validate_
    assert (small.every, small.patience, small.stop_on_collapse) == (5, None, False)
    assert smoke_recipe(Recipe.model_validate(BASE)).train.validate_.every is None


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
    beat |= {"metric": "json_exact", "value": 0.3, "best": 0.4, "best_step": 30, "validating": "3 of 64"}
    seen = describe("r", held, beat, verdict, now=1000.0)
    assert seen.state == state
    assert (seen.metric, seen.value, seen.best, seen.best_step) == ("json_exact", 0.3, 0.4, 30)
    assert seen.validating == ("3 of 64" if held else None)
    assert seen.seconds_left == (30.0 if held else None)


def test_of_how_many_rows_is_not_said_before_their_file_is_read() -> None:
    reading = {"stage": "prepare", "done": 40, "total": 0, "rate": 2.0, "beat": 999.0}
    seen = describe("r", True, reading, None, now=1000.0)
    assert (seen.done, seen.total, seen.seconds_left) == (40, None, None)


def test_a_run_that_was_opened_with_another_recipe_since_is_left_to_that(tmp_path: Path) -> None:
    """Between opening and the first stage the folder is free for a moment, in a notebook for hours."""
    first, second = (Run.start("demo", (f"seed={seed}",), root=tmp_path, smoke=True) for seed in (1, 2))
    assert first.folder.path == second.folder.path
    with pytest.raises(RunInUse, match="with another recipe"):
        first.go(until="prepare", progress=quiet)
    second.go(until="prepare", progress=quiet)
    assert second.folder.manifest.is_file()


def test_of_a_run_folder_new_and_smoke_make_another_run_of_the_recipe_that_it_was_locked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the same run: `lathe run RUN --smoke` would train for hours, and a damaged run could not be made again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(json.dumps(BASE | {"data": {"source": "rows.jsonl"}}))
    (tmp_path / "rows.jsonl").write_text('{"input": "one", "target": {"a": 1}}\n')
    first = Run.start("r.yaml", ("seed=7",))
    smoke = Run.start(first.folder.path, smoke=True)
    assert (smoke.folder.is_smoke, smoke.locked.recipe.seed) == (True, 7)
    assert smoke.locked.data_files == first.locked.data_files
    assert Run.start(smoke.folder.path, smoke=True).folder.path == smoke.folder.path
    again = Run.start(first.folder.path, ("seed=8",), new=True)
    assert (again.folder.is_smoke, again.locked.recipe.seed) == (False, 8)
    assert Run.start(smoke.folder.path, new=True).folder.is_smoke
    assert Run.open(first.folder.path).locked == first.locked
    first.folder.recipe.unlink()
    with pytest.raises(InputError, match="another run would begin with it"):
        Run.start(first.folder.path, new=True)


@pytest.mark.parametrize(
    ("method", "config", "says"),
    [
        ({}, {"model_type": "gpt2"}, "got model_type 'gpt2', expected one of: llama"),
        ({}, {"model_type": "mixtral"}, "got model_type 'mixtral', expected one of: llama"),
        ({"targets": ["qproj"]}, {"num_attention_heads": 2}, "the adapter target 'qproj' matches no layer"),
        ({"targets": ["lm_head"]}, {"num_attention_heads": 2}, "hold the output head"),
    ],
)
def test_a_base_that_cannot_be_trained_so_is_refused_before_rows_are_read_or_weights_fetched(
    tmp_path: Path, method: dict[str, Any], config: dict[str, Any], says: str
) -> None:
    """The rows are not there and the weights neither, which each would be an error of its own; the run folder is not made."""
    (write_folder(tmp_path / "base", **config) / "model.safetensors").unlink()
    recipe = BASE | {"base": "base", "data": {"source": "rows.jsonl"}, "method": method}
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    with pytest.raises(InputError, match=says):
        Run.start(tmp_path / "r.yaml", root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_hub_is_asked_once_for_the_base_of_a_plan(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its weights are wanted, a second time: what its configuration forbids is refused before they are fetched."""
    asked: list[bool] = []

    def snapshot(name: str, kind: str, patterns: Sequence[str], called: str) -> Path:
        asked.append("*.safetensors" in patterns)
        return tiny_base

    monkeypatch.setattr(hub, "snapshot", snapshot)
    recipe = tmp_path / "of-the-hub.yaml"
    recipe.write_text(json.dumps(BASE | {"base": "maker/small"}))
    locked = Run.start(recipe, root=tmp_path / "runs", weights=False).locked
    assert locked.base_revision == tiny_base.name
    assert asked == [False]
    Run.start(recipe, root=tmp_path / "runs")
    assert asked == [False, False, True]

"""A recipe becomes another trainer's configuration for the same job, and comes back as it was; what would change is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_parts import CONFIG, locked_recipe

from lathe.errors import RecipeError
from lathe.plan.foreign import TOOLS, adopt, exported, refuse_answered, row
from lathe.plan.foreign.export import WITHOUT
from lathe.records import Example, Message, Method, Plan, Recipe, TrainSpec
from lathe.resolve import parse_recipe

PlanOf = Callable[..., Plan]
ROWS = 320


def recipe(**parts: object) -> Recipe:
    return locked_recipe(**parts).recipe.model_copy(update={"base": "org/base"})


def there_and_back(tool: str, recipe: Recipe, plan: Plan, folder: Path) -> Recipe:
    file = folder / f"{tool}.yaml"
    file.write_text(exported(recipe, plan, tool, "train.jsonl", "validation.jsonl").text)  # type: ignore[arg-type]
    found = adopt(file, ROWS, CONFIG)
    assert found.told.unknown == ()
    assert found.facts["steps"] == plan.schedule.num_steps
    return parse_recipe(found.text, "back.yaml")


@pytest.mark.parametrize("tool", TOOLS)
@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rank=st.sampled_from([4, 8, 64]),
    dropout=st.sampled_from([0.0, 0.1]),
    targets=st.sampled_from(["all-linear", ["q_proj", "v_proj"]]),
    epochs=st.sampled_from([1.0, 2.5, 3.0]),
    limit=st.sampled_from([None, 15]),
    per_step=st.sampled_from([7, 12, 32]),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    warmup=st.sampled_from([0.0, 0.05, 0.3]),
    clip=st.sampled_from([None, 0.5]),
)
def test_a_recipe_comes_back_as_it_was(
    tool, plan_of: PlanOf, tmp_path: Path, rank, dropout, targets, epochs, limit, per_step, schedule, warmup, clip
) -> None:
    method = {"kind": "lora", "rank": rank, "alpha": 24.0, "dropout": dropout, "targets": targets}
    train = {
        "epochs": epochs, "max_steps": limit, "examples_per_step": per_step, "schedule": schedule, "warmup_share": warmup,
        "clip_norm": clip, "learning_rate": 3e-4, "weight_decay": 0.01, "checkpoint_every": 9, "keep_checkpoints": 3,
        "max_tokens": 400, "truncate": True, "precision": "bf16",
    }  # fmt: skip
    given_ = recipe(method=method, train=train, seed=7)
    plan = plan_of(lengths=[50] * ROWS, method=method, train=train, seed=7)
    back = there_and_back(tool, given_, plan, tmp_path)
    assert back.method == given_.method
    assert (back.base, back.seed) == ("org/base", 7)
    same = set(train) - {"epochs", "max_steps", "warmup_share"}
    assert {key: getattr(back.train, key) for key in same} == {key: getattr(given_.train, key) for key in same}
    again = plan_of(lengths=[50] * ROWS, method=method, train=back.train.model_dump(), seed=7)
    assert again.schedule == plan.schedule


OTHER = {
    "kind": "qlora", "rank": 8, "alpha": 7.0, "dropout": 0.2, "targets": ["q_proj"], "epochs": 2.0, "max_steps": 5,
    "examples_per_step": 8, "learning_rate": 1e-4, "warmup_share": 0.3, "schedule": "linear", "weight_decay": 0.1,
    "optimiser": "adamw8bit",
    "clip_norm": 0.5, "token_budget": 2048, "max_tokens": 300, "truncate": True, "checkpoint_every": 7, "keep_checkpoints": 5,
    "precision": "fp32", "threads": 1, "processes": 2, "recompute": True,
    "group_by_prefix": True, "shard": True,
    "validate_": {"every": 5},
}  # fmt: skip
"""Another value than the default for every key that decides training."""


@pytest.mark.parametrize("tool", TOOLS)
def test_every_key_of_training_is_said_or_listed_as_left_out_or_refused(tool, plan_of: PlanOf) -> None:
    parts = {"method": Method, "train": TrainSpec}
    assert set(OTHER) >= {key for kind in parts.values() for key in kind.model_fields}
    before = yaml.safe_load(exported(recipe(), plan_of(), tool, "t", "v").text)
    for part, kind in parts.items():
        for key in kind.model_fields:
            if key == "shard":  # goes with full training alone, which not every tool is given
                assert "train.shard" in WITHOUT
                continue
            changed = {part: {key: OTHER[key]}}
            if key == "validate_":
                with pytest.raises(RecipeError, match=r"train\.validate: the weights that answer validation rows best"):
                    exported(recipe(**changed), plan_of(**changed), tool, "t", "v")
                continue
            after = yaml.safe_load(exported(recipe(**changed), plan_of(**changed), tool, "t", "v").text)
            assert (after != before) or f"{part}.{key}" in WITHOUT, key


@pytest.mark.parametrize("truncate", [True, False])
def test_axolotl_is_told_not_to_leave_out_longer_rows(truncate: bool, plan_of: PlanOf, tmp_path: Path) -> None:
    train = {"max_tokens": 400, "truncate": truncate}
    plan = plan_of(lengths=[50] * ROWS, train=train)
    assert there_and_back("axolotl", recipe(train=train), plan, tmp_path).train.truncate is truncate


@pytest.mark.parametrize(
    ("tool", "kind"), [("trl", "qlora"), ("axolotl", "qlora"), ("unsloth", "qlora"), ("trl", "full")]
)
def test_other_methods_are_said_too(tool: str, kind: str, plan_of: PlanOf) -> None:
    method = {"kind": kind}
    said = yaml.safe_load(exported(recipe(method=method), plan_of(method=method), tool, "t", "v").text)  # type: ignore[arg-type]
    assert bool(said.get("load_in_4bit")) == (kind == "qlora")
    assert kind != "full" or (said["dtype"] == "float32" and "lora_r" not in said)


def test_answers_alone_carry_loss_in_each_tool(plan_of: PlanOf) -> None:
    example = Example(id="1", input="x", messages=(Message(role="user", content="Q"),), completion="A")
    assert row(example, "trl") == {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "A"}],
    }
    assert row(example, "axolotl")["messages"][-1] == {"role": "assistant", "content": "A"}
    said = yaml.safe_load(exported(recipe(), plan_of(), "axolotl", "t", "v").text)
    assert said["datasets"][0]["roles_to_train"] == ["assistant"]
    assert yaml.safe_load(exported(recipe(), plan_of(), "trl", "t", "v").text)["completion_only_loss"] is True


def test_what_would_be_another_job_is_refused_with_every_reason(plan_of: PlanOf) -> None:
    nano = recipe(method={"kind": "full"}).model_copy(update={"base": "lathe:nano"})
    with pytest.raises(RecipeError) as caught:
        exported(nano, plan_of(method={"kind": "full"}), "axolotl", "t", "v")
    assert {fault.key for fault in caught.value.faults} == {"base", "method.kind"}
    answered = Example(
        id="1",
        input="x",
        messages=(Message(role="user", content="Q"), Message(role="assistant", content="A")),
        completion="B",
    )
    refuse_answered([answered], "trl")
    with pytest.raises(RecipeError, match="earlier answers"):
        refuse_answered([answered], "axolotl")


def test_no_row_is_cut_where_the_recipe_cuts_none(plan_of: PlanOf) -> None:
    """TRL cuts at 1,024 tokens unless it is told."""
    plan = plan_of(lengths=[50, 480])
    assert yaml.safe_load(exported(recipe(), plan, "trl", "t", "v").text)["max_length"] == 480

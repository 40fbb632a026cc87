"""Configurations of other trainers become recipes, with their faults named and nothing that changes meaning lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from test_parameters import QWEN25_7B, SMOLLM2_135M

from lathe.errors import InputError, RecipeError
from lathe.plan.foreign import Adopted, adopt, is_foreign
from lathe.resolve import parse_recipe
from lathe.schedule.steps import warmup_steps

AXOLOTL = {
    "base_model": "org/base",
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_target_linear": True,
    "datasets": [{"path": "train.jsonl", "type": "alpaca"}],
    "val_set_size": 0.1,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 4,
    "num_epochs": 2,
    "learning_rate": "2e-4",
    "lr_scheduler": "cosine",
    "optimizer": "adamw_torch",
    "wandb_project": "x",
}
TRL = {
    "model_name_or_path": "org/base",
    "lora_r": 16,
    "lora_target_modules": ["q_proj", "v_proj"],
    "per_device_train_batch_size": 4,
    "num_train_epochs": 3,
    "validation_file": "v.jsonl",
}
LLAMA_FACTORY = {
    "model_name_or_path": "org/base",
    "stage": "sft",
    "finetuning_type": "lora",
    "lora_target": "all",
    "lora_rank": 8,
    "cutoff_len": 1024,
    "dataset": "mine",
    "val_size": 0.1,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
}


def adopted(folder: Path, config: dict[str, Any], rows: int | None = None, model: dict | None = None) -> Adopted:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    assert is_foreign(file)
    return adopt(file, rows, model)


def ids(found: Adopted) -> set[str]:
    return {one.id for one in found.findings}


@pytest.mark.parametrize(
    ("config", "tool"), [(AXOLOTL, "Axolotl"), (TRL, "transformers or TRL"), (LLAMA_FACTORY, "LLaMA-Factory")]
)
def test_a_sound_configuration_becomes_a_recipe_that_lathe_reads(tmp_path: Path, config: dict, tool: str) -> None:
    found = adopted(tmp_path, config, rows=1000)
    assert found.told.tool == tool
    assert found.findings == ()
    recipe = parse_recipe(found.text, "adopted.yaml")
    assert recipe.base == "org/base"
    assert recipe.method.rank == config.get("lora_r", config.get("lora_rank"))
    assert recipe.train.examples_per_step == found.facts["examples_per_step"]


def test_values_keep_their_meaning(tmp_path: Path) -> None:
    found = adopted(
        tmp_path, AXOLOTL | {"warmup_steps": 25, "save_steps": 50, "save_total_limit": 9, "weight_decay": 0.01}, 1000
    )
    recipe = parse_recipe(found.text, "adopted.yaml")
    assert recipe.method.targets == "all-linear"
    assert recipe.method.alpha == 16
    assert recipe.train.learning_rate == 2e-4
    assert recipe.train.epochs == 2
    assert found.facts["steps"] == 250
    assert recipe.train.warmup_share == pytest.approx(0.1)
    assert recipe.train.checkpoint_every == 50
    assert recipe.train.weight_decay == 0.01
    assert recipe.data.train == "train.jsonl"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rl": "dpo"}, "preference training"),
        ({"stage": "dpo"}, "expected sft"),
        ({"neftune_noise_alpha": 5}, "noise"),
        ({"trust_remote_code": True}, "never run"),
        ({"train_on_inputs": True}, "the prompt would carry loss"),
        ({"lora_modules_to_save": ["lm_head"]}, "whole modules"),
        ({"optimizer": "lion"}, "expected a form of adamw"),
        ({"lr_scheduler": "polynomial"}, "expected one of: cosine"),
        ({"adapter": "ia3"}, "expected lora, qlora or full"),
        ({"adam_beta1": 0.8}, "adam_beta1: 0.8"),
        ({"completion_only_loss": False}, "the prompt would carry loss"),
        ({"loss_type": "dft"}, "another loss"),
        ({"lr_scheduler_kwargs": {"num_cycles": 3}}, "another course of the learning rate"),
        ({"lora": {"use_dora": True}}, "DoRA"),
        ({"dataset_train_split": "train[:1%]"}, "part of the rows"),
        ({"default_system": "Answer in verse."}, "other prompts"),
    ],
)
def test_keys_that_change_meaning_are_refused(tmp_path: Path, more: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        adopted(tmp_path, AXOLOTL | more)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"split": "train[:10%]"}, "part of the rows"),
        ({"shards": 10}, "part of the rows"),
        ({"roles_to_train": ["user", "assistant"]}, "other turns than answers"),
        ({"train_on_eos": "all"}, "other ends"),
        ({"message_field_training": "train"}, "another mask"),
        ({"drop_system_message": True}, "lose their system turn"),
        ({"type": {"field_instruction": "q", "format": "Q: {instruction}"}}, "other prompts"),
    ],
)
def test_what_is_said_of_a_data_set_and_changes_its_rows_or_their_mask_is_refused(
    tmp_path: Path, said: dict, why: str
) -> None:
    with pytest.raises(RecipeError, match=why):
        adopted(tmp_path, AXOLOTL | {"datasets": [{"path": "train.jsonl"} | said]})


def test_what_is_said_of_a_data_set_without_effect_is_listed(tmp_path: Path) -> None:
    """The entry that Axolotl's own pages give for conversations."""
    data_set = {
        "path": "json", "data_files": "train.jsonl", "ds_type": "json", "type": "chat_template", "split": "train",
        "field_messages": "conversations", "message_property_mappings": {"role": "from", "content": "value"},
        "roles_to_train": ["assistant"], "train_on_eos": "turn", "sparkle": 1,
    }  # fmt: skip
    found = adopted(tmp_path, AXOLOTL | {"datasets": [data_set]})
    assert parse_recipe(found.text, "adopted.yaml").data.train == "train.jsonl"
    assert found.told.without_effect["datasets.message_property_mappings.role"].startswith("columns are told")
    assert found.told.without_effect["datasets.roles_to_train"] == "as it is here"
    assert found.told.unknown == ("datasets.sparkle",)


def test_the_arguments_as_transformers_writes_them_down_are_not_refused_for_being_written_down(tmp_path: Path) -> None:
    found = adopted(tmp_path, TRL | {"adam_beta1": 0.9, "lr_scheduler_kwargs": {}, "loss_type": "nll", "max_steps": -1})
    assert found.told.without_effect["adam_beta1"] == "as it is here"
    assert adopted(tmp_path, LLAMA_FACTORY | {"mask_history": True}).told.without_effect["mask_history"]


def test_a_data_set_of_the_hub_is_named_as_recipes_name_it(tmp_path: Path) -> None:
    (tmp_path / "acme" / "here").mkdir(parents=True)
    names = {"acme/orders": "hub:acme/orders", "acme/here": "acme/here", "acme/gone.jsonl": "acme/gone.jsonl"}
    for name, said in names.items():
        assert parse_recipe(adopted(tmp_path, TRL | {"dataset_name": name}).text, "adopted.yaml").data.train == said


def test_a_revision_of_the_base_is_kept(tmp_path: Path) -> None:
    for said, base in (
        ({}, "org/base"),
        ({"model_revision": "main"}, "org/base"),
        ({"model_revision": "v2"}, "org/base@v2"),
    ):
        assert parse_recipe(adopted(tmp_path, TRL | said).text, "adopted.yaml").base == base


def test_all_refusals_are_said_at_once_and_keys_switched_off_are_not(tmp_path: Path) -> None:
    off = {"trust_remote_code": False, "lora_model_dir": None, "use_dora": False}
    assert adopted(tmp_path, AXOLOTL | off).findings == ()
    with pytest.raises(RecipeError) as error:
        adopted(tmp_path, AXOLOTL | {"rl": "dpo", "use_rslora": True, "optimizer": "lion"})
    assert len(error.value.faults) == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"batch_size": 16}, "micro_batch_size: got 2, and batch_size says 16"),
        ({"lora_rank": 4}, "lora_rank: got 4, and lora_r says 8"),
    ],
)
def test_one_setting_under_two_names_is_not_guessed(tmp_path: Path, more: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        adopted(tmp_path, AXOLOTL | more)
    adopted(tmp_path, AXOLOTL | {"lora_rank": 8, "batch_size": None})


def test_ignored_and_unknown_keys_are_listed(tmp_path: Path) -> None:
    found = adopted(tmp_path, AXOLOTL | {"output_dir": "out", "quantum_flux": 3})
    assert found.told.without_effect["output_dir"] == "runs stand in runs/"
    assert "wandb_project" in found.told.without_effect
    assert found.told.unknown == ("quantum_flux",)
    assert "# Not known here, and left out: quantum_flux" in found.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"load_best_model_at_end": True}, {"every": 50}),
        ({"early_stopping_patience": 3}, {"every": 50, "patience": 3}),
        ({"eval_steps": 0.1, "load_best_model_at_end": True}, {"every": 25}),
        ({"eval_strategy": "epoch", "early_stopping_patience": 2}, {"every": 125, "patience": 2}),
        ({}, None),
        ({"eval_steps": 251, "load_best_model_at_end": True}, None),
    ],
)
def test_a_tool_that_keeps_the_best_weights_or_ends_early_becomes_validations(
    tmp_path: Path, more: dict, said: dict | None
) -> None:
    """1,000 rows in steps of 8 for two epochs: 250 steps."""
    found = adopted(tmp_path, AXOLOTL | {"save_steps": 50, "eval_steps": 50} | more, 1000)
    assert yaml.safe_load(found.text)["train"].get("validate") == said


@pytest.mark.parametrize(
    ("more", "id"),
    [
        ({"warmup_steps": 250}, "warmup_too_long"),
        ({"save_steps": 251}, "no_checkpoint"),
        ({"eval_steps": 251}, "no_evaluation"),
        ({"load_best_model_at_end": True, "save_steps": 50, "eval_steps": 40}, "best_is_void"),
        ({"save_steps": 50, "eval_steps": 50, "save_total_limit": 2}, "best_deleted"),
        ({"max_steps": 100}, "epochs_overruled"),
        ({"micro_batch_size": 0.5}, "fractional_count"),
        ({"warmup_steps": 0.1}, "fractional_count"),
        ({"load_in_4bit": True}, "four_bit_with_lora"),
        ({"fp16": True, "use_cpu": True}, "fp16_on_cpu"),
        ({"fp16": True, "bf16": True}, "two_precisions"),
        ({"optimizer": "paged_adamw_8bit"}, "optimiser_unpaged"),
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
        ({"datasets": [{"path": "a.jsonl", "type": "completion"}]}, "label_mask_ignored"),
        ({"val_set_size": 0}, "no_validation"),
        ({"test_rows": 31}, "few_test_rows"),
        ({"lora_r": 200}, "rank_beyond_matrix"),
        ({"lora_target_linear": False, "lora_target_modules": ["qproj"]}, "targets_match_nothing"),
        ({"sequence_len": 999_999}, "max_tokens_beyond_context"),
    ],
)
def test_each_contradiction_has_its_id(tmp_path: Path, more: dict, id: str) -> None:
    found = adopted(tmp_path, AXOLOTL | more, 1000, SMOLLM2_135M)
    assert ids(found) - {"padded_memory"} == {id}, found.findings
    assert all(one.fix for one in found.findings)
    assert f"#   {id}: " in found.text
    if "lora_target_modules" not in more:
        parse_recipe(found.text, "adopted.yaml")


def test_a_spot_machine_needs_checkpoints(tmp_path: Path) -> None:
    found = adopted(tmp_path, AXOLOTL | {"spot": True, "save_steps": 900}, 1000)
    assert ids(found) == {"no_checkpoint", "spot_without_checkpoint"}


def test_rows_are_counted_where_the_file_is_here(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n{"a": 3}')
    assert adopted(tmp_path, AXOLOTL | {"val_set_size": 0}).facts["train_rows"] == 3


def sixty_rows(folder: Path) -> None:
    (folder / "train.jsonl").write_text('{"a": 1}\n' * 60)


@pytest.mark.parametrize(("val_set_size", "trained", "share"), [(0.25, 45, 0.25), (0.26, 44, 0.26), (15, 45, 0.25)])
def test_rows_kept_for_validation_are_not_trained_on(
    tmp_path: Path, val_set_size: float, trained: int, share: float
) -> None:
    """Axolotl rounds a share up, and reads a number above 1 as rows."""
    sixty_rows(tmp_path)
    one_pass = AXOLOTL | {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "num_epochs": 1}
    found = adopted(tmp_path, one_pass | {"val_set_size": val_set_size})
    assert (found.facts["train_rows"], found.facts["steps"]) == (trained, trained)
    assert found.facts["validation_rows"] == 60 - trained
    split = parse_recipe(found.text, "adopted.yaml").data.split
    assert (split.validation, split.test) == (share, 0.2)


def test_a_split_leaves_rows_to_train_on_and_to_measure_on(tmp_path: Path) -> None:
    split = parse_recipe(adopted(tmp_path, AXOLOTL | {"val_set_size": 0.9}).text, "adopted.yaml").data.split
    assert (split.validation, split.test) == (0.9, pytest.approx(0.05))


def test_rows_of_validation_whose_share_is_not_known_are_named_in_the_recipe(tmp_path: Path) -> None:
    found = adopted(tmp_path, AXOLOTL | {"val_set_size": 500})
    assert "# val_set_size: 500 rows" in found.text
    assert parse_recipe(found.text, "adopted.yaml").data.split.validation == 0.1


def test_only_the_rows_up_to_a_limit_are_counted(tmp_path: Path) -> None:
    sixty_rows(tmp_path)
    assert adopted(tmp_path, LLAMA_FACTORY | {"dataset": "train.jsonl", "max_samples": 20}).facts["train_rows"] == 18


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (
            AXOLOTL | {"datasets": [{"path": "a.jsonl", "type": "alpaca"}, {"path": "b.jsonl", "type": "alpaca"}]},
            "datasets",
        ),
        (AXOLOTL | {"test_datasets": [{"path": "a.jsonl"}, {"path": "b.jsonl"}]}, "test_datasets"),
        (LLAMA_FACTORY | {"dataset": "a.jsonl, b.jsonl"}, "dataset"),
        (LLAMA_FACTORY | {"eval_dataset": "a.jsonl,b.jsonl"}, "eval_dataset"),
    ],
)
def test_several_data_sets_are_refused_with_words_on_how_to_join_them(tmp_path: Path, config: dict, key: str) -> None:
    with pytest.raises(RecipeError) as error:
        adopted(tmp_path, config)
    (fault,) = error.value.faults
    assert fault.key == key
    assert "got 2 data sets (a.jsonl, b.jsonl), expected one" in fault.message
    assert "cat a.jsonl b.jsonl > " in (fault.hint or "")


def test_a_comma_is_part_of_a_files_name_where_it_does_not_separate_data_sets(tmp_path: Path) -> None:
    recipe = parse_recipe(adopted(tmp_path, TRL | {"train_file": "a,b.jsonl"}).text, "adopted.yaml")
    assert recipe.data.train == "a,b.jsonl"


@pytest.mark.parametrize(
    "config",
    [
        AXOLOTL | {"sample_packing": True, "sequence_len": 2048},
        TRL | {"packing": True, "max_length": 2048},
        LLAMA_FACTORY | {"neat_packing": True, "cutoff_len": 2048},
    ],
)
def test_steps_of_packs_are_not_counted_as_steps_of_rows(tmp_path: Path, config: dict) -> None:
    """A warm-up of 9,999 steps would be too long for steps of rows, and nobody knows of how many packs."""
    found = adopted(tmp_path, config | {"warmup_steps": 9999}, rows=60)
    assert ids(found) == {"packs_not_rows"}
    assert [found.facts[name] for name in ("steps", "steps_per_epoch", "examples_per_step")] == [None, None, None]
    (said,) = found.findings
    assert "its steps count packs of up to 2,048 tokens, not rows" in said.message
    assert f"like it would be {found.facts['packs_per_step'] * 2048:,} / the mean tokens of a row" in said.fix
    assert "of 60 rows" not in found.text
    parse_recipe(found.text, "adopted.yaml")


def test_a_limit_of_steps_is_known_of_packs_too_and_its_epochs_are_not(tmp_path: Path) -> None:
    found = adopted(tmp_path, AXOLOTL | {"sample_packing": True, "max_steps": 40, "save_steps": 50}, rows=60)
    assert (found.facts["steps"], found.facts["epochs"]) == (40, None)
    assert ids(found) == {"packs_not_rows", "no_checkpoint"}


@pytest.mark.parametrize(
    "config",
    [
        AXOLOTL | {"adapter": "qlora", "load_in_4bit": True},
        LLAMA_FACTORY | {"quantization_bit": 4},
        TRL | {"load_in_4bit": True},
    ],
)
def test_a_4_bit_base_in_each_tools_own_words_is_qlora(tmp_path: Path, config: dict) -> None:
    found = adopted(tmp_path, config)
    assert parse_recipe(found.text, "adopted.yaml").method.kind == "qlora"
    assert found.findings == ()


@pytest.mark.parametrize("more", [{"quantization_bit": 8}, {"load_in_8bit": True}])
def test_bases_in_other_bits_are_refused(tmp_path: Path, more: dict) -> None:
    with pytest.raises(RecipeError, match="not trained here"):
        adopted(tmp_path, LLAMA_FACTORY | more)


BARE = {"lora_r": 4, "per_device_train_batch_size": 8}


@pytest.mark.parametrize(
    ("config", "train", "seed"),
    [
        (
            {"base_model": "org/base", "adapter": "lora", "lora_r": 4, "micro_batch_size": 8, "learning_rate": 1e-4},
            {"epochs": 1, "schedule": "cosine", "warmup_share": 0.03, "learning_rate": 1e-4, "max_tokens": 512},
            42,
        ),
        (
            {"model_name_or_path": "org/base"} | BARE,
            {"epochs": 3, "schedule": "linear", "warmup_share": 0, "learning_rate": 2e-5, "max_tokens": 1024},
            42,
        ),
        (
            {"model_name_or_path": "org/base", "finetuning_type": "lora", "seed": 0} | BARE,
            {"epochs": 3, "schedule": "linear", "warmup_share": 0, "learning_rate": 5e-5, "max_tokens": 2048},
            0,
        ),
    ],
)
def test_what_is_not_said_is_what_each_tool_does(tmp_path: Path, config: dict, train: dict, seed: int) -> None:
    found = adopted(tmp_path, config, 800)
    recipe = yaml.safe_load(found.text)
    assert {key: recipe["train"][key] for key in train} == train
    assert recipe["seed"] == seed
    assert "# not said: its default" in found.text


def test_trls_adapters_have_defaults_of_their_own_and_pefts_others(tmp_path: Path) -> None:
    of_trl = adopted(tmp_path, {"model_name_or_path": "org/base", "use_peft": True, "max_seq_length": 512})
    of_peft = adopted(tmp_path, {"model_name_or_path": "org/base", "max_seq_length": 512, "r": 4})
    said = [yaml.safe_load(one.text)["method"] for one in (of_trl, of_peft)]
    assert [(one["rank"], one["alpha"], one["dropout"]) for one in said] == [(16, 32, 0.05), (4, 8, 0)]


def test_adapters_that_are_switched_off_are_none(tmp_path: Path) -> None:
    assert parse_recipe(adopted(tmp_path, TRL | {"use_peft": False}).text, "adopted.yaml").method.kind == "full"


@pytest.mark.parametrize(
    ("config", "warmup"),
    [
        (AXOLOTL | {"num_epochs": 1}, 3),
        (AXOLOTL | {"num_epochs": 40}, 100),
        (AXOLOTL | {"warmup_ratio": 0.045}, 11),
        (AXOLOTL | {"num_epochs": 0.3}, 2),
        (AXOLOTL | {"warmup_steps": 0}, 0),
        (AXOLOTL | {"lr_scheduler": "constant"}, 0),
        (TRL | {"warmup_ratio": 0.045}, 34),
        (TRL | {"warmup_steps": 0.1}, 75),
    ],
)
def test_warm_up_has_each_tools_own_rule(tmp_path: Path, config: dict, warmup: int) -> None:
    """1,000 rows: 125 steps a pass in Axolotl's, 250 in TRL's. A single step of warm-up is two in Axolotl."""
    found = adopted(tmp_path, config, 1000)
    assert found.findings == ()
    assert warmup_steps(found.facts["steps"], parse_recipe(found.text, "adopted.yaml").train.warmup_share) == warmup


def test_axolotl_counts_its_steps_over_all_epochs_at_once(tmp_path: Path) -> None:
    """250 x 3 / 8 = 93.75, where passes of 32 steps would be 96."""
    assert adopted(tmp_path, AXOLOTL | {"num_epochs": 3}, 250).facts["steps"] == 94


def test_saves_and_evaluations_beyond_the_steps_are_said_to_come_at_the_end_at_most(tmp_path: Path) -> None:
    said = [one.message for one in adopted(tmp_path, AXOLOTL | {"save_steps": 251, "eval_steps": 251}, 1000).findings]
    assert [message.split(":")[0] for message in said] == [
        "no checkpoint will be written before the end",
        "no evaluation will happen before the end",
    ]
    assert all("transformers 5.23 adds the last step" in message for message in said)


def test_files_are_named_as_the_recipes_folder_sees_them(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "v.jsonl").write_text('{"a": 1}\n')
    sixty_rows(tmp_path)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(TRL | {"train_file": "train.jsonl", "model_name_or_path": "base"}))
    beside, below, above = (
        parse_recipe(adopt(file, recipe_folder=folder).text, "adopted.yaml")
        for folder in (tmp_path, tmp_path / "sub", tmp_path.parent)
    )
    assert (beside.data.train, beside.data.validation, beside.base) == ("train.jsonl", "v.jsonl", "base")
    assert below.data.train == str(tmp_path / "train.jsonl")
    assert (below.data.validation, below.base) == (str(tmp_path / "v.jsonl"), str(tmp_path / "base"))
    assert above.data.train == f"{tmp_path.name}/train.jsonl"


def test_what_is_not_here_keeps_its_name(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(LLAMA_FACTORY))
    recipe = parse_recipe(adopt(file, recipe_folder=tmp_path / "sub").text, "adopted.yaml")
    assert (recipe.data.train, recipe.base) == ("mine", "org/base")


@pytest.mark.parametrize("name", ["x\n\nseed: 9", "a: b", "\u2028seed: 9", "'", "null", "- 1"])
def test_nothing_in_a_configuration_can_write_keys_of_the_recipe(tmp_path: Path, name: str) -> None:
    found = adopted(
        tmp_path, AXOLOTL | {"base_model": name, "run_name": name, name: 3, "test_datasets": [{"path": name}]}
    )
    recipe = parse_recipe(found.text, "adopted.yaml")
    assert recipe.base == name
    assert recipe.seed == 42


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", '[{"prompt": "a", "completion": "b"}]'),
        ("row.json", '{"prompt": "a"}'),
        ("rows.jsonl", '{"base_model": "a"}'),
    ],
)
def test_rows_are_no_foreign_configurations(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert not is_foreign(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\nbase: lathe:nano\ntask: t\n", "has no key of another trainer's configuration"),
        ("base_model: [\n", r"a.yaml:2: cannot be read: "),
        ("", "holds no mapping of keys"),
        ("base_model: !!python/name:os.system a\n", "could not determine a constructor"),
        (
            "base_model: a\nlora_r: 4\nlora_r: 8\n",
            "a.yaml:3: cannot be read: the key lora_r stands twice, expected it once",
        ),
        ("base_model: a\nx: &x {y: *x}\n", "an alias stands here"),
        ("base_model: a\nx: " + "{a: " * 3000 + "1" + "}" * 3000, "cannot be read"),
    ],
)
def test_yaml_that_is_no_configuration_says_why_and_is_not_taken_for_rows(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        is_foreign(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"num_epochs": 0}, "num_epochs: got 0, expected a number above 0"),
        ({"micro_batch_size": 0}, "micro_batch_size: got 0, expected a number above 0"),
        ({"learning_rate": 0}, "learning_rate: got 0, expected a number above 0"),
        ({"lora_r": 8.5}, "lora_r: got 8.5, expected a whole number above 0"),
        ({"val_set_size": -1}, "val_set_size: got -1, expected a number of at least 0"),
        ({"base_model": ["a", "b"]}, "expected a folder or a Hub id"),
        ({"seed": -1}, "seed: got -1, expected a whole number of at least 0"),
    ],
)
def test_a_number_that_no_tool_trains_with_is_refused_and_not_replaced(
    tmp_path: Path, said: dict, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        adopted(tmp_path, AXOLOTL | said)


@pytest.mark.parametrize("said", [{"max_steps": float("inf")}, {"num_epochs": float("nan")}, {"learning_rate": True}])
def test_what_is_no_finite_number_is_none(tmp_path: Path, said: dict) -> None:
    with pytest.raises(InputError, match="expected a number"):
        adopted(tmp_path, AXOLOTL | said)


def test_a_small_learning_rate_keeps_all_its_digits(tmp_path: Path) -> None:
    for rate in (1.23456789e-7, 3e-5, 1e-12):
        assert (
            parse_recipe(adopted(tmp_path, AXOLOTL | {"learning_rate": rate}).text, "a.yaml").train.learning_rate
            == rate
        )


def test_a_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lora_r: got 'many'"):
        adopted(tmp_path, AXOLOTL | {"lora_r": "many"})


PREDECESSORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "predecessor_configs"
needs_predecessors = pytest.mark.skipif(not PREDECESSORS.is_dir(), reason="the shared configurations are not here")


@needs_predecessors
def test_the_unified_recipe_is_known_for_what_it_is() -> None:
    found = adopt(PREDECESSORS / "unified_training_args.json", config=QWEN25_7B)
    said = {one.id: one.message for one in found.findings}
    assert said["warmup_too_long"].startswith("warm-up 50 of 45 steps")
    assert said["no_checkpoint"].startswith("no checkpoint will be written")
    assert said["no_evaluation"].startswith("no evaluation will happen")
    assert {"best_is_void", "few_test_rows"} <= said.keys()


@needs_predecessors
def test_the_axolotl_recipe_is_known_for_what_it_is() -> None:
    found = adopt(PREDECESSORS / "clituner_axolotl.yaml", rows=1388, config=QWEN25_7B)
    assert found.facts["epochs"] == 1.441
    assert found.facts["steps_per_epoch"] == 347
    assert found.facts["parameters_trainable"] == 5_046_272
    assert {"epochs_overruled", "four_bit_with_lora", "label_mask_ignored", "best_deleted"} <= ids(found)


@needs_predecessors
@pytest.mark.parametrize(
    "file", sorted(PREDECESSORS.glob("*.*l")) + sorted(PREDECESSORS.glob("*.json")), ids=lambda f: f.stem
)
def test_every_predecessor_becomes_a_recipe(file: Path) -> None:
    parse_recipe(adopt(file).text, "adopted.yaml")


def test_the_steps_of_three_real_runs(tmp_path: Path) -> None:
    """Observed with recent transformers: 48, 45 and 24 steps."""
    for rows, micro, accumulation, steps in ((503, 4, 8, 48), (238, 2, 8, 45), (238, 2, 16, 24)):
        more = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
        assert adopted(tmp_path, TRL | more, rows).facts["steps"] == steps


def test_padded_fp32_batches_name_the_logits(tmp_path: Path) -> None:
    more = {"per_device_train_batch_size": 8, "max_length": 2048, "gradient_checkpointing": True}
    (one,) = adopted(tmp_path, TRL | more, 503, SMOLLM2_135M).findings
    assert one.id == "padded_memory"
    assert "most of it logits: 12.9 GB" in one.message

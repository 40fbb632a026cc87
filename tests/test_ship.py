"""Training and shipping as stages of a run: what is measured is what is shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lathe import ship as shipping
from lathe import train as training
from lathe.errors import DataError, InputError
from lathe.records import Bundle, DataSpec, LockedRecipe, Method, Recipe, TrainResult, TrainSpec
from lathe.runs import RunFolder, commit_rows, file_sha256
from lathe.text.tokens import TokenSet
from tiny_base import examples, write_base

pytestmark = pytest.mark.usefixtures("one_thread")


def quiet(_: Mapping[str, Any]) -> None:
    pass


def locked(base: Path, **changes: Any) -> LockedRecipe:
    parts: dict[str, Any] = {
        "method": Method(rank=4),
        "train": TrainSpec(epochs=2, examples_per_step=4, token_budget=200, learning_rate=1e-2, threads=1),
        "ship": ("adapter", "merged"),
    }
    recipe = Recipe(
        name="small",
        base=str(base),
        task="json_extraction",
        data=DataSpec(source="lathe:edge_json"),
        **(parts | changes),
    )
    return LockedRecipe(inputs="locked", recipe=recipe, base_folder=str(base))


def new_run(folder: Path, rows: int = 8) -> RunFolder:
    run = RunFolder(folder)
    commit_rows(run.rows("train"), examples(rows))
    return run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base stored in bf16, as most are."""
    return write_base(tmp_path_factory.mktemp("models") / "bf16", dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, base: Path) -> tuple[RunFolder, Bundle]:
    run = new_run(tmp_path_factory.mktemp("runs") / "run")
    training.train(run, locked(base), "train-inputs", quiet)
    return run, shipping.ship(run, locked(base), "ship-inputs", quiet)


def test_training_writes_its_record_with_the_stage_s_inputs(shipped: tuple[RunFolder, Bundle]) -> None:
    run, _ = shipped
    result = run.load(run.train_result, TrainResult)
    assert result.inputs == "train-inputs"
    assert result.num_steps == 4
    assert result.seconds > result.train_seconds > 0
    assert (run.path / result.adapter_folder / "adapter_model.safetensors").is_file()
    assert TokenSet.load(run.tokens).example_ids == tuple(f"row-{i}" for i in range(8))


def test_the_same_rows_give_the_same_token_file(shipped: tuple[RunFolder, Bundle], base: Path, tmp_path: Path) -> None:
    other = new_run(tmp_path / "other")
    training.train(other, locked(base), "train-inputs", quiet)
    assert other.tokens.read_bytes() == shipped[0].tokens.read_bytes()


def test_every_shipped_file_stands_with_its_hash(shipped: tuple[RunFolder, Bundle]) -> None:
    run, bundle = shipped
    assert run.load(run.bundle_record, Bundle) == bundle
    assert bundle.inputs == "ship-inputs"
    assert [one.kind for one in bundle.shipped] == ["adapter", "merged"]
    for one in bundle.shipped:
        folder = run.path / one.path
        assert sorted(file.path for file in one.files) == sorted(path.name for path in folder.iterdir())
        for file in one.files:
            assert file.sha256 == file_sha256(folder / file.path)
            assert file.num_bytes == (folder / file.path).stat().st_size


def test_the_shipped_adapter_is_the_measured_one_and_loads_with_peft(
    shipped: tuple[RunFolder, Bundle], base: Path
) -> None:
    run, bundle = shipped
    folder = run.path / bundle.shipped[0].path
    assert (folder / "adapter_model.safetensors").read_bytes() == (
        run.adapter / "adapter_model.safetensors"
    ).read_bytes()
    assert bundle.shipped[0].checks["same_bytes_as_measured"] is True
    assert bundle.shipped[0].checks["max_logit_difference"] == 0.0
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)


def test_the_merged_model_is_base_plus_adapter_rounded_once(shipped: tuple[RunFolder, Bundle], base: Path) -> None:
    run, bundle = shipped
    folder = run.path / bundle.shipped[1].path
    name = "model.layers.1.mlp.down_proj.weight"
    adapter = load_file(run.adapter / "adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.model.layers.1.mlp.down_proj.lora_{part}.weight"] for part in "AB")
    expected = load_file(base / "model.safetensors")[name].float() + (b @ a) * (32 / 4)
    found = load_file(folder / "model.safetensors")[name]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.to(torch.bfloat16))
    assert load_file(folder / "model.safetensors").keys() == load_file(base / "model.safetensors").keys()
    checks = bundle.shipped[1].checks
    assert checks["dtype"] == "bfloat16"
    assert 0 < checks["max_logit_difference"] < 0.5
    assert checks["same_next_token"] > 0.9


def test_the_merged_folder_is_a_whole_model(shipped: tuple[RunFolder, Bundle], base: Path) -> None:
    run, bundle = shipped
    folder = run.path / bundle.shipped[1].path
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (base / name).read_bytes()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    AutoModelForCausalLM.from_pretrained(folder)


def test_full_fine_tuning_ships_merged_and_refuses_an_adapter(base: Path, tmp_path: Path) -> None:
    run, recipe = new_run(tmp_path / "full"), locked(base, method=Method(kind="full"), ship=("merged",))
    training.train(run, recipe, "inputs", quiet)
    (one,) = shipping.ship(run, recipe, "inputs", quiet).shipped
    assert one.kind == "merged"
    with pytest.raises(InputError, match="no adapter"):
        shipping.ship(run, locked(base, method=Method(kind="full")), "inputs", quiet)


def test_an_unknown_export_is_named_before_anything_is_written(base: Path, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    with pytest.raises(InputError, match="mergd"):
        shipping.ship(run, locked(base, ship=("adapter", "mergd")), "inputs", quiet)
    assert not run.bundle.exists()


def test_no_rows_is_a_data_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to train on"):
        training.train(new_run(tmp_path / "run", rows=0), locked(base), "inputs", quiet)


def test_longer_rows_stop_the_stage_unless_the_recipe_truncates_and_then_they_are_counted(
    base: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path / "run")
    lengths = {"epochs": 1.0, "examples_per_step": 4, "threads": 1, "max_tokens": 50}
    with pytest.raises(InputError, match="longer than 50 tokens"):
        training.train(run, locked(base, train=TrainSpec(**lengths)), "inputs", quiet)
    assert not run.tokens.exists()
    result = training.train(run, locked(base, train=TrainSpec(**lengths, truncate=True)), "inputs", quiet)
    assert result.truncated_rows == sum(length == 50 for length in TokenSet.load(run.tokens).lengths) > 0

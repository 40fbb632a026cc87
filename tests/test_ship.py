"""Shipping as a stage of a run: what was measured is what is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from lathe import plan
from lathe import ship as shipping
from lathe import train as training
from lathe.contracts import Model
from lathe.engine.model import load_base
from lathe.errors import InputError, Unavailable
from lathe.pipeline import Run
from lathe.records import Bundle, EvalReport, EvaluateSpec, Method
from lathe.runs import RunFolder
from lathe.storage import file_sha256
from tiny_base import write_base
from tiny_run import locked, new_run, quiet

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base stored in bf16, as most are."""
    return write_base(tmp_path_factory.mktemp("models") / "bf16", dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, base: Path) -> tuple[RunFolder, Bundle]:
    run = new_run(tmp_path_factory.mktemp("runs") / "run")
    training.train(run, locked(base), "train-inputs", quiet)
    return run, shipping.ship(run, locked(base), "ship-inputs", quiet)


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


def test_what_was_shipped_before_goes_when_the_run_ships_again(base: Path, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    training.train(run, locked(base), "train-inputs", quiet)
    shipping.ship(run, locked(base), "ship-inputs", quiet)
    shipping.ship(run, locked(base, ship=("adapter",)), "other-inputs", quiet)
    assert [path.name for path in run.bundle.iterdir()] == ["adapter"]
    shipping.withdraw(run)
    assert not run.bundle.exists()
    assert not run.bundle_record.exists()


def test_a_form_that_cannot_hold_the_base_leaves_what_was_shipped_before(tmp_path: Path) -> None:
    other = write_base(tmp_path / "base", "olmo2", pad_token_id=0)
    run = new_run(tmp_path / "run")
    training.train(run, locked(other), "t", quiet)
    bundle = shipping.ship(run, locked(other, ship=("adapter",)), "s1", quiet)
    with pytest.raises(InputError, match="ship names gguf_f16: a model of type olmo2 cannot be written as GGUF"):
        shipping.ship(run, locked(other, ship=("merged", "gguf_f16")), "s2", quiet)
    assert run.load(run.bundle_record, Bundle) == bundle
    assert [folder.name for folder in run.bundle.iterdir()] == ["adapter"]


@pytest.mark.parametrize(("until", "told"), [(None, True), ("train", True), ("plan", False)])
def test_a_form_that_cannot_hold_the_base_is_told_before_anything_is_measured(
    tmp_path: Path, until: str | None, told: bool
) -> None:
    other = write_base(tmp_path / "base", "olmo2", pad_token_id=0, max_position_embeddings=4096)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: odd\nbase: {other}\ntask: json_extraction\ndata: {{source: 'lathe:edge_json', rows: 40}}\n"
        "train: {max_steps: 1}\nship: [gguf_f16]\n"
    )
    run = Run.start(recipe, root=tmp_path / "runs")
    if told:
        with pytest.raises(InputError, match="ship names gguf_f16"):
            run.go(until=until)
    else:
        run.go(until=until)
    assert not (run.folder.path / "eval").exists()
    assert not run.folder.train_result.exists()


def test_full_fine_tuning_ships_merged_and_refuses_an_adapter(base: Path, tmp_path: Path) -> None:
    run, recipe = new_run(tmp_path / "full"), locked(base, method=Method(kind="full"), ship=("merged",))
    training.train(run, recipe, "inputs", quiet)
    (one,) = shipping.ship(run, recipe, "inputs", quiet).shipped
    assert one.kind == "merged"
    with pytest.raises(InputError, match="no adapter"):
        shipping.ship(run, locked(base), "inputs", quiet)


@pytest.mark.parametrize("own", [True, False], ids=["own head", "the embedding twice"])
def test_a_head_of_its_own_is_planned_trained_and_shipped_though_the_configuration_ties_it(
    tmp_path: Path, own: bool
) -> None:
    """transformers 5 loads both matrices where they differ; a program that goes by the shipped config.json must not drop one."""
    folder = write_base(tmp_path / "base")
    stored = load_file(folder / "model.safetensors")
    embedding = stored["model.embed_tokens.weight"]
    stored["lm_head.weight"] = embedding.flip(0) if own else embedding.clone()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True
    run, recipe = new_run(tmp_path / "run"), locked(folder, method=Method(kind="full"), ship=("merged",))
    foretold = plan.plan(run, recipe, "plan-inputs", quiet)
    trained = training.train(run, recipe, "train-inputs", quiet)
    assert foretold.parameters.trainable == trained.trainable_parameters
    assert foretold.parameters.by_group["head"] == own * embedding.numel()
    (one,) = shipping.ship(run, recipe, "ship-inputs", quiet).shipped
    shipped = run.path / one.path
    assert json.loads((shipped / "config.json").read_text())["tie_word_embeddings"] is not own
    assert ("lm_head.weight" in load_file(shipped / "model.safetensors")) is own
    if own:
        heads = [part.get_output_embeddings().weight for part in map(load_base, (run.adapter, shipped))]
        assert torch.equal(*heads)
        assert not torch.equal(heads[0], embedding)


def test_what_was_measured_in_8_bits_answers_again_as_it_is_shipped(base: Path, tmp_path: Path) -> None:
    run, recipe = new_run(tmp_path / "run"), locked(base, evaluate=EvaluateSpec(precision="int8"))
    training.train(run, recipe, "inputs", quiet)
    asked: dict[str, Model] = {}

    def measure(arm: str, model: Model) -> EvalReport:
        asked[arm] = model
        raise Unavailable(f"{arm} answers no more here")

    for kind in ("adapter", "merged"):
        alone = recipe.model_copy(update={"recipe": recipe.recipe.model_copy(update={"ship": (kind,)})})
        with pytest.raises(Unavailable, match=kind):
            shipping.ship(run, alone, "inputs", quiet, shipping.Again(measure, judge=pytest.fail))
    assert asked["adapter"] == Model(base, run.withheld / "adapter")
    assert asked["merged"] == Model(run.withheld / "merged")


def test_an_unknown_export_is_named_before_anything_is_written(base: Path, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    with pytest.raises(InputError, match="mergd"):
        shipping.ship(run, locked(base, ship=("adapter", "mergd")), "inputs", quiet)
    assert not run.bundle.exists()

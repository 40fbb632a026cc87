"""TRL trains the same job as the native trainer: the same rows and masks in each step, and in fp32 the same adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from stopping import sigterm_after
from test_native_trainer import elsewhere, made_job

from lathe import plugins
from lathe.contracts import Ability
from lathe.engine import metrics
from lathe.errors import Diverged, Interrupted
from lathe.plan.answering import Answers
from lathe.plan.forecast import Machine, forecast
from lathe.plan.rates import computes_bf16
from lathe.records import Recipe, TrainJob, TrainResult, TrainSpec
from lathe.schedule.steps import steps
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, tokenise
from lathe.trainers import trl
from tiny_base import examples

needs_trl = pytest.mark.skipif(not trl.TRAINER.ability().ok, reason=f"trl: {trl.TRAINER.ability().detail}")
pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = {"rank": 4}
FP32: dict[str, Any] = {"precision": "fp32", "token_budget": 300, "examples_per_step": 4}


@pytest.fixture
def job(tmp_path: Path, tiny_base: Path) -> TrainJob:
    tokenise(tokenizer.load(tiny_base), examples(14)).save(tmp_path / "tokens.safetensors")
    return made_job(tmp_path, tiny_base, PLAIN, **FP32)


def train(job: TrainJob, name: str = "trl", progress: Any = lambda event: None) -> TrainResult:
    return plugins.load("trainers", name).train(job, progress)


def trained(job: TrainJob) -> dict[str, torch.Tensor]:
    return load_file(Path(job.out_folder) / "adapter" / "adapter_model.safetensors")


def losses(job: TrainJob) -> list[float]:
    return [line["loss"] for line in metrics.read(Path(job.out_folder) / "metrics.jsonl")]


def test_a_trl_that_is_missing_or_another_one_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl, "PACKAGES", ("a_package_that_is_not_there",))
    able = trl.TRAINER.ability()
    assert able == Ability(False, "not installed: a_package_that_is_not_there", "pip install 'lathe-slm[trl]'")
    monkeypatch.setattr(trl, "PACKAGES", ("json",))
    monkeypatch.setattr(trl, "version", lambda _: "0.9.6")
    assert trl.TRAINER.ability().detail == "trl 0.9.6 is installed, expected 1.16.x"


@needs_trl
def test_the_batches_that_reach_trls_model_are_our_rows_with_our_masks(job: TrainJob) -> None:
    from lathe.trainers._trl import NO_LOSS, trainer_of

    tokens = TokenSet.load(Path(job.tokens_path))
    plan = steps(tokens.lengths, TrainSpec.model_validate(job.train), job.seed)
    loader = trainer_of(job, tokens, plan, "fp32").get_train_dataloader()
    for epoch in range(2):
        loader.set_epoch(epoch)
        seen = [
            (ids[real.bool()], labels[real.bool()])
            for batch in loader
            for ids, labels, real in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True)
        ]
        wanted = [row for step in range(4 * epoch, 4 * epoch + 4) for row in plan.examples(step).tolist()]
        assert len(seen) == len(wanted) == 14
        for (ids, labels), number in zip(seen, wanted, strict=True):
            row = tokens.row(number)
            assert ids.tolist() == row.ids.tolist()
            assert (labels != NO_LOSS).tolist() == row.supervised.tolist()
            assert labels[torch.from_numpy(row.supervised)].tolist() == row.ids[row.supervised].tolist()


@needs_trl
def test_trl_and_native_take_the_same_steps_to_the_same_adapter(
    job: TrainJob, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = elsewhere(job, "native")
    result, own = train(job), train(ours, "native")
    assert capsys.readouterr().out == "", "standard output belongs to the command"
    assert result.step_kind.startswith("trl 1.16.")
    assert (result.num_steps, result.num_tokens, result.num_supervised) == (
        own.num_steps,
        own.num_tokens,
        own.num_supervised,
    )
    assert result.trainable_parameters == own.trainable_parameters
    assert losses(job) == pytest.approx(losses(ours), rel=1e-4)
    mine, theirs = trained(ours), trained(job)
    assert mine.keys() == theirs.keys()
    off = sum(float((mine[name] - theirs[name]).square().sum()) for name in mine)
    assert off / sum(float(part.square().sum()) for part in mine.values()) < 1e-6


@needs_trl
def test_auto_is_planned_as_the_format_that_trl_computes_in(tmp_path: Path, tiny_base: Path, job: TrainJob) -> None:
    auto = job.model_copy(update={"train": {**job.train, "precision": "auto", "max_steps": 1}})
    fields = {"name": "a", "base": "b", "task": "json_extraction", "data": {"source": "lathe:edge_json"}}
    recipe = Recipe.model_validate({**fields, "trainer": "trl", "method": auto.method, "train": auto.train})
    config, tokens = json.loads((tiny_base / "config.json").read_text()), TokenSet.load(Path(job.tokens_path))
    machine = Machine(10**12, rates={}, computes_bf16=computes_bf16())
    planned = forecast(recipe, config, tokens, {"test": Answers(1, 1)}, 0, machine, "")
    assert planned.precision == train(auto).precision


@needs_trl
def test_a_signal_stops_trl_after_the_step_and_the_same_job_goes_on(job: TrainJob) -> None:
    train(job)
    stopped = elsewhere(job, "stopped")
    with pytest.raises(Interrupted, match="SIGTERM after step 5 of 8"):
        train(stopped, progress=sigterm_after(4))
    assert not (Path(stopped.out_folder) / "adapter").exists()
    half = Path(stopped.out_folder) / "checkpoints-trl" / "checkpoint-6"
    half.mkdir()  # as a kill leaves one: begun, without its seal
    result = train(stopped)
    assert result.resumed == 1
    assert losses(stopped) == pytest.approx(losses(job), rel=1e-5)
    assert all(torch.allclose(part, trained(job)[name], atol=1e-6) for name, part in trained(stopped).items())


@needs_trl
def test_a_learning_rate_that_destroys_the_model_is_said(job: TrainJob) -> None:
    with pytest.raises(Diverged, match="gradient norm"):
        train(job.model_copy(update={"train": job.train | {"learning_rate": 1e30, "clip_norm": None}}))


@needs_trl
def test_full_training_gives_a_model_folder_with_its_tokenizer(job: TrainJob, tiny_base: Path) -> None:
    train(job.model_copy(update={"method": {"kind": "full"}}))
    folder = Path(job.out_folder) / "adapter"
    assert (folder / "tokenizer.json").read_bytes() == (tiny_base / "tokenizer.json").read_bytes()
    assert (folder / "model.safetensors").is_file()

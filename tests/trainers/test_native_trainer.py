"""Training as a whole: it learns, it stops and goes on to the same bytes, and it says why where it cannot."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from stopping import sigterm_after

from lathe import plugins
from lathe.engine import devices, metrics, model, optim
from lathe.engine.fused import choice
from lathe.engine.step import Step
from lathe.engine.step_in_processes import StepInProcesses
from lathe.errors import Diverged, InputError, Interrupted, Unavailable
from lathe.plan import architecture, memory
from lathe.plan.parameters import count
from lathe.plan.setting import Setting
from lathe.records import Method, TrainJob, TrainResult, TrainSpec
from lathe.text import tokenizer
from lathe.text.tokens import tokenise
from lathe.trainers import native
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC: dict[str, Any] = {
    "epochs": 2, "examples_per_step": 5, "token_budget": 160, "learning_rate": 1e-2, "checkpoint_every": 3, "threads": 1
}  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, tiny_base: Path) -> TrainJob:
    tokenise(tokenizer.load(tiny_base), examples(14)).save(tmp_path / "tokens.safetensors")
    return made_job(tmp_path, tiny_base)


def made_job(folder: Path, base: Path, method: Mapping[str, Any] | None = None, **spec: Any) -> TrainJob:
    return TrainJob(
        base_folder=str(base),
        tokens_path=str(folder / "tokens.safetensors"),
        out_folder=str(folder / "train"),
        method=Method(**(method or {"rank": 4, "dropout": 0.1})).model_dump(mode="json"),
        train=TrainSpec(**(SPEC | spec)).model_dump(mode="json", by_alias=True),
        seed=0,
        job_hash="job",
    )


def train(job: TrainJob, progress: Any = lambda event: None) -> TrainResult:
    return plugins.load("trainers", "native").train(job, progress)


def elsewhere(job: TrainJob, name: str) -> TrainJob:
    """The same job into another folder."""
    return job.model_copy(update={"out_folder": str(Path(job.out_folder).with_name(name))})


def adapter(job: TrainJob) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((Path(job.out_folder) / "adapter").iterdir())}


def test_training_lowers_the_loss_and_says_what_it_did(job: TrainJob) -> None:
    events: list[Mapping[str, Any]] = []
    result = train(job.model_copy(update={"train": job.train | {"epochs": 12, "precision": "fp32"}}), events.append)
    assert result.num_steps == 36 == len(events)
    assert result.first_loss is not None
    assert result.last_loss is not None
    assert result.last_loss < 0.9 * result.first_loss
    assert result.adapter_folder == "train/adapter"
    assert (result.precision, result.device, result.resumed, result.notes) == ("fp32", "cpu", 0, ())
    # 2 layers; q 32 -> 32, k and v 32 -> 16, o 32 -> 32, gate and up 32 -> 64, down 64 -> 32; rank 4
    assert result.trainable_parameters == 2 * 4 * (64 + 48 + 48 + 64 + 96 + 96 + 96)
    assert {"stage", "done", "total", "unit", "loss"} <= events[-1].keys()
    assert 1e8 < result.peak_bytes < 4e9
    assert result.tokens_per_second == pytest.approx(result.num_tokens / result.train_seconds)


def test_metrics_say_what_each_step_did(job: TrainJob) -> None:
    result = train(job)
    lines = metrics.read(Path(job.out_folder) / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, result.num_steps + 1))
    assert sum(line["tokens"] for line in lines) == result.num_tokens
    assert sum(line["supervised"] for line in lines) == result.num_supervised
    expected = {
        "loss",
        "learning_rate",
        "gradient_norm",
        "tokens_per_second",
        "rss_bytes",
        "cpu_utilisation",
        "token_budget",
    }
    assert all(expected <= line.keys() for line in lines)


def test_the_adapter_is_a_peft_folder_that_names_its_base(job: TrainJob) -> None:
    train(job)
    config = json.loads(adapter(job)["adapter_config.json"])
    assert Path(config["base_model_name_or_path"]).is_dir()
    assert (config["peft_type"], config["r"], config["target_modules"]) == (
        "LORA", 4, ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    )  # fmt: skip
    tensors = load_file(Path(job.out_folder) / "adapter" / "adapter_model.safetensors")
    assert tensors["base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"].abs().sum() > 0


def test_the_same_job_gives_the_same_bytes_and_another_seed_others(job: TrainJob) -> None:
    again, other = elsewhere(job, "again"), elsewhere(job, "other").model_copy(update={"seed": 1})
    for one in (job, again, other):
        train(one)
    assert adapter(job) == adapter(again)
    assert adapter(job)["adapter_model.safetensors"] != adapter(other)["adapter_model.safetensors"]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6])
def test_a_signal_stops_after_the_step_and_the_same_job_goes_on_to_the_same_bytes(job: TrainJob, step: int) -> None:
    train(job)
    stopped = elsewhere(job, "stopped")
    before = signal.getsignal(signal.SIGTERM)
    if step == 6:
        train(stopped, sigterm_after(step))  # nothing is left to stop
    else:
        with pytest.raises(Interrupted, match=f"SIGTERM after step {step} of 6"):
            train(stopped, sigterm_after(step))
        assert not (Path(stopped.out_folder) / "adapter").exists()
    assert signal.getsignal(signal.SIGTERM) == before
    result = train(stopped)
    assert result.resumed == 1
    assert adapter(stopped) == adapter(job)
    first, second = (metrics.read(Path(one.out_folder) / "metrics.jsonl") for one in (job, stopped))
    assert [(line["step"], line["loss"]) for line in first] == [(line["step"], line["loss"]) for line in second]


def test_two_processes_train_the_adapter_of_one_and_go_on_to_the_same_bytes_after_a_signal(job: TrainJob) -> None:
    exact = {"train": job.train | {"precision": "fp32"}}
    job = job.model_copy(update=exact)
    two = elsewhere(job, "two").model_copy(update={"train": job.train | {"processes": 2}})
    alone, together = train(job), train(two)
    assert together.first_loss == pytest.approx(alone.first_loss, rel=1e-5)
    assert together.peak_bytes > alone.peak_bytes + 150e6  # the second process holds torch by itself
    found, expected = (load_file(Path(one.out_folder) / "adapter" / "adapter_model.safetensors") for one in (two, job))
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        # AdamW divides by the gradient's size, so rounding shows most where the gradient is nearly nothing.
        assert float((found[name] - tensor).norm() / tensor.norm()) < 0.02, name
    stopped = elsewhere(two, "stopped")
    with pytest.raises(Interrupted):
        train(stopped, sigterm_after(2))
    train(stopped)
    assert adapter(stopped) == adapter(two)


def test_a_signal_that_another_process_got_stops_after_the_step_too(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(["SIGTERM"])
    monkeypatch.setattr(StepInProcesses, "signal", lambda self: next(told, None))
    with pytest.raises(Interrupted, match="stopped by SIGTERM after step 1 of 6"):
        train(job)
    assert (Path(job.out_folder) / "checkpoints" / "step-000001" / "manifest.json").is_file()
    assert train(job).resumed == 1


def test_a_damaged_checkpoint_is_named_in_the_result_and_costs_only_time(job: TrainJob) -> None:
    train(job)
    checkpoints = Path(job.out_folder) / "checkpoints"
    before = adapter(job)
    tensors = checkpoints / "step-000006" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1])
    result = train(job)
    assert any("step-000006" in note and "tensors.safetensors" in note for note in result.notes)
    assert adapter(job) == before


def test_checkpoints_of_another_job_are_not_continued(job: TrainJob) -> None:
    train(job)
    result = train(job.model_copy(update={"job_hash": "changed"}))
    assert result.resumed == 0
    assert len(result.notes) == 2


def stepping(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Step, torch.nn.Module], Step]) -> None:
    """Training takes a wrapped step in place of the one that it would choose."""
    really = choice.choose

    def chosen(net: torch.nn.Module, *rest: Any) -> tuple[Step, str]:
        take, kind = really(net, *rest)
        return wrap(take, net), kind

    monkeypatch.setattr(choice, "choose", chosen)


def failing(monkeypatch: pytest.MonkeyPatch, at_call: int, error: Exception) -> None:
    """The gradient computation raises once, at its so-manieth call."""
    calls = iter(range(10_000))

    def wrap(take: Step, _: torch.nn.Module) -> Step:
        def sometimes(*arguments: Any) -> float:
            if next(calls) == at_call:
                raise error
            return take(*arguments)

        return sometimes

    stepping(monkeypatch, wrap)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
        MemoryError(),
    ],
)
def test_running_out_of_memory_halves_the_budget_and_repeats_the_step(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job = job.model_copy(update={"train": job.train | {"precision": "fp32"}})
    plain = elsewhere(job, "plain")
    train(plain)
    failing(monkeypatch, 2, error)
    result = train(job)
    assert result.notes == ("step 3: memory ran out, token budget halved to 80",)
    lines = metrics.read(Path(job.out_folder) / "metrics.jsonl")
    assert [line["token_budget"] for line in lines] == [160, 160, 80, 80, 80, 80]
    expected = metrics.read(Path(plain.out_folder) / "metrics.jsonl")
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in expected], rel=1e-4)


def test_memory_that_does_not_hold_one_row_is_an_error_with_the_row_s_length(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> float:
        raise MemoryError

    stepping(monkeypatch, lambda *_: never)
    with pytest.raises(InputError, match=r"one row at a time; its longest row has \d+ tokens"):
        train(job)


def test_another_error_is_not_taken_for_a_lack_of_memory(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(job)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    calls = iter(range(100))
    stepping(monkeypatch, lambda take, _: lambda *step: value if next(calls) == 4 else take(*step))
    with pytest.raises(Diverged, match="step 5") as raised:
        train(job)
    assert raised.value.hint is not None
    assert "row-" in raised.value.hint, "the rows of the step are named"
    kept = Path(job.out_folder) / "checkpoints" / "step-000003" / "tensors.safetensors"
    assert all(tensor.isfinite().all() for tensor in load_file(kept).values())
    assert len(metrics.read(Path(job.out_folder) / "metrics.jsonl")) == 4


def test_a_gradient_that_is_no_number_stops_too(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrap(take: Step, net: torch.nn.Module) -> Step:
        def poisoned(*step: Any) -> float:
            loss = take(*step)
            next(iter(model.trainable(net).values())).grad[0, 0] = float("nan")
            return loss

        return poisoned

    stepping(monkeypatch, wrap)
    with pytest.raises(Diverged, match=r"step 1: loss .* gradient norm nan"):
        train(job)


def test_full_fine_tuning_gives_a_model_folder_of_its_own(job: TrainJob, tiny_base: Path) -> None:
    full = job.model_copy(update={"method": Method(kind="full").model_dump(mode="json")})
    result = train(full)
    folder = Path(job.out_folder) / "adapter"
    assert (folder / "tokenizer.json").read_bytes() == (tiny_base / "tokenizer.json").read_bytes()
    before, after = load_file(tiny_base / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert result.trainable_parameters == sum(tensor.numel() for tensor in before.values())


@pytest.mark.parametrize(
    ("asked", "others", "device", "expected"),
    [(2, 0, "cpu", 2), (2, 0, "cuda", 1), (1, 3, "cuda", 4), (1, 0, "cuda", 1)],
)
def test_a_recipe_for_two_processes_trains_on_a_gpu_too_in_one(
    asked: int, others: int, device: str, expected: int
) -> None:
    """The shipped recipes ask for two, which is faster on a CPU; the rows of a step are the same."""
    assert native.sharing(TrainSpec(processes=asked), others, device) == expected


def test_all_weights_are_trained_to_the_same_bytes_by_two_processes_that_were_stopped(job: TrainJob) -> None:
    two = job.model_copy(update={"method": {"kind": "full"}, "train": job.train | {"processes": 2}})
    assert choice.is_fused(train(two).step_kind)
    stopped = elsewhere(two, "stopped")
    with pytest.raises(Interrupted):
        train(stopped, sigterm_after(2))
    train(stopped)
    assert adapter(stopped) == adapter(two)


def test_moments_in_eight_bits_take_the_bytes_that_the_plan_counts_and_go_on_to_the_same_bytes(
    job: TrainJob, tiny_base: Path
) -> None:
    """Of the tiny base the embedding alone is large enough for 8 bits."""
    pytest.importorskip("bitsandbytes")
    full = {"method": Method(kind="full").model_dump(mode="json"), "train": job.train | {"precision": "fp32"}}
    plain = job.model_copy(update=full)
    eight = elsewhere(plain, "eight").model_copy(update={"train": plain.train | {"optimiser": "adamw8bit"}})
    exact, rounded = train(plain), train(eight)
    assert rounded.last_loss == pytest.approx(exact.last_loss, rel=0.02)
    assert adapter(eight)["model.safetensors"] != adapter(plain)["model.safetensors"]
    kept = load_file(Path(eight.out_folder) / "checkpoints" / "step-000006" / "tensors.safetensors")
    moments = [part for name, part in kept.items() if name.startswith("optimizer.") and not name.endswith(".step")]
    counted = model_counts(json.loads((tiny_base / "config.json").read_text()))
    assert sum(part.nbytes for part in moments) == counted
    stopped = elsewhere(eight, "stopped")
    with pytest.raises(Interrupted):
        train(stopped, sigterm_after(2))
    assert train(stopped).resumed == 1
    assert adapter(stopped) == adapter(eight)
    ends = (Path(one.out_folder) / "checkpoints" / "step-000006" / "tensors.safetensors" for one in (eight, stopped))
    first, second = (path.read_bytes() for path in ends)
    assert first == second


def model_counts(config: Mapping[str, Any]) -> int:
    """Bytes that the plan foresees for the moments of full training in 8 bits."""
    shapes = architecture.shapes(config)
    setting = Setting(160, 40, "fp32", True, 1, "all-linear", 0, optimiser="adamw8bit")
    (moments,) = (one for one in memory.training(shapes, count(shapes, None), setting) if one.name == "optimiser")
    return moments.num_bytes


def test_moments_in_eight_bits_without_their_package_name_the_command_that_brings_it(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optim, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="adamw8bit needs bitsandbytes") as raised:
        train(job.model_copy(update={"train": job.train | {"optimiser": "adamw8bit"}}))
    assert raised.value.hint == "pip install 'lathe-slm[train,qlora]'"


def test_chosen_targets_alone_get_an_adapter(job: TrainJob) -> None:
    result = train(
        job.model_copy(update={"method": Method(rank=2, targets=("q_proj", "v_proj")).model_dump(mode="json")})
    )
    assert result.trainable_parameters == 2 * 2 * (64 + 48)


def test_a_target_that_is_not_there_is_named_beside_those_that_are(job: TrainJob) -> None:
    with pytest.raises(InputError, match="c_attn") as raised:
        train(job.model_copy(update={"method": Method(targets=("c_attn",)).model_dump(mode="json")}))
    assert raised.value.hint is not None
    assert "q_proj" in raised.value.hint


METHODS = pytest.mark.parametrize("method", [Method(rank=4), Method(kind="full")], ids=lambda method: method.kind)


@METHODS
def test_a_llama_takes_the_fused_step_and_learns_as_by_the_reference(
    job: TrainJob, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"method": method.model_dump(mode="json"), "train": job.train | {"precision": "fp32"}}
    fused = train(job.model_copy(update=plain))
    assert choice.is_fused(fused.step_kind)
    assert fused.precision == "fp32"
    monkeypatch.setattr(choice, "unfit", lambda net: "asked for by a test")
    reference = train(elsewhere(job, "reference").model_copy(update=plain))
    assert reference.step_kind == "reference: asked for by a test"
    assert fused.first_loss == pytest.approx(reference.first_loss, rel=1e-6)
    assert fused.last_loss == pytest.approx(reference.last_loss, rel=1e-4)


@METHODS
def test_auto_is_bf16_only_where_the_processor_multiplies_it_and_the_step_is_fused(
    job: TrainJob, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = job.model_copy(update={"method": method.model_dump(mode="json")})
    for able in (True, False):
        monkeypatch.setattr(devices, "computes_bf16", lambda able=able: able)
        result = train(elsewhere(plain, f"bf16-{able}"))
        assert choice.is_fused(result.step_kind)
        assert result.precision == ("bf16" if able else "fp32")
    monkeypatch.setattr(devices, "computes_bf16", lambda: True)
    monkeypatch.setattr(choice, "unfit", lambda net: "asked for by a test")
    result = train(plain)
    assert (result.step_kind, result.precision) == ("reference: asked for by a test", "fp32")


def test_a_step_that_is_wrong_in_bf16_alone_computes_in_fp32_and_the_reason_is_said(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "computes_bf16", lambda: True)
    right = choice.disagreement
    monkeypatch.setattr(choice, "disagreement", lambda *given: "it is off" if given[-1] == "bf16" else right(*given))
    result = train(job.model_copy(update={"method": Method(rank=4).model_dump(mode="json")}))
    assert choice.is_fused(result.step_kind)
    assert result.precision == "fp32"
    assert result.notes == ("computed in fp32, which takes longer: in bf16 it is off",)


def test_going_on_in_another_precision_is_said(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dropped(Exception):
        pass

    def drop(event: Mapping[str, Any]) -> None:
        if event["done"] == 4:  # a checkpoint lies behind, at step 3
            raise Dropped

    plain = job.model_copy(update={"method": Method(rank=4).model_dump(mode="json")})
    monkeypatch.setattr(devices, "computes_bf16", lambda: True)
    with pytest.raises(Dropped):
        train(plain, drop)
    monkeypatch.setattr(devices, "computes_bf16", lambda: False)
    (note,) = train(plain).notes
    assert note.startswith("continued at step 3 with precision fp32 instead of bf16")


def test_layers_that_are_computed_again_train_the_same_adapter_by_the_reference_step(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = job.train | {"precision": "fp32"}
    again = train(job.model_copy(update={"train": exact | {"recompute": True}}))
    assert again.step_kind == "reference: layers are computed again"
    monkeypatch.setattr(choice, "unfit", lambda net: "asked for by a test")
    plain = elsewhere(job, "plain").model_copy(update={"train": exact})
    train(plain)
    assert adapter(plain) == adapter(job)

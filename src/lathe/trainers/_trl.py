"""A TrainJob in the hands of TRL.

SFTTrainer gets the rows as tokens with labels, the model with its adapters, the optimiser and the learning rate of each step; a
sampler gives it the rows in the order of the step plan. What is left to TRL: batches, forward, backward, checkpoints.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import trl
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import (
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from lathe.contracts import Progress
from lathe.engine import devices, loop, metrics, model
from lathe.engine.optim import OPTIMISERS
from lathe.engine.signals import stop_requested
from lathe.errors import InputError, Interrupted
from lathe.records import Method, TrainJob, TrainResult, TrainSpec
from lathe.schedule.steps import StepPlan, course_of
from lathe.storage import commit_folder, commit_text
from lathe.text.tokens import TokenSet

NO_LOSS = -100
"""Label of a token that carries no loss."""
SEAL = "lathe.json"
"""Written last into a checkpoint: whose it is, and how often training was continued before it."""


@dataclass(frozen=True)
class Batches:
    """Rows that are padded together, and how many such batches make a step."""

    rows: int
    a_step: int


def batches(train: TrainSpec, longest: int) -> Batches:
    """The largest batches that divide a step evenly and stay within the token budget when padded to the longest row."""
    rows = max(
        size
        for size in range(1, train.examples_per_step + 1)
        if train.examples_per_step % size == 0 and (size == 1 or size * longest <= train.token_budget)
    )
    return Batches(rows, train.examples_per_step // rows)


def labelled(tokens: TokenSet) -> Dataset:
    """The rows as TRL takes them when they are tokens already: `input_ids`, and `labels` with NO_LOSS where none is trained."""

    def columns() -> Iterator[dict[str, list[int]]]:
        for place in range(len(tokens)):
            row = tokens.row(place)
            ids = row.ids.tolist()
            yield {
                "input_ids": ids,
                "labels": [i if on else NO_LOSS for i, on in zip(ids, row.supervised, strict=True)],
            }

    return Dataset.from_list(list(columns()))


class InOrder(Sampler[int]):
    """The rows of an epoch in the order of the step plan. `set_epoch` is called by accelerate."""

    def __init__(self, plan: StepPlan) -> None:
        self._plan, self._epoch = plan, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return self._plan.num_examples

    def __iter__(self) -> Iterator[int]:
        return iter(self._plan.order(self._epoch).tolist())


class OrderedTrainer(SFTTrainer):
    """SFTTrainer whose rows come in the order of a step plan."""

    def __init__(self, plan: StepPlan, **settings: Any) -> None:
        self._plan = plan
        super().__init__(**settings)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> InOrder:
        return InOrder(self._plan)


def trainer_of(job: TrainJob, tokens: TokenSet, plan: StepPlan, precision: devices.Precision) -> OrderedTrainer:
    """SFTTrainer, ready to train. Raises as `model.attach`."""
    method, train = Method.model_validate(job.method), TrainSpec.model_validate(job.train)
    base = Path(job.base_folder)
    device = devices.pick_device()
    net = model.load_for_training(base, method, job.seed, precision, device)
    shape = batches(train, int(plan.lengths_N.max(initial=1)))
    optimizer = OPTIMISERS[train.optimiser](model.trainable(net).items(), train.learning_rate, train.weight_decay)
    last = max(0, plan.num_steps - 1)
    rates = LambdaLR(optimizer, lambda step: plan.learning_rate(min(step, last)) / train.learning_rate)
    config = SFTConfig(
        output_dir=str(Path(job.out_folder) / "checkpoints-trl"),
        per_device_train_batch_size=shape.rows,
        gradient_accumulation_steps=shape.a_step,
        max_steps=plan.num_steps,
        max_grad_norm=math.inf if train.clip_norm is None else train.clip_norm,
        save_strategy="steps",
        save_steps=train.checkpoint_every,
        save_total_limit=train.keep_checkpoints,
        logging_steps=1,
        logging_nan_inf_filter=False,
        bf16=precision == "bf16",
        # The batches keep within the token budget; TRL's own defaults cut rows at 1,024 tokens and compute every forward twice.
        max_length=None,
        gradient_checkpointing=train.recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=False,
        report_to=[],
        disable_tqdm=True,
        seed=job.seed,
    )
    first = {name: part.detach().clone() for name, part in model.trainable(net).items()}
    trainer = OrderedTrainer(
        plan,
        model=net,
        args=config,
        train_dataset=labelled(tokens),
        processing_class=AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False),
        optimizers=(optimizer, rates),
    )
    for name, part in model.trainable(net).items():
        part.data = first[name]  # on a 4-bit base TRL has narrowed them to bf16
    trainer.remove_callback(PrinterCallback)  # standard output belongs to the command
    return trainer


class _Reporting(TrainerCallback):
    """Metrics, progress and the seal of each checkpoint; stops after a step where a signal asks for it."""

    def __init__(
        self, job: TrainJob, plan: StepPlan, tokens: TokenSet, lines: IO[bytes], progress: Progress,
        stop_asked: Callable[[], str | None], resumed: int,
    ) -> None:  # fmt: skip
        self._job, self._plan, self._lines, self._progress = job, plan, lines, progress
        self._supervised_N = tokens.supervised_lengths
        self._example_ids = tokens.example_ids
        self._stop_asked, self._resumed = stop_asked, resumed
        self._begun = time.monotonic()
        self._seconds = 0.0
        self.signal: str | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._begun = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._seconds = time.monotonic() - self._begun
        self.signal = self._stop_asked()
        if self.signal:
            control.should_save = control.should_training_stop = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Mapping[str, Any], **_: Any
    ) -> None:
        if "loss" not in logs:  # the summary at the end
            return
        step, loss, norm = state.global_step, float(logs["loss"]), float(logs.get("grad_norm", math.nan))
        rows = self._plan.examples(step - 1)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            ids = [self._example_ids[row] for row in rows]
            raise loop.diverged(step, loss, norm, ids, kept="the weights of the last checkpoint are kept")
        line = metrics.step_line(self._plan, self._supervised_N, step, loss, norm, self._seconds) | {
            "token_budget": self._plan.train.token_budget
        }
        metrics.write(self._lines, line)
        self._progress({"stage": "train", "done": step, "total": self._plan.num_steps, "unit": "step"} | line)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        commit_text(folder / SEAL, json.dumps({"job": self._job.job_hash, "resumed": self._resumed}) + "\n")


def newest(folder: Path, job_hash: str) -> tuple[Path, int] | None:
    """The newest checkpoint of this job that was written to its end, and how often training was continued before it."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            seal = json.loads((path / SEAL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if seal["job"] == job_hash:
            return path, int(seal["resumed"])
    return None


def train(job: TrainJob, progress: Progress) -> TrainResult:
    """Trains, or continues from the newest checkpoint. Raises Diverged, Interrupted, StorageError, InputError."""
    spec, out = TrainSpec.model_validate(job.train), Path(job.out_folder)
    device = devices.pick_device()
    devices.reset_peak(device)
    tokens = TokenSet.load(Path(job.tokens_path))
    plan = course_of(tokens, spec, job.seed, shared=False)  # it pads each row
    precision = devices.pick_precision(spec.precision, device)
    if spec.precision == "auto" and devices.computes_bf16():
        precision = "bf16"
    before = newest(out / "checkpoints-trl", job.job_hash)
    resumed = before[1] + 1 if before else 0
    with devices.threads(spec.threads):
        trainer = trainer_of(job, tokens, plan, precision)
        done = int(before[0].name.rpartition("-")[2]) if before else 0
        out.mkdir(parents=True, exist_ok=True)
        with metrics.opened(out / "metrics.jsonl", done) as lines, stop_requested() as stop_asked:
            reporting = _Reporting(job, plan, tokens, lines, progress, stop_asked, resumed)
            trainer.add_callback(reporting)
            if done < plan.num_steps:
                _run(trainer, before[0] if before else None)
        if trainer.state.global_step < plan.num_steps and reporting.signal:
            raise Interrupted(
                f"stopped by {reporting.signal} after step {trainer.state.global_step} of {plan.num_steps}",
                hint="The same command continues.",
            )
        net = trainer.model
        commit_folder(out / "adapter", lambda folder: model.write_result(net, Path(job.base_folder), folder))
    noted = metrics.read(out / "metrics.jsonl")
    first_loss, last_loss = metrics.first_and_last(noted)
    seconds = sum(line["seconds"] for line in noted)
    shape = batches(spec, int(plan.lengths_N.max(initial=1)))
    return TrainResult(
        inputs=job.job_hash,
        adapter_folder=f"{out.name}/adapter",
        num_steps=plan.num_steps,
        num_tokens=plan.num_tokens,
        num_supervised=plan.over_run(tokens.supervised_lengths),
        first_loss=first_loss,
        last_loss=last_loss,
        peak_bytes=devices.peak_bytes(device),
        train_seconds=seconds,
        tokens_per_second=plan.num_tokens / seconds if seconds else 0.0,
        device=str(device),
        precision=precision,
        step_kind=f"trl {trl.__version__}, {shape.a_step} x {shape.rows} rows",
        trainable_parameters=sum(part.numel() for part in model.trainable(net).values()),
        resumed=resumed,
    )


def _run(trainer: OrderedTrainer, checkpoint: Path | None) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (RuntimeError, MemoryError) as error:
        if not devices.out_of_memory(error):
            raise
        raise InputError(
            f"memory ran out with {trainer.args.per_device_train_batch_size} padded rows at a time",
            hint="Lower train.token_budget, or train with `trainer: native`, which pads nothing.",
        ) from error

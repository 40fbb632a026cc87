"""Weights measured while they are trained: the best are kept, training ends in time, and a killed run decides the same."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_native_trainer import adapter, elsewhere, made_job

from lathe import plugins
from lathe.contracts import Measure, Told
from lathe.engine import metrics
from lathe.errors import InputError, Interrupted, StorageError
from lathe.records import Score, TrainJob, TrainResult, ValidateSpec, Validation
from lathe.text import tokenizer
from lathe.text.tokens import tokenise
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")
METHOD = {"rank": 4}


@pytest.fixture
def job(tmp_path: Path, tiny_base: Path) -> TrainJob:
    """12 steps, a checkpoint every 5, a validation every 2."""
    tokenise(tokenizer.load(tiny_base), examples(14)).save(tmp_path / "tokens.safetensors")
    return asking(tmp_path, tiny_base)


def asking(folder: Path, base: Path, processes: int = 1, **validate: Any) -> TrainJob:
    spec = ValidateSpec(**({"every": 2} | validate))
    return made_job(folder, base, METHOD, epochs=4, checkpoint_every=5, processes=processes, validate=spec)


def validating(job: TrainJob, **validate: Any) -> TrainJob:
    return job.model_copy(update={"train": job.train | {"validate": job.train["validate"] | validate}})


def scripted(*values: float, seen: dict[int, bytes] | None = None, **changes: int) -> Measure:
    """Gives the values out by step; keeps the weights that it was shown in `seen`."""

    def measure(folder: Path, step: int, told: Told) -> Validation:
        if seen is not None:
            seen[step] = (folder / "adapter_model.safetensors").read_bytes()
        told(1, 1)
        return answered(step, values[(step - 1) // 2], **changes)

    return measure


def answered(step: int, value: float, **changes: int) -> Validation:
    counts = {"answers": 8, "empty": 0, "cut": 0, "new_tokens": 80} | changes
    return Validation(step=step, score=Score(metric="exact", value=value, n=8), seconds=0.1, **counts)


def by_weights(folder: Path, step: int, told: Told) -> Validation:
    """A score that follows from the weights alone: another bit, another score."""
    told(1, 2)
    told(2, 2)
    sha = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).digest()
    return answered(step, int.from_bytes(sha[:2], "big") / 65536)


def train(job: TrainJob, measure: Measure, progress: Any = lambda event: None) -> TrainResult:
    return plugins.load("trainers", "native").train_validated(job, measure, progress)


def steps_on_disk(job: TrainJob) -> list[int]:
    return sorted(int(path.name[5:]) for path in (Path(job.out_folder) / "checkpoints").iterdir())


def test_the_adapter_is_that_of_the_best_step_and_the_record_says_which_and_why(job: TrainJob) -> None:
    seen: dict[int, bytes] = {}
    result = train(job, scripted(0.1, 0.3, 0.6, 0.6, 0.4, 0.2, seen=seen))
    assert adapter(job)["adapter_model.safetensors"] == seen[6] != seen[12]
    assert (result.num_steps, result.stop, result.chosen_step) == (12, "done", 6)
    assert result.chosen_why == "exact 0.60 at step 6 is the best of 6 validations"
    assert [one.step for one in result.validations] == [2, 4, 6, 8, 10, 12] == list(seen)


def test_measuring_changes_nothing_of_what_is_trained(job: TrainJob, tmp_path: Path, tiny_base: Path) -> None:
    train(job, scripted(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    plain = elsewhere(asking(tmp_path, tiny_base, every=None), "plain")
    plugins.load("trainers", "native").train(plain, lambda event: None)
    assert adapter(plain) == adapter(job)


def test_the_best_and_the_last_checkpoint_are_kept(job: TrainJob) -> None:
    train(job, scripted(0.1, 0.9, 0.3, 0.2, 0.2, 0.1))
    assert steps_on_disk(job) == [4, 10, 12], "the best, and the two newest"


def test_patience_ends_training_and_what_was_really_done_is_counted(job: TrainJob) -> None:
    job = validating(job, patience=2)
    result = train(job, scripted(0.1, 0.5, 0.5, 0.4, 0.9, 0.9))
    assert (result.stop, result.num_steps, result.chosen_step) == ("early", 8, 4)
    assert result.chosen_why.endswith("training ended at step 8, after 2 validations without a better one")
    lines = [line for line in metrics.read(Path(job.out_folder) / "metrics.jsonl") if "loss" in line]
    assert len(lines) == 8
    assert sum(line["tokens"] for line in lines) == result.num_tokens
    assert sum(line["supervised"] for line in lines) == result.num_supervised


def test_patience_that_runs_out_with_the_last_step_ended_nothing(job: TrainJob) -> None:
    result = train(validating(job, patience=2), scripted(0.1, 0.2, 0.3, 0.4, 0.4, 0.4))
    assert (result.stop, result.num_steps) == ("done", 12)


def test_a_model_that_has_learned_nothing_yet_is_waited_for(job: TrainJob) -> None:
    result = train(validating(job, patience=1), scripted(0.0, 0.0, 0.0, 0.0, 0.0, 0.2))
    assert (result.stop, result.chosen_step) == ("done", 12)


def test_a_collapse_is_reported_and_ends_training_only_where_that_is_asked_for(job: TrainJob) -> None:
    values = (0.1, 0.5, 0.0, 0.0, 0.0, 0.1)
    told = "step 6: the answers collapsed: exact fell to zero after 0.50 at step 4"
    result = train(job, scripted(*values))
    assert (result.stop, result.num_steps, result.notes[0]) == ("done", 12, told)
    stopped = elsewhere(validating(job, stop_on_collapse=True), "stopped")
    result = train(stopped, scripted(*values))
    assert (result.stop, result.num_steps, result.chosen_step, result.notes) == ("collapsed", 6, 4, (told,))
    empty = elsewhere(validating(job, stop_on_collapse=True), "empty")
    result = train(empty, scripted(*values, empty=8))
    assert (result.num_steps, result.notes) == (2, ("step 2: the answers collapsed: all 8 answers are empty",))


def test_who_listens_hears_the_last_score_and_the_best_one(job: TrainJob) -> None:
    events: list[Mapping[str, Any]] = []
    train(job, scripted(0.1, 0.3, 0.2, 0.1, 0.1, 0.1), events.append)
    assert {event["done"] for event in events if "validating" in event} == {2, 4, 6, 8, 10, 12}
    last = events[-1]
    assert (last["metric"], last["value"], last["best"], last["best_step"]) == ("exact", 0.1, 0.3, 4)
    assert not any("metric" in event for event in events if event["done"] < 2)


class Killed(Exception):
    """Stands for a power cut: nothing of the trainer runs on."""


def killed_at(moment: int) -> Callable[[Mapping[str, Any]], None]:
    """Ends everything at the so-manieth event, among them those in the middle of a validation."""
    count = 0

    def listen(event: Mapping[str, Any]) -> None:
        nonlocal count
        count += 1
        if count == moment:
            raise Killed

    return listen


@pytest.mark.parametrize("patience", [None, 2])
def test_killed_anywhere_and_continued_it_ends_with_the_same_bytes_and_the_same_choice(
    job: TrainJob, patience: int | None
) -> None:
    job = validating(job, patience=patience)
    events: list[Mapping[str, Any]] = []
    whole = train(job, by_weights, events.append)
    for moment in range(1, len(events) + 1, 5):
        broken = elsewhere(job, f"broken-{moment}")
        with pytest.raises(Killed):
            train(broken, by_weights, killed_at(moment))
        result = train(broken, by_weights)
        assert adapter(broken) == adapter(job), moment
        assert result.chosen_why == whole.chosen_why, moment
        assert [one.score for one in result.validations] == [one.score for one in whole.validations], moment
        assert not list(Path(broken.out_folder).glob(".*"))


@pytest.mark.parametrize("step", [2, 3, 12])
def test_a_signal_in_a_validation_does_not_wait_for_its_end_and_the_same_validation_is_taken_again(
    job: TrainJob, step: int
) -> None:
    train(job, by_weights)
    stopped = elsewhere(job, "stopped")

    def interrupt(event: Mapping[str, Any]) -> None:
        if event["done"] == step and ("validating" in event) == (step % 2 == 0):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"SIGTERM after step {step} of 12"):
        train(stopped, by_weights, interrupt)
    result = train(stopped, by_weights)
    assert [one.step for one in result.validations] == [2, 4, 6, 8, 10, 12]
    assert adapter(stopped) == adapter(job)


def test_a_best_checkpoint_that_was_damaged_costs_only_time(job: TrainJob) -> None:
    scores = scripted(0.1, 0.9, 0.3, 0.2, 0.2, 0.1)
    train(job, scores)
    before = adapter(job)
    kept = Path(job.out_folder) / "checkpoints" / "step-000004" / "tensors.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1])
    result = train(job, scores)
    assert any("its best weights are in step-000004" in note for note in result.notes)
    assert adapter(job) == before


def test_a_best_checkpoint_that_is_damaged_while_it_is_needed_is_named_and_the_same_command_mends_it(
    job: TrainJob,
) -> None:
    scores = scripted(0.1, 0.9, 0.3, 0.2, 0.2, 0.1)

    def damage(event: Mapping[str, Any]) -> None:
        if event["done"] == 12 and "validating" in event:
            (Path(job.out_folder) / "checkpoints" / "step-000004" / "state.json").unlink()

    with pytest.raises(StorageError, match="step-000004 holds the best weights"):
        train(job, scores, damage)
    assert train(job, scores).chosen_step == 4


def test_checkpoints_of_an_earlier_job_that_went_further_do_not_crowd_out_the_best(job: TrainJob) -> None:
    train(job, scripted(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    other = validating(job, patience=1).model_copy(update={"job_hash": "changed"})
    result = train(other, scripted(0.5, 0.1, 0.1, 0.1, 0.1, 0.1))
    assert (result.num_steps, result.chosen_step) == (4, 2)


def test_two_processes_keep_the_best_weights_and_come_to_them_again_after_a_power_cut(
    tmp_path: Path, tiny_base: Path
) -> None:
    tokenise(tokenizer.load(tiny_base), examples(14)).save(tmp_path / "tokens.safetensors")
    job = asking(tmp_path, tiny_base, processes=2)
    before: dict[int, bytes] = {}
    after: dict[int, bytes] = {}
    scores = (0.1, 0.3, 0.2, 0.1, 0.1, 0.1)
    with pytest.raises(Killed):
        train(job, scripted(*scores, seen=before), killed_at(17))  # a step after the validation of step 8
    assert train(job, scripted(*scores, seen=after)).chosen_step == 4
    assert (list(before), list(after)) == ([2, 4, 6, 8], [10, 12]), "what was validated is not validated again"
    assert adapter(job)["adapter_model.safetensors"] == before[4]


def test_whole_weights_are_measured_and_kept_too(job: TrainJob, tiny_base: Path) -> None:
    full = job.model_copy(update={"method": {"kind": "full"}})
    seen: dict[int, bytes] = {}

    def measure(folder: Path, step: int, told: Told) -> Validation:
        seen[step] = (folder / "model.safetensors").read_bytes()
        return answered(step, 0.5 if step == 6 else 0.1)

    assert train(full, measure).chosen_step == 6
    assert adapter(full)["model.safetensors"] == seen[6] != seen[12]


def test_memory_that_runs_out_in_a_validation_is_told_with_what_to_lower(job: TrainJob) -> None:
    def never(folder: Path, step: int, told: Told) -> Validation:
        raise MemoryError

    with pytest.raises(InputError, match="validation rows were answered after step 2") as raised:
        train(job, never)
    assert raised.value.hint is not None
    assert "evaluate.token_budget" in raised.value.hint

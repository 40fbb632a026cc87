"""A training whose rows begin alike computes that once, says so, and goes on after a kill to the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from stopping import sigterm_after

from lathe import plugins
from lathe.engine import metrics
from lathe.errors import Interrupted
from lathe.records import Example, Message, Method, TrainJob, TrainResult, TrainSpec
from lathe.schedule.steps import course_of
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, tokenise

pytestmark = pytest.mark.usefixtures("one_thread")

SCHEMAS = ["Answer with the word, in capitals, and nothing else: ", "Answer with the second word, or with none: "]


def rows() -> list[Example]:
    """14 rows under two instructions of more than 40 tokens each."""
    words = ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch"]
    return [
        Example(
            id=f"row-{place}",
            input=words[place % 7],
            messages=(Message(role="user", content=SCHEMAS[place % 2] + words[place % 7] + " " * (place % 3)),),
            completion=words[place % 7].upper(),
        )
        for place in range(14)
    ]


@pytest.fixture
def job(tmp_path: Path, tiny_base: Path) -> TrainJob:
    tokenise(tokenizer.load(tiny_base), rows()).save(tmp_path / "tokens.safetensors")
    spec = TrainSpec(
        epochs=2,
        examples_per_step=5,
        token_budget=400,
        learning_rate=1e-2,
        checkpoint_every=2,
        threads=1,
        precision="fp32",
    )
    return TrainJob(
        base_folder=str(tiny_base),
        tokens_path=str(tmp_path / "tokens.safetensors"),
        out_folder=str(tmp_path / "train"),
        method=Method(rank=4, dropout=0.1).model_dump(mode="json"),
        train=spec.model_dump(mode="json", by_alias=True),
        seed=0,
        job_hash="job",
    )


def changed(job: TrainJob, name: str, method: Mapping[str, Any] | None = None, **train: Any) -> TrainJob:
    """The job with other settings, into another folder."""
    out = str(Path(job.out_folder).with_name(name))
    parts = {"out_folder": out, "train": job.train | train, "method": job.method | (method or {})}
    return job.model_copy(update=parts)


def train(job: TrainJob, progress: Any = lambda event: None) -> TrainResult:
    return plugins.load("trainers", "native").train(job, progress)


def adapter(job: TrainJob) -> bytes:
    return (Path(job.out_folder) / "adapter" / "adapter_model.safetensors").read_bytes()


def test_what_is_computed_is_counted_step_by_step_as_it_was_planned(job: TrainJob) -> None:
    result = train(job)
    plan = course_of(TokenSet.load(Path(job.tokens_path)), TrainSpec.model_validate(job.train), 0, shared=True)
    assert result.step_kind.startswith("fused, ")
    assert result.num_computed == plan.num_computed < 0.8 * result.num_tokens
    assert result.num_tokens == plan.num_tokens
    lines = metrics.read(Path(job.out_folder) / "metrics.jsonl")
    assert [line["computed"] for line in lines] == [plan.computed(step) for step in range(plan.num_steps)]


def test_sharing_trains_what_whole_rows_train(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference step shares nothing, and drops the same numbers."""
    shared = train(job)
    monkeypatch.setattr("lathe.engine.fused.choice.unfit", lambda net: "it is told not to")
    whole = train(changed(job, "whole"))
    assert whole.num_computed == whole.num_tokens == shared.num_tokens
    losses = [
        [line["loss"] for line in metrics.read(Path(job.out_folder).with_name(name) / "metrics.jsonl")]
        for name in ("train", "whole")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("step", [1, 3])
def test_a_stopped_training_goes_on_to_the_same_bytes(job: TrainJob, grouped: bool, step: int) -> None:
    whole, stopped = (changed(job, name, group_by_prefix=grouped) for name in ("whole", "stopped"))
    train(whole)
    with pytest.raises(Interrupted):
        train(stopped, sigterm_after(step))
    assert train(stopped).resumed == 1
    assert adapter(stopped) == adapter(whole)


def test_grouping_computes_less_and_sees_each_row_as_often(job: TrainJob) -> None:
    random, grouped = train(job), train(changed(job, "grouped", group_by_prefix=True))
    assert grouped.num_computed is not None
    assert random.num_computed is not None
    assert grouped.num_computed < random.num_computed
    assert (grouped.num_tokens, grouped.num_supervised) == (random.num_tokens, random.num_supervised)

"""Training as a stage of a run: rows in, an adapter and a record out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe import train as training
from lathe.errors import DataError, InputError, Unavailable
from lathe.records import TrainResult, TrainSpec
from lathe.runs import RunFolder
from lathe.text.tokens import TokenSet
from tiny_run import locked, new_run, quiet

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> RunFolder:
    run = new_run(tmp_path_factory.mktemp("runs") / "run")
    training.train(run, locked(tiny_base), "train-inputs", quiet)
    return run


def test_training_writes_its_record_with_the_stage_s_inputs(trained: RunFolder) -> None:
    run = trained
    result = run.load(run.train_result, TrainResult)
    assert result.inputs == "train-inputs"
    assert result.num_steps == 4
    assert result.seconds > result.train_seconds > 0
    assert (run.path / result.adapter_folder / "adapter_model.safetensors").is_file()
    assert TokenSet.load(run.tokens).example_ids == tuple(f"row-{i}" for i in range(8))


def test_the_same_rows_give_the_same_token_file(trained: RunFolder, tiny_base: Path, tmp_path: Path) -> None:
    other = new_run(tmp_path / "other")
    training.train(other, locked(tiny_base), "train-inputs", quiet)
    assert other.tokens.read_bytes() == trained.tokens.read_bytes()


def test_no_rows_is_a_data_error(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to train on"):
        training.train(new_run(tmp_path / "run", rows=0), locked(tiny_base), "inputs", quiet)


def test_longer_rows_stop_the_stage_unless_the_recipe_truncates_and_then_they_are_counted(
    tiny_base: Path, tmp_path: Path
) -> None:
    run = new_run(tmp_path / "run")
    lengths = {"epochs": 1.0, "examples_per_step": 4, "threads": 1, "max_tokens": 50}
    with pytest.raises(InputError, match="longer than 50 tokens"):
        training.train(run, locked(tiny_base, train=TrainSpec(**lengths)), "inputs", quiet)
    assert not run.tokens.exists()
    result = training.train(run, locked(tiny_base, train=TrainSpec(**lengths, truncate=True)), "inputs", quiet)
    assert result.truncated_rows == sum(length == 50 for length in TokenSet.load(run.tokens).lengths) > 0


def test_a_trainer_that_cannot_work_here_is_named_before_anything_is_encoded(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lathe.trainers import native

    monkeypatch.setattr(native, "PACKAGES", ("torch", "a_package_that_is_not_there"))
    run = new_run(tmp_path / "run")
    with pytest.raises(Unavailable, match="a_package_that_is_not_there") as raised:
        training.train(run, locked(tiny_base), "inputs", quiet)
    assert raised.value.hint is not None
    assert not run.tokens.exists()

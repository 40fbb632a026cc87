"""Training as a stage of a run: rows in, an adapter and a record out."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from lathe import train as training
from lathe.contracts import Ability, Told
from lathe.errors import DataError, InputError, StorageError, Unavailable
from lathe.records import TrainResult, TrainSpec, Validation
from lathe.records.results import Doubts
from lathe.runs import RunFolder
from lathe.storage import commit_rows
from lathe.text.tokens import TokenSet
from tiny_base import examples
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


def test_a_rehearsal_goes_on_from_its_first_checkpoint_and_ends_with_the_same_adapter(
    tiny_base: Path, tmp_path: Path
) -> None:
    spec = TrainSpec(epochs=1.0, examples_per_step=2, threads=1, checkpoint_every=2)
    runs = {name: new_run(tmp_path / name) for name in ("plain", "rehearsed")}
    results = {
        name: training.train(run, locked(tiny_base, train=spec), "inputs", quiet, rehearse=name == "rehearsed")
        for name, run in runs.items()
    }
    assert (results["plain"].resumed, results["rehearsed"].resumed) == (0, 1)
    adapters = [
        (run.path / results[name].adapter_folder / "adapter_model.safetensors").read_bytes()
        for name, run in runs.items()
    ]
    assert adapters[0] == adapters[1]


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


def test_a_trainer_of_one_process_is_not_begun_by_several(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lathe.trainers import trl

    monkeypatch.setattr(trl.Trl, "ability", lambda self: Ability(True))
    place = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="torchrun started 2 processes, and trainer trl trains in one"):
        training.train(new_run(tmp_path / "run"), locked(tiny_base, trainer="trl"), "inputs", quiet)


def test_a_trainer_that_cannot_measure_its_weights_refuses_before_anything_is_encoded(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lathe.trainers import trl

    monkeypatch.setattr(trl.Trl, "ability", lambda self: Ability(True))
    run = new_run(tmp_path / "run")

    def measure(folder: Path, step: int, told: Told) -> Validation:
        raise AssertionError("nothing is measured")

    with pytest.raises(InputError, match="trainer trl cannot answer validation rows while it trains") as raised:
        training.train(run, locked(tiny_base, trainer="trl"), "inputs", quiet, measure)
    assert raised.value.hint is not None
    assert not run.tokens.exists()


@contextlib.contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: what a full disk looks like to it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("num_bytes", "what"), [(400, "tokens"), (30_000, "step-000004"), (15_000, "step-000004")])
def test_a_disk_that_takes_no_more_is_a_storage_error_and_the_same_call_then_continues(
    tiny_base: Path, tmp_path: Path, trained: RunFolder, num_bytes: int, what: str
) -> None:
    run = new_run(tmp_path / "run")
    with largest_file(num_bytes), pytest.raises(StorageError, match=what):
        training.train(run, locked(tiny_base), "train-inputs", quiet)
    assert not run.adapter.exists()
    assert not run.train_result.exists()
    left = [path for path in run.path.rglob("*") if path.name.endswith((".tmp", ".old"))]
    assert left == []
    training.train(run, locked(tiny_base), "train-inputs", quiet)
    name = "adapter_model.safetensors"
    assert (run.adapter / name).read_bytes() == (trained.adapter / name).read_bytes()


def test_an_adapter_that_cannot_be_written_is_a_storage_error(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lathe.engine import model

    really = model.write_trained

    def on_a_full_disk(net: object, folder: Path) -> None:
        with largest_file(1_000):
            really(net, folder)  # type: ignore[arg-type]

    run = new_run(tmp_path / "run")
    monkeypatch.setattr(model, "write_trained", on_a_full_disk)
    with pytest.raises(StorageError, match="adapter"):
        training.train(run, locked(tiny_base), "inputs", quiet)
    assert not run.adapter.exists()


def test_the_tuned_model_finds_a_wrong_answer_hard_and_secrets_are_taken_out(tiny_base: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    rows = examples(40)
    rows[17] = rows[17].model_copy(update={"completion": "zzz top", "input": f"{rows[17].input} SECRET"})
    commit_rows(run.rows("train"), rows)
    chain = locked(tiny_base, train=TrainSpec(epochs=6, examples_per_step=4, learning_rate=1e-2, threads=1))
    with pytest.raises(InputError, match=r"result\.json is not there"):
        training.doubt(run, chain, "inputs", str, quiet)
    training.train(run, chain, "inputs", quiet)
    found = training.doubt(run, chain, "inputs", lambda text: text.replace("SECRET", "[hidden]"), quiet)
    assert run.done(run.doubts, Doubts, "inputs") == found
    assert (found.rows, found.of, len(found.worst)) == (40, 40, 40)
    worst = found.worst[0]
    assert (worst.place, worst.id, worst.given) == ("train.jsonl:18", "row-17", "zzz top")
    assert worst.text.endswith("[hidden]")
    assert worst.loss > 1.2 * found.median

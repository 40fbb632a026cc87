"""Shards: full training whose weights, gradients and moments lie in parts over ranks is that of one process, and ends in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_ranks import ended, job, native, stopped, torchrun

from lathe.contracts import Model
from lathe.engine import checkpoint, metrics, model
from lathe.engine.packs import build_pack
from lathe.engine.shards import idle
from lathe.engine.step_in_processes import Share
from lathe.engine.tensor_file import write_tensors
from lathe.errors import InputError
from lathe.pipeline import Run
from lathe.records import Method, Recipe, TrainJob, TrainResult
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, tokenise
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")

SCRIPT = Path(__file__).parents[1] / "shards_script.py"
WEIGHTS = "adapter/model.safetensors"


def full(folder: Path, base: Path, name: str, **spec: Any) -> TrainJob:
    """A job of six steps that trains all weights; its first three are those of a job of three."""
    numbers = {
        "learning_rate": 1e-3,
        "warmup_share": 0.0,
        "schedule": "constant",
        "weight_decay": 0.1,
        "token_budget": 64,
    } | spec
    return job(folder, base, name, **numbers).model_copy(update={"method": Method(kind="full").model_dump(mode="json")})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder with a base and rows, for any number of launches."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "base").symlink_to(tiny_base)
    tokenise(tokenizer.load(tiny_base), examples(13)).save(folder / "tokens.safetensors")
    return folder


def launched(folder: Path, what: str, **jobs: TrainJob) -> tuple[int, dict[str, Any]]:
    """Two ranks do what the script says with these jobs: torchrun's exit code, and what was found."""
    for old in folder.glob("job-*.json"):
        old.unlink()
    for name, one in jobs.items():
        (folder / f"job-{name}.json").write_text(one.model_dump_json())
    code, _, said = ended(torchrun(2, str(SCRIPT), str(folder), what, cwd=folder))
    assert (folder / "found.json").is_file(), said
    found = json.loads((folder / "found.json").read_text())
    (folder / "found.json").unlink()
    return code, found | {"said": said}


@pytest.fixture(scope="module")
def starved(begun: Path, tiny_base: Path) -> dict[str, Any]:
    """A training in shards whose second rank had no more memory in its third step, and had left a checkpoint after the second."""
    code, found = launched(begun, "starved", starved=full(begun, tiny_base, "starved", shard=True, checkpoint_every=2))
    assert code != 0
    return found


@pytest.fixture(scope="module")
def found(begun: Path, starved: dict[str, Any], tiny_base: Path) -> dict[str, Any]:
    """Everything that two ranks try while they are well."""
    native(full(begun, tiny_base, "from-whole", max_steps=3, checkpoint_every=3))
    code, found = launched(
        begun,
        "everything",
        a=full(begun, tiny_base, "a", shard=True),
        starved=full(begun, tiny_base, "starved", shard=True, checkpoint_every=2),
        from_whole=full(begun, tiny_base, "from-whole", shard=True, checkpoint_every=3),
        to_whole=full(begun, tiny_base, "to-whole", shard=True, checkpoint_every=3, max_steps=3),
        validated=full(begun, tiny_base, "validated", shard=True, checkpoint_every=2, validate={"every": 2}),
    )
    assert code == 0, found["said"]
    return found


@pytest.fixture(scope="module")
def alone(begun: Path, tiny_base: Path) -> TrainResult:
    """The same job by one process."""
    return native(full(begun, tiny_base, "alone"))


def off(folder: Path, one: str, other: str) -> float:
    """The largest relative difference between two trained models."""
    found, expected = load_file(folder / one / WEIGHTS), load_file(folder / other / WEIGHTS)
    assert list(found) == list(expected)
    return max(float((found[name] - part).norm() / part.norm()) for name, part in expected.items())


@pytest.mark.parametrize("case", ["steps", "fewer packs", "recompute"])
def test_steps_in_shards_are_those_of_one_process(found: dict[str, Any], case: str) -> None:
    """Loss, gradient, its norm, and after clipping weights and both moments; also where a rank has no pack in a step."""
    errors = found[case]
    assert errors["names"] == 80, "20 parameters, each with its step and two moments"
    for name in ("loss", "norm", "gradient", "tensors"):
        assert 0 <= errors[name] < 1e-5, name


def test_in_bf16_steps_in_shards_are_as_near_as_bf16_is(found: dict[str, Any]) -> None:
    assert found["bf16"]["loss"] < 1e-3
    assert found["bf16"]["gradient"] < 0.04, "bf16 rounds to 0.004, and in other places"


def test_a_run_in_shards_ends_with_the_weights_of_one_process(
    begun: Path, found: dict[str, Any], alone: TrainResult
) -> None:
    told = found["job-a"]
    assert (told["processes"], told["num_steps"], alone.num_steps) == (2, 6, 6)
    assert told["step_kind"] == "reference: weights lie in shards over the ranks"
    assert told["trainable_parameters"] == alone.trainable_parameters
    assert told["first_loss"] == pytest.approx(alone.first_loss, rel=1e-6)
    assert off(begun, "a", "alone") < 1e-4
    files = {path.name for path in (begun / "a" / "adapter").iterdir()}
    assert files == {path.name for path in (begun / "alone" / "adapter").iterdir()}
    model.load(Model(begun / "base", begun / "a" / "adapter"))
    rows = [line["supervised"] for line in metrics.read(begun / "a" / "metrics.jsonl")]
    assert rows == [line["supervised"] for line in metrics.read(begun / "alone" / "metrics.jsonl")]


def test_a_checkpoint_of_shards_is_one_of_whole_weights(begun: Path, found: dict[str, Any], alone: TrainResult) -> None:
    """Under the same names and in the same shapes, moments included."""
    of_shards, of_whole = (
        checkpoint.of_step(begun / name / "checkpoints", 6, "job").tensors for name in ("a", "alone")
    )
    assert {name: part.shape for name, part in of_shards.items()} == {
        name: part.shape for name, part in of_whole.items()
    }


def test_a_run_goes_on_in_shards_and_out_of_them_and_says_so(
    begun: Path, found: dict[str, Any], alone: TrainResult, tiny_base: Path
) -> None:
    into = found["job-from_whole"]
    assert (into["resumed"], into["num_steps"]) == (1, 6)
    assert any("continued at step 3 with step reference: weights lie in shards" in n for n in into["notes"])
    assert off(begun, "from-whole", "alone") < 1e-4
    out_of = native(full(begun, tiny_base, "to-whole", checkpoint_every=3))
    assert (out_of.resumed, out_of.num_steps, out_of.processes) == (1, 6, 1)
    assert any("continued at step 3 with processes 1 instead of 2" in note for note in out_of.notes)
    assert off(begun, "to-whole", "alone") < 1e-4


def test_the_best_weights_are_put_back_in_shards(begun: Path, found: dict[str, Any]) -> None:
    told = found["job-validated"]
    assert (told["num_steps"], told["chosen_step"]) == (6, 4)
    assert [one["score"]["value"] for one in told["validations"]] == [0.1, 0.5, 0.2]
    best = checkpoint.of_step(begun / "validated" / "checkpoints", 4, "job").tensors
    written = load_file(begun / "validated" / WEIGHTS)
    assert all(torch.equal(best[checkpoint.MODEL + name], part) for name, part in written.items())


def test_memory_that_runs_out_in_a_rank_ends_all_in_words_and_from_the_last_checkpoint_it_comes_to_the_same_bytes(
    begun: Path, starved: dict[str, Any], found: dict[str, Any]
) -> None:
    said = starved["job-starved"]
    assert said["error"].startswith("memory ran out in rank 1, in a pack of ")
    assert "cannot be taken again with smaller packs" in said["error"]
    assert "more than 2 processes" in said["hint"]
    assert found["job-starved"]["resumed"] == 1
    assert (begun / "starved" / WEIGHTS).read_bytes() == (begun / "a" / WEIGHTS).read_bytes()


def test_a_rank_that_is_killed_ends_all_in_words(begun: Path, tiny_base: Path) -> None:
    code, found = launched(begun, "killed", killed=full(begun, tiny_base, "killed", shard=True))
    assert code != 0
    said = found["job-killed"]["error"]
    assert said.startswith("rank 0: another process of this training ended without a word (")


RECIPE = """\
name: small
base: BASE
task: json_extraction
data: {source: rows.jsonl, split: {validation: 0.1, test: 0.2}}
method: {kind: full}
train: {epochs: 1000, max_steps: 40, examples_per_step: 8, token_budget: 256, threads: 1, checkpoint_every: 50, shard: true}
evaluate: {few_shot: 0, max_new_tokens: 2}
"""


def test_a_signal_ends_the_command_after_its_step_and_one_process_goes_on_and_is_measured(
    tmp_path: Path, tiny_base: Path
) -> None:
    folder, _ = stopped(tmp_path, RECIPE, tiny_base)
    with pytest.raises(InputError, match="that torchrun starts, and it started none"):
        Run.start(tmp_path / "small.yaml", root=tmp_path / "runs").go(until="train")
    run = Run.start(tmp_path / "small.yaml", root=tmp_path / "runs", sets=("train.shard=false",))
    run.go(until="train")
    told = TrainResult.from_json((folder / "result.json").read_text())
    assert (told.resumed, told.processes, told.num_steps) == (1, 1, 40)
    assert run.evaluate("tuned").n > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": {"kind": "lora"}}, "method.kind: lora"),
        ({"method": {"kind": "full"}, "train": {"optimiser": "adamw8bit"}}, "adamw8bit"),
        ({"method": {"kind": "full"}, "trainer": "trl"}, "trainer: trl"),
    ],
)
def test_a_recipe_whose_training_cannot_lie_in_shards_is_refused(changes: dict[str, Any], words: str) -> None:
    recipe = {"name": "a", "base": "lathe:nano", "task": "intent", "data": {"source": "lathe:edge_intent"}}
    with pytest.raises(ValueError, match=words):
        Recipe.model_validate(recipe | changes | {"train": changes.get("train", {}) | {"shard": True}})


def test_who_has_fewer_packs_computes_a_token_that_teaches_nothing(begun: Path) -> None:
    pack = build_pack([TokenSet.load(begun / "tokens.safetensors").row(0)])
    spare = idle([Share([], 1, 0), Share([pack], 1, 0)])
    assert (spare.ids_1T.shape, spare.bounds, spare.targets_S.numel()) == ((1, 1), [0, 1], 0)


def test_a_tensor_file_is_read_by_the_library_and_asks_for_one_tensor_at_a_time(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "matrix": torch.randn(5, 7, generator=generator),
        "bytes": torch.arange(3, dtype=torch.uint8),
        "half": torch.randn(3, generator=generator).bfloat16(),
        "number": torch.tensor(4),
        "none": torch.zeros(0, 4),
        "part": torch.randn(6, 4, generator=generator).T[1:3],
    }
    asked: list[str] = []

    def whole(name: str, held: torch.Tensor) -> torch.Tensor:
        asked.append(name)
        assert held is tensors[name]
        return held

    write_tensors(tmp_path / "ours", tensors, whole)
    assert sorted(asked) == sorted(tensors)
    save_file({name: part.contiguous() for name, part in tensors.items()}, tmp_path / "theirs")
    ours, theirs = load_file(tmp_path / "ours"), load_file(tmp_path / "theirs")
    assert sorted(ours) == sorted(theirs)
    for name, part in theirs.items():
        assert ours[name].dtype == part.dtype
        assert torch.equal(ours[name], part), name

"""Checkpoints: whole, checked, never trusted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lathe.engine import checkpoint
from lathe.engine.checkpoint import Checkpoint
from lathe.engine.optim import adamw


def at(step: int) -> Checkpoint:
    tensors = {"model.a": torch.full((3, 2), float(step)), "optimizer.0.exp_avg": torch.arange(4.0) * step}
    return Checkpoint(step, tensors, {"step": step, "token_budget": 128})


def saved(root: Path, *steps: int, keep: int = 9) -> Path:
    for step in steps:
        checkpoint.save(root, at(step), "job", keep)
    return root


def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    search = checkpoint.newest(saved(tmp_path, 10, 20), "job")
    assert search.skipped == ()
    assert search.checkpoint is not None
    assert search.checkpoint.step == 20
    assert search.checkpoint.state == at(20).state
    assert all(torch.equal(search.checkpoint.tensors[name], tensor) for name, tensor in at(20).tensors.items())


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3, 4, 1000, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000004", "step-001000"]


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "checkpoints", "job") == checkpoint.Search(None, ())


def test_a_checkpoint_of_another_job_is_passed_over_and_named(tmp_path: Path) -> None:
    search = checkpoint.newest(saved(tmp_path, 10), "another job")
    assert search.checkpoint is None
    assert search.skipped == ("step-000010: it belongs to another job (recipe, data or base differ)",)


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * (len(content) - 1))] ^= 0x10
        path.write_bytes(content)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": lambda path: path.unlink(),
    "empty": cut(0.0),
    "half": cut(0.5),
    "one byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "of another step": lambda path: path.write_bytes((path.parents[1] / "step-000010" / path.name).read_bytes()),
} | {f"bit flipped at {place} %": flip(place / 100) for place in (0, 3, 20, 40, 60, 80, 97, 100)}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.STATE, checkpoint.MANIFEST])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path, name: str, damage: str) -> None:
    saved(tmp_path, 10, 20)
    whole = (tmp_path / "step-000020" / name).read_bytes()
    DAMAGES[damage](tmp_path / "step-000020" / name)
    search = checkpoint.newest(tmp_path, "job")
    assert search.checkpoint is not None
    if search.checkpoint.step == 20:
        # A flipped bit in the manifest's blanks or in the name of its version changes nothing that is relied upon.
        assert name == checkpoint.MANIFEST
        assert (tmp_path / "step-000020" / name).read_bytes() != whole
        assert all(torch.equal(search.checkpoint.tensors[key], tensor) for key, tensor in at(20).tensors.items())
    else:
        assert search.checkpoint.step == 10
        assert len(search.skipped) == 1
        assert search.skipped[0].startswith("step-000020: ")


def test_a_folder_under_another_step_s_name_is_passed_over(tmp_path: Path) -> None:
    saved(tmp_path, 10)
    shutil.copytree(tmp_path / "step-000010", tmp_path / "step-000030")
    search = checkpoint.newest(tmp_path, "job")
    assert search.checkpoint is not None
    assert search.checkpoint.step == 10
    assert search.skipped == ("step-000030: it holds step 10",)


def test_a_manifest_that_names_files_elsewhere_opens_none_of_them(tmp_path: Path) -> None:
    saved(tmp_path, 10)
    manifest = json.loads((tmp_path / "step-000010" / checkpoint.MANIFEST).read_text())
    manifest["files"]["../../secret"] = manifest["files"].pop(checkpoint.STATE)
    (tmp_path / "step-000010" / checkpoint.MANIFEST).write_text(json.dumps(manifest))
    assert checkpoint.newest(tmp_path, "job").checkpoint is None


def test_a_restored_optimiser_takes_the_same_next_step() -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 3)
        return layer, adamw(layer.named_parameters(), 0.1, weight_decay=0.1)

    def move(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, times: int) -> None:
        for _ in range(times):
            layer(torch.ones(2, 4)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    straight, optimizer = made()
    move(straight, optimizer, 3)
    kept = {name: tensor.clone() for name, tensor in checkpoint.optimizer_tensors(optimizer).items()}
    weights = {name: part.detach().clone() for name, part in straight.named_parameters()}
    move(straight, optimizer, 2)

    continued, optimizer = made()
    continued.load_state_dict(weights)
    checkpoint.restore_optimizer(optimizer, kept)
    move(continued, optimizer, 2)
    assert torch.equal(straight.weight, continued.weight)
    assert torch.equal(straight.bias, continued.bias)


def test_the_best_one_is_kept_beside_the_newest_for_as_long_as_one_of_them_names_it(tmp_path: Path) -> None:
    for step, best in ((1, 1), (2, 1), (3, 1), (4, 4), (5, 4), (6, 4)):
        checkpoint.save(tmp_path, replace(at(step), best=best), "job", 2)
        kept = sorted(int(path.name[5:]) for path in tmp_path.iterdir())
        assert kept == {1: [1], 2: [1, 2], 3: [1, 2, 3], 4: [1, 3, 4], 5: [4, 5], 6: [4, 5, 6]}[step]


def test_one_whose_best_weights_are_gone_is_passed_over_for_one_whose_best_are_there(tmp_path: Path) -> None:
    for step, best in ((1, 1), (2, 1), (3, 3), (4, 3)):
        checkpoint.save(tmp_path, replace(at(step), best=best), "job", 9)
    shutil.rmtree(tmp_path / "step-000003")
    search = checkpoint.newest(tmp_path, "job")
    assert search.checkpoint is not None
    assert (search.checkpoint.step, search.checkpoint.best) == (2, 1)
    assert search.skipped[0].startswith("step-000004: its best weights are in step-000003")


def test_checkpoints_of_another_job_make_room_first(tmp_path: Path) -> None:
    saved(tmp_path, 100, 200)
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, at(step), "another", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000002", "step-000003"]

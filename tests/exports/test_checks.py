"""The checks of shipped files can fail: a wrong copy and a wrong merge show in their numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from lathe import plugins
from lathe.contracts import Model
from lathe.engine import compare, model
from lathe.engine.fidelity import adapter_folder, gguf_file  # noqa: F401 - loaded now, or they would keep what is planted
from lathe.records import Method

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def tuned(tiny_base: Path, tmp_path: Path) -> Model:
    """Base and an adapter that does something."""
    return Model(tiny_base, adapter(tiny_base, tmp_path / "adapter", seed=1))


def adapter(base: Path, folder: Path, seed: int) -> Path:
    net = model.attach(model.load_base(base), Method(rank=4), seed=seed)
    with torch.no_grad():
        for parameter in model.trainable(net).values():
            parameter.normal_(generator=torch.Generator().manual_seed(seed), std=0.2)
    folder.mkdir()
    model.write_trained(net, folder)
    return folder


@pytest.mark.parametrize("kind", ["adapter", "merged"])
def test_a_right_export_differs_by_rounding_at_most(tuned: Model, tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").mkdir()
    shipped = plugins.load("exports", kind).export(tuned, tmp_path / "out")
    assert not shipped.failed
    checks = shipped.checks
    assert checks["max_logit_difference"] < 1e-3
    assert checks.get("merge_error", 0.0) <= 1e-4
    assert checks["prompts_compared"] == compare.NUM_PROMPTS


def test_an_adapter_that_is_not_the_measured_one_shows_in_the_checks(
    tuned: Model, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = adapter(tiny_base, tmp_path / "wrong", seed=2)
    really = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: really(wrong / Path(source).name, target))
    (tmp_path / "out").mkdir()
    shipped = plugins.load("exports", "adapter").export(tuned, tmp_path / "out")
    assert shipped.checks["same_bytes_as_measured"] is False
    assert shipped.checks["max_logit_difference"] > 0.1
    assert [check.id for check in shipped.failed] == ["same_adapter"]


def test_a_merge_without_the_adapter_shows_in_the_checks(
    tuned: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "load_merged", lambda tuned, **how: model.load_base(tuned.base_folder, **how))
    (tmp_path / "out").mkdir()
    shipped = plugins.load("exports", "merged").export(tuned, tmp_path / "out")
    assert shipped.checks["max_logit_difference"] > 0.1
    assert shipped.checks["same_next_token"] < 1.0
    assert [check.id for check in shipped.failed] == ["merge", "written"]


def test_the_same_model_says_the_same(tiny_base: Path) -> None:
    first, second = model.load_base(tiny_base), model.load_base(tiny_base)
    assert compare.largest_difference(first, second) == 0.0
    assert compare.share_of_same_token(first, second) == 1.0

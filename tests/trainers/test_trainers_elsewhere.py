"""Trainers that cannot stand beside Lathe say why, and how to run the same job where they can."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe import plugins
from lathe.errors import Exit, Unavailable
from lathe.plan.foreign import TOOLS
from lathe.records import TrainJob


@pytest.mark.parametrize("name", ["axolotl", "unsloth"])
def test_the_way_to_the_same_job_elsewhere_is_said(name: str, tmp_path: Path) -> None:
    trainer = plugins.load("trainers", name)
    able = trainer.ability()
    assert not able.ok
    assert "pins" in able.detail or "asks for" in able.detail
    assert able.remedy is not None
    assert f"{name}-env/bin/pip install '{name}>=" in able.remedy
    assert f"lathe export-config RECIPE --to {name}" in able.remedy
    assert name in TOOLS
    job = TrainJob(base_folder="", tokens_path="", out_folder=str(tmp_path), method={}, train={}, seed=0, job_hash="")
    with pytest.raises(Unavailable, match=name) as raised:
        trainer.train(job, lambda event: None)
    assert raised.value.exit_code is Exit.UNAVAILABLE
    assert not list(tmp_path.iterdir())

"""What the engine does on a device that is not the CPU, tried on one that stands in for a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_base import write_base

HERE = Path(__file__).parent
KINDS = (
    "an adapter", "an adapter with dropout", "an adapter, layers computed again", "all weights", "answers", "drawn answers",
    "scores of labels", "losses of rows", "pretraining",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    base = write_base(tmp_path_factory.mktemp("base") / "base", tie_word_embeddings=False)
    done = subprocess.run(
        [sys.executable, str(HERE / "on_both_devices.py"), str(base)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("kind", KINDS)
def test_another_device_computes_what_the_cpu_does(kind: str, found: dict[str, dict[str, object]]) -> None:
    assert found["cpu"].keys() == found["stand-in"].keys() == set(KINDS)
    here, there = found["cpu"][kind], found["stand-in"][kind]
    if "answers" in kind:
        assert here == there
    else:
        # Pretraining takes bf16 on a CPU that multiplies it.
        assert flat(there) == pytest.approx(flat(here), rel=1e-2 if kind == "pretraining" else 1e-4)


def flat(numbers: object) -> list[float]:
    return [one for part in numbers for one in flat(part)] if isinstance(numbers, list) else [float(str(numbers))]


def test_the_device_that_stands_in_refuses_tensors_of_the_cpu(found: dict[str, dict[str, object]]) -> None:
    assert found["mixed"] == "aten::add got tensors of two devices"

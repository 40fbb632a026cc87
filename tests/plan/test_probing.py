"""The probe of this machine: one process with helpers of its own, whose timed steps become what each kind of work costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from plan_parts import CONFIG

from lathe.cli.main import LIBRARY_SETTINGS
from lathe.engine.probe import MOST_PROCESSES
from lathe.errors import StorageError, Unavailable
from lathe.plan import rates
from lathe.processes import usable_cores


def test_of_steps_alike_the_first_tells_the_others_what_attention_costs() -> None:
    def timed(width: int, threads: int, names: Sequence[str]) -> dict[str, Any]:
        config = CONFIG | {"hidden_size": width, "num_hidden_layers": 4}
        seconds = {"empty": 0.0, "short": 0.1, "mixed": 0.5, "long": 0.6, "even": 0.4}
        rows = {"short": [64], "mixed": [64] * 8, "long": [512], "even": [16] * 32}
        packs = {name: {"lengths": rows[name], "supervised": [4] * len(rows[name])} for name in names}
        return {
            "config": config, "step": "reference", "precision": "fp32", "full": False, "threads": threads, "packs": packs,
            "seconds": seconds,
        }  # fmt: skip

    every, few = ("short", "mixed", "long", "even"), ("short", "mixed")
    steps = [timed(64, 1, every), timed(64, 2, every), timed(128, 1, few), timed(128, 2, few)]
    steps[1]["seconds"] = {name: seconds / 2 for name, seconds in steps[1]["seconds"].items()}
    one, two, wide_one, wide_two = rates._step_rates(steps, rank=8, exchange=0.0, helpers=0)
    assert one.attention_seconds == pytest.approx(2 * two.attention_seconds)
    assert one.attention_seconds > 0
    for first, other in ((one, wide_one), (two, wide_two)):
        assert (other.attention_seconds, other.group_seconds) == (first.attention_seconds, first.group_seconds)
        assert other.product_seconds > 0


@pytest.mark.parametrize(
    ("program", "said", "hint"),
    [
        ("import time; time.sleep(60)", "the probe gave no answer in 0.1 s", "try again when it is idle"),
        ('print("a library says hello")', "the probe did not end well", "lathe doctor torch"),
        ("raise MemoryError('no room for a model')", "MemoryError: no room for a model", "lathe doctor torch"),
        ("import os; os._exit(9)", "ended with code 9", "lathe doctor torch"),
    ],
)
def test_a_probe_that_does_not_end_well_says_what_was_seen_and_what_to_do(
    program: str, said: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "PROBE", (sys.executable, "-c", program))
    monkeypatch.setattr(rates, "PROBE_SECONDS", 0.1 if "sleep" in program else 60)
    with pytest.raises(Unavailable) as refused:
        rates.probe()
    assert said in refused.value.message
    assert hint in (refused.value.hint or "")


def test_a_place_that_cannot_be_written_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(rates, "PROBE", (sys.executable, "-c", "raise SystemExit('it was measured')"))
    with pytest.raises(StorageError, match="could not write"):
        rates.probe()


SMALL_PROBE = """
import runpy
from lathe.engine import step_rates
step_rates.WIDTHS["cpu"] = {64: (1, 2)}
step_rates.SECONDS = step_rates.EMPTY_SECONDS = 0.0
runpy.run_module("lathe.engine.probe", run_name="__main__", alter_sys=True)
"""


def test_the_probe_runs_as_a_process_with_helpers_of_its_own() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("beside a GPU there are no helpers")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SMALL_PROBE],
        capture_output=True,
        text=True,
        env={**os.environ, **LIBRARY_SETTINGS},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["helpers"] == min(usable_cores(), MOST_PROCESSES) - 1
    assert said["helper_seconds"] > 0
    assert {step["threads"] for step in said["steps"]} == {1, usable_cores()}
    steps = list(rates._step_rates(said["steps"], said["rank"], said["exchange_seconds"], said["helpers"]))
    assert len(steps) == len(said["steps"])

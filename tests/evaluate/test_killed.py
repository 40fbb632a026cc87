"""A real process, killed while it answers. The same call continues and ends as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from shouting_world import World, right

import lathe
from lathe.evaluate import evaluate
from lathe.records import Prediction
from lathe.storage import read_rows

SLOW = """
import sys, time
from pathlib import Path
from shouting_world import Script, Shouting, right
from lathe import plugins
from lathe.evaluate import evaluate
from lathe.records import LockedRecipe
from lathe.runs import RunFolder

def slow(request):
    time.sleep(0.05)
    return right(request)

leaves = {("tasks", "shouting"): Shouting(), ("runtimes", "native"): Script(slow)}
plugins.load = lambda kind, name: leaves[kind, name]
locked = LockedRecipe.from_json(Path(sys.argv[2]).read_text())
evaluate(RunFolder(Path(sys.argv[1])), locked, "base-zero", "test", "a", lambda event: None)
"""


def test_a_killed_measurement_is_continued_without_asking_twice(world: World, tmp_path: Path) -> None:
    locked = tmp_path / "locked.json"
    locked.write_text(world.locked.to_json())
    path = world.run.predictions("base-zero")
    paths = [str(Path(lathe.__file__).resolve().parents[1]), str(Path(__file__).parent)]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(world.run.path), str(locked)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    limit = time.monotonic() + 60
    while not (path.is_file() and len(path.read_bytes().splitlines()) >= 3) and time.monotonic() < limit:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = read_rows(path, Prediction)
    assert 3 <= len(before) < 12
    assert not world.run.eval_report("base-zero").exists()

    report = evaluate(world.run, world.locked, "base-zero", "test", "a", world.progress)
    asked = {request.id for request in world.script.asked}
    assert asked.isdisjoint(prediction.id for prediction in before)
    assert len(asked) + len(before) == 12
    predictions = sorted(read_rows(path, Prediction), key=lambda prediction: prediction.id)
    assert predictions == sorted(map(right, _requests(world)), key=lambda prediction: prediction.id)
    assert report.n == 12


def _requests(world: World):
    """What an undisturbed measurement asks."""
    world.script.asked.clear()
    world.run.predictions("base-zero").unlink()
    evaluate(world.run, world.locked, "base-zero", "test", "a", world.progress)
    return list(world.script.asked)

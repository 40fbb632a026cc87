"""The notebook of the guide does what it says: its cells run, one after the other, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "docs" / "guide" / "python.ipynb"


def cells(kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_every_cell_runs_and_the_model_reads_an_order_that_it_never_saw(tmp_path: Path) -> None:
    seen = """
print("SEEN", json.dumps({
    "verdict": decision.verdict, "headline": report.headline, "verified": checked.ok,
    "values": [answer.value for answer in answers], "finish": [answer.finish for answer in answers],
}))
"""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*cells("code"), seen])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.split("SEEN", 1)[1])
    assert found["verified"] is True
    assert found["verdict"] in ("deploy", "iterate")
    assert found["finish"] == ["stop", "stop"]
    assert found["values"][0] == {"order": "A-777", "name": "Kim", "thing": "oven", "count": 3}


def test_it_is_stored_without_outputs_of_one_machine() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None

"""A run that went through all stages on a tiny base, shipped, reported and sealed, and took a second to train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lathe.pipeline import Run
from tiny_run import quiet

RECIPE = """\
name: colours
base: {base}
task: json_extraction
data: {{source: rows.jsonl, split: {{validation: 0.2, test: 0.3}}}}
train: {{epochs: 1, examples_per_step: 8, token_budget: 2000, threads: 1}}
evaluate: {{few_shot: 0, max_new_tokens: 8}}
ship: [adapter, merged]
{publish}
"""


def rows(extra: str = "") -> list[dict[str, Any]]:
    said = [{"input": f"red {number}", "target": {"is": "red"}} for number in range(30)]
    return [*said, {"input": f"blue {extra}", "target": {"is": "blue"}}]


def finished(folder: Path, base: Path, publish: str = "", extra: str = "", verdict: str = "iterate") -> Run:
    """Everything that comes after a run. The verdict is set: two layers that trained for a second earn none."""
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(extra)))
    (folder / "r.yaml").write_text(RECIPE.format(base=base, publish=publish))
    run = Run.start(folder / "r.yaml", root=folder / "runs")
    decided = run.go(until="decide", progress=quiet)
    assert decided is not None
    run.folder.commit(run.folder.decision, decided.model_copy(update={"verdict": verdict}))
    run.go(progress=quiet)
    return run

"""Two recorded evaluations of a predecessor, given to the verdict as they are, and once more as if they had been sound.

    python bench/recorded_verdict.py FOLDER         a folder with train.jsonl, val.jsonl, test.jsonl and the two result files

Both files call a rate "success" and do not say by which rule. Each is held against the rule of lengths of the project, which they
record: a file whose successes do not follow from it was scored by another. What stands against the rows is said by `lathe check`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lathe.contracts import Metric
from lathe.data.check import check_file
from lathe.decide import Evidence, judge
from lathe.evaluate import aggregate
from lathe.records import DataFinding, Decision, EvalReport, ItemScore, Manifest, Recipe, SideCount
from lathe.storage import file_sha256

SUCCESS = Metric("success", "1 where the file says so, by whatever rule.", "proportion")
LEAST, MOST = 0.5, 2.0
"""Its rule of lengths: characters of the answer over those of the reference."""
GATES = [
    {"metric": "success", "at_least": 0.98, "judge": "lower_bound"},
    {"metric": "latency_seconds", "at_most": 12.0, "judge": "upper_bound"},
]


def read(path: Path) -> list[dict[str, Any]]:
    """The items of a result file."""
    found = json.loads(path.read_text())
    return found.get("evaluation_metrics", found)["detailed_results"]


def scorer_of(rows: Sequence[dict[str, Any]]) -> str:
    """The rule that the recorded successes follow from, as far as lengths can tell."""
    fits = [LEAST <= row["generated_length"] / row["expected_length"] <= MOST for row in rows]
    against = sum(fit != row["success"] for fit, row in zip(fits, rows, strict=True))
    return "length rule" if not against else f"another rule (lengths contradict {against} of {len(rows)})"


def report(arm: str, rows: Sequence[dict[str, Any]], test_hash: str, scorer: str) -> EvalReport:
    """An arm, as the evaluate stage would have written it."""
    items = [
        ItemScore(
            id=str(number),
            values={"success": float(row["success"]), "latency_seconds": row["latency"]},
            reason="" if row["success"] else "no success",
            meta={"agent": row["agent"]},
        )
        for number, row in enumerate(rows)
    ]
    return EvalReport(
        inputs=arm, arm=arm, test_hash=test_hash, prompt_hash="", scorer=scorer, n=len(items), items=tuple(items),
        scores=aggregate.scores((SUCCESS,), items, None, 0.95), reasons=aggregate.reasons(items),
    )  # fmt: skip


def decided(arms: Sequence[EvalReport], findings: Sequence[DataFinding]) -> Decision:
    """The verdict on the first arm against the second."""
    parts = {"name": "recorded", "base": "b", "task": "chat", "data": {"source": "interactions"}, "gates": GATES}
    sides = {"test": SideCount(rows=arms[0].n, sha256=arms[0].test_hash)}
    manifest = Manifest(inputs="", sources=(), sides=sides, findings=tuple(findings))
    named = dict(zip(("tuned", "base-zero"), arms, strict=True))
    return judge(Recipe.model_validate(parts), Evidence(named, manifest), "success", 1, "")


def show(title: str, decision: Decision) -> None:
    print(f"{title}\n  {decision.line}")
    for finding in decision.findings:
        print(f"    {finding.id}: {finding.message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = check_file([folder / f"{side}.jsonl" for side in ("train", "val", "test")]).findings
    test_hash = file_sha256(folder / "test.jsonl")
    files = {"tuned": "evaluation_results_fp16_zerogpu.json", "base-zero": "evaluation_results_q4km_cpu.json"}
    rows = {arm: read(folder / name) for arm, name in files.items()}
    arms = [report(arm, rows[arm], test_hash, scorer_of(rows[arm])) for arm in files]
    show("as recorded:", decided(arms, found))
    sound = [arm.model_copy(update={"scorer": "one rule"}) for arm in arms]
    show("if the rows were clean and the scorer one:", decided(sound, []))


if __name__ == "__main__":
    main()

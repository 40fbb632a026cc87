"""What a run ends with, times aside: all that must be the same however often it was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lathe.runs import all_runs
from lathe.storage import file_sha256

TIMED = frozenset({
    "chosen_why", "cpu_utilisation", "created", "expected_seconds", "forecast_seconds", "line", "notes", "peak_bytes", "resumed",
    "rss_bytes", "seconds", "time", "tokens_per_second", "train_seconds",
})  # fmt: skip
"""Keys of records and of lines whose values are times, or that tell how often a run was begun."""
WATCHED = ("recipe.lock.json", "data/*.json*", "train/tokens.safetensors", "train/adapter/*", "train/metrics.jsonl",
    "train/result.json", "eval/*/predictions*.jsonl", "decision.json", "bundle/**/*")  # fmt: skip
"""Files of a finished run whose contents, times aside, follow from the recipe."""


def outcome(folder: Path) -> dict[str, str]:
    """A digest, or the words themselves, of all that must not differ, by name; what was left half-done is named too."""
    found: dict[str, str] = {}
    for run in (run.path for run in all_runs(folder / "runs")):
        paths = sorted({path for pattern in WATCHED for path in run.glob(pattern) if path.is_file()})
        found |= {path.relative_to(run).as_posix(): _content(path) for path in paths}
        found |= {f"left: {path.relative_to(run)}": "" for path in run.rglob(".*") if path.suffix in (".tmp", ".old")}
        joined = [line for line in (run / "journal.jsonl").read_text().split("\n") if line.count('{"time":') > 1]
        found |= {f"two entries in one line of the journal: {line[:200]}": "" for line in joined}
    looks = folder / "runs" / "looks.jsonl"
    lines = looks.read_text().split("\n") if looks.is_file() else []
    found["looks"] = str(len({line for line in lines if _is_json(line)}))
    return found


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _content(path: Path) -> str:
    if path.suffix == ".json":
        return json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True)
    if path.suffix == ".jsonl":
        lines = path.read_text().split("\n")
        return "\n".join(json.dumps(_timeless(json.loads(line)), sort_keys=True) for line in lines if line)
    return file_sha256(path)


def _timeless(value: Any) -> Any:
    """A JSON value without what is a time, nor scores that are."""
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in TIMED}
    if isinstance(value, list):
        return [_timeless(inner) for inner in value if not (isinstance(inner, dict) and inner.get("metric") in TIMED)]
    return value

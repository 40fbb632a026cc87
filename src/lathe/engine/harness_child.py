"""Tasks of lm-eval put to one model, in a process of its own: what the package prints, loads and leaves behind ends there.

    echo '{"base": ..., "adapter": null, "quantised": false, "precision": "fp32", "threads": 1, "tasks": ["arc_easy"], \
        "folder": null, "limit": 100}' | python -m lathe.engine.harness_child

Writes one JSON line, {"tasks": ...} or {"error": ...}. Ends when its standard input does, as it does with the parent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

BATCH = 8
"""Texts at a time. The same for both arms, so that what padding does to the last bits is the same too."""


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Loads the model as it is measured on its own task, asks, and returns each item's values by task."""
    # With that package peft and bitsandbytes would fetch a program from the Hub and run it.
    sys.modules["kernels"] = None  # type: ignore[assignment]
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    from lathe.contracts import Model
    from lathe.engine.model import load_to_answer

    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    base, adapter = Path(asked["base"]), asked["adapter"]
    form = {key: asked[key] for key in ("quantised", "precision")}
    model = load_to_answer(Model(base, None if adapter is None else Path(adapter), **form))
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    found = lm_eval.simple_evaluate(
        HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH),
        tasks=asked["tasks"],
        limit=asked["limit"],
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=asked["folder"]),
    )
    return {"tasks": {name: _of_task(name, found) for name in found["samples"]}}


def _of_task(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What is needed of a task: a value for each item and metric, and the package's own figures to hold them against."""
    samples = found["samples"][name]
    return {
        "higher_is_better": found["higher_is_better"].get(name, {}),
        "results": {key: value for key, value in found["results"][name].items() if isinstance(value, int | float)},
        "items": [
            {
                "id": sample["doc_id"],
                "hash": sample["doc_hash"],
                "prompt": sample["prompt_hash"],
                "filter": sample["filter"],
                "values": {metric: sample[metric] for metric in sample["metrics"]},
            }
            for sample in samples
        ],
    }


def main() -> int:
    """Standard output is the answer's alone; whatever the packages print goes to standard error."""
    asked = json.loads(sys.stdin.readline())
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    try:
        found = measure(asked)
    except Exception as error:  # tasks are files of other people, and fail with whatever they like
        found = {"error": f"{type(error).__name__}: {error}"}
    answer.write(json.dumps(found, default=str) + "\n")
    answer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

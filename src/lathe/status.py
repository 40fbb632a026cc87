"""Where a run stands: running, stalled, stopped or done; step, loss, time left, memory.

lathe status            -> running · train · step 41 of 96 · loss 0.213 · json_exact 0.38, best 0.41 at step 30 · 38 s left · 812 MB
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lathe.errors import InputError
from lathe.records import Decision, Status
from lathe.runs import RunFolder

SILENT_SECONDS = 120.0
"""A process that holds the run and has said nothing for so long is called stalled."""


def status(run: RunFolder) -> Status:
    """Looks at the lock, the last heartbeat and the records of a run.

    It is done while it is sealed: the seal goes as soon as a stage runs anew, and a verdict that still stands is of the recipe
    before.
    """
    verdict = None
    if run.digests.is_file():
        try:
            verdict = run.load(run.decision, Decision).verdict
        except InputError:
            verdict = None
    now = describe(str(run.path), run.in_use(), run.last_beat(), verdict, time.time())
    try:
        return now.model_copy(update={"smoke": run.is_smoke})
    except InputError:
        return now


def describe(run: str, held: bool, beat: Mapping[str, Any], verdict: str | None, now: float) -> Status:
    """The status that follows from whether a process holds the run, its last heartbeat, the verdict and the time (Unix seconds)."""
    silent = now - float(beat.get("beat", 0.0))
    if held:
        state = "running" if silent <= SILENT_SECONDS else "stalled"
    else:
        state = "done" if verdict is not None else "stopped"
    done, rate = beat.get("done"), beat.get("rate")
    total = beat.get("total") or None  # 0 of a file that is still being read
    left = (total - done) / rate if held and done is not None and total is not None and rate else None
    return Status(
        run=run,
        state=state,
        stage=beat.get("stage") if state != "done" else None,
        done=done,
        total=total,
        loss=beat.get("loss"),
        metric=beat.get("metric"),
        value=beat.get("value"),
        best=beat.get("best"),
        best_step=beat.get("best_step"),
        validating=beat.get("validating") if held else None,
        seconds_left=left,
        peak_bytes=beat.get("peak_bytes"),
        verdict=verdict,
    )

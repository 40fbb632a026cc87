"""Arms of runs, held side by side: `lathe.compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lathe.errors import InputError
from lathe.pipeline.opening import opened
from lathe.pipeline.stages import stage_hashes
from lathe.records import Comparison, EvalReport
from lathe.safe_text import typed
from lathe.verify import refuse_changed

if TYPE_CHECKING:
    from lathe.decide import Entry


def compare(
    arms: Sequence[str | Path], *, metric: str | None = None, by: str | None = None, confidence: float = 0.95
) -> Comparison:
    """Arms of runs on the same items, each held against the first by a paired test.

    arms: RUN or RUN:ARM; the tuned one where none is named. metric: the task's primary one where it is None. by: a slice whose
    values are compared as well. Raises InputError where an arm was not measured, or two were not measured alike.
    """
    from lathe import decide

    if isinstance(arms, str | Path):
        raise InputError("compare takes a list of arms, got one", hint="Call compare([RUN, RUN]).")
    if len(arms) < 2:
        raise InputError(
            f"got {len(arms)} arm, expected two or more", hint="lathe compare RUN RUN, or RUN RUN:base-few."
        )
    entries = [_entry(str(arm)) for arm in arms]
    return decide.side_by_side(entries, metric or decide.primary(entries[0].locked), by, confidence)


def _entry(name: str) -> Entry:
    """RUN or RUN:ARM with its report, which must be of the run's present recipe."""
    from lathe import decide

    path, arm = (name, "tuned") if Path(name).is_dir() or ":" not in name else name.rsplit(":", 1)
    run, locked = opened(path)
    measured = [one for one, side in run.answered() if side == "test"]
    if measured and not run.eval_report(arm).is_file():
        raise InputError(f"{path} has no arm {arm!r}", hint=f"Measured are: {', '.join(measured)}.")
    refuse_changed(run, run.eval_report(arm).parent)
    report = run.load(run.eval_report(arm), EvalReport)
    hashes = stage_hashes(locked)
    if arm in hashes and report.inputs != hashes[arm]:
        raise InputError(
            f"{name} was measured before the recipe of its run was changed, or by another version of Lathe",
            hint=f"lathe evaluate {typed(path)} measures it again.",
        )
    return decide.Entry(name, report, locked, run.is_smoke)

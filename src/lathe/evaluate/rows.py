"""What the data stage left behind, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from lathe.errors import InputError
from lathe.records import Example, Manifest, Side, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import read_rows

SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True)
class Rows:
    """The rows of all sides as they were given, and what the task knows besides them."""

    sides: dict[Side, list[Example]]
    setup: TaskSetup
    manifest: Manifest


def read(run: RunFolder) -> Rows:
    """The rows of all sides, without variants: rules, forms and worked examples are made of what was given.

    Raises InputError where the data stage has not run, or a file is shorter than it was.
    """
    manifest = run.load(run.manifest, Manifest)
    sides = {side: read_rows(run.rows(side), Example) if run.rows(side).is_file() else [] for side in SIDES}
    for side, found in sides.items():
        expected = manifest.sides[side].rows if side in manifest.sides else 0
        if len(found) != expected:
            raise InputError(
                f"{run.rows(side)} has {len(found)} rows, expected {expected}",
                hint=f"Delete {run.manifest} and run the same command: the data is prepared again.",
            )
    given = {side: [row for row in found if not row.made_of] for side, found in sides.items()}
    return Rows(given, run.load(run.setup, TaskSetup), manifest)

"""The verbs `verify` and `inspect`: is a run what its records say, and does a model's file do what was trained?"""

from __future__ import annotations

import argparse

from lathe.cli.show import Screen
from lathe.errors import Exit


def verify(args: argparse.Namespace, screen: Screen) -> Exit:
    """Every digest of a run, held against the bytes that are there."""
    from lathe.pipeline import Run
    from lathe.report import figures

    found = Run.open(args.run).verify()
    if screen.as_json:
        screen.document({"ok": found.ok, **found.dump()})
        return Exit.DONE if found.ok else Exit.NO
    for damage in found.damaged:
        screen.line(f"  {damage.path}: {damage.reason}", "red")
    held = f"{figures.counted(found.num_files, 'file')}, {figures.size(found.num_bytes)}"
    if found.ok:
        screen.line(f"  {held}: all as they were written")
    else:
        screen.line(f"  {figures.counted(len(found.damaged), 'file')} of {held} are not as they were written", "bold")
    if found.unsealed:
        screen.say(
            f"  {figures.counted(len(found.unsealed), 'file')} came later and have no digest: {found.unsealed[0]}"
        )
    return Exit.DONE if found.ok else Exit.NO

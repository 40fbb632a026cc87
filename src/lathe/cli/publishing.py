"""The verb `publish`: what of a run would go to the Hub, what stands against it, and sending it where that is asked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lathe.cli.show import Screen
from lathe.errors import Exit

if TYPE_CHECKING:
    from lathe.records import Publication


def publish(args: argparse.Namespace, screen: Screen) -> Exit:
    """A dry run unless --push is given. Exit 1 where something stands against it; then nothing is sent."""
    from lathe.pipeline import Run

    run = Run.open(args.run)
    screen.folder = run.folder
    found = run.publish(args.to, args.data, push=args.push, public=args.public)
    ok = all(one.ok for one in found)
    if screen.as_json:
        screen.document({"ok": ok, "publications": [one.dump() for one in found]})
        return Exit.DONE if ok else Exit.NO
    for one in found:
        _show(screen, one)
    if not ok:
        screen.line("  nothing was sent", "bold")
    elif not args.push:
        screen.line("  nothing was sent: this was a dry run; the same with --push sends it", "bold")
    return Exit.DONE if ok else Exit.NO


def _show(screen: Screen, one: Publication) -> None:
    from lathe.report import figures

    total = figures.size(sum(file.num_bytes for file in one.files))
    who = "public" if one.public else "private"
    screen.line(
        f"{one.kind} {one.repo}: {figures.counted(len(one.files), 'file')}, {total}; {who} where it is new", "bold"
    )
    screen.table(["file", "size"], [[file.path, figures.size(file.num_bytes)] for file in one.files], right=(1,))
    for blocker in one.blockers:
        screen.line(f"  against it: {blocker.message}", "red")
        if blocker.next_action:
            screen.line(f"    → {blocker.next_action}")
    for note in one.notes:
        screen.line(f"  note: {note}")
    if one.commit is not None:
        screen.line(f"  sent: {one.commit}", "green")
    screen.line()

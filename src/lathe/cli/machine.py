"""The verb `doctor`: what this machine can do, and how fast it trains."""

from __future__ import annotations

import argparse

from lathe.cli import tables
from lathe.cli.show import Screen
from lathe.errors import Exit, InputError


def doctor(args: argparse.Namespace, screen: Screen) -> Exit:
    """What this machine can do; with --probe how fast it trains, remembered for plans."""
    if args.probe and args.asked:
        raise InputError(
            f"--probe measures by itself, and {', '.join(args.asked)} would do nothing",
            hint="Ask for abilities without --probe.",
        )
    if args.probe:
        return _probe(screen)
    from lathe.doctor import examine

    report = examine(tuple(args.asked), "")
    if screen.as_json:
        screen.document(report.dump())
    else:
        tables.doctor(screen, report)
    return Exit.DONE if report.ok else Exit.NO


def _probe(screen: Screen) -> Exit:
    from lathe.plan import rates

    screen.say("  probing: some 14 s, mostly steps of training")
    found = rates.probe()
    if screen.as_json:
        screen.document(found.dump())
    else:
        tables.probe(screen, found)
    return Exit.DONE

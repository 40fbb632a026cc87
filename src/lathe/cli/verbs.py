"""What each verb does. A verb calls the library, shows what came of it, and returns the exit code; nothing is decided here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lathe.cli import fidelity, tables
from lathe.cli.progress import listen
from lathe.cli.show import Screen
from lathe.cli.streams import text_given
from lathe.errors import Exit, InputError

if TYPE_CHECKING:
    from lathe.pipeline import Run
    from lathe.records import Bundle, Decision, Status

UNTIL = {"evaluate": "tuned"}
"""Verbs whose last stage has another name."""


# ------------------------------------------------------------------------------------------ the chain


def demo(args: argparse.Namespace, screen: Screen) -> Exit:
    """The whole chain on the shipped recipe `demo`."""
    args.recipe = "demo"
    return _chain(args, screen, None)


def run(args: argparse.Namespace, screen: Screen) -> Exit:
    """The whole chain of a recipe."""
    return _chain(args, screen, args.until)


def stage(args: argparse.Namespace, screen: Screen) -> Exit:
    """All stages up to the one that the verb names."""
    return _chain(args, screen, UNTIL.get(args.verb, args.verb))


def given(args: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Of these arguments those that were given, as they are typed."""
    typed = {"recipe": "RECIPE", "sets": "--set"}
    return [typed.get(name, f"--{name.replace('_', '-')}") for name in names if getattr(args, name)]


def start(args: argparse.Namespace, screen: Screen, *, weights: bool = True) -> Run:
    """The run that a verb works on, new or continued, named on the screen. weights: whether the verb needs the base's."""
    from lathe.pipeline import Run

    run = Run.start(args.recipe, tuple(args.sets), root=args.runs, new=args.new, smoke=args.smoke, weights=weights)
    screen.folder = run.folder
    recipe = run.locked.recipe
    screen.say()
    screen.say(f"  {recipe.name}: {recipe.task} with {recipe.base}, in {run.folder.path}")
    screen.say()
    return run


def _chain(args: argparse.Namespace, screen: Screen, until: str | None) -> Exit:
    run = start(args, screen)
    decision = run.go(until=until, progress=listen(screen))
    if screen.as_json:
        screen.document(_outcome(run, decision))
    else:
        _show_outcome(run, decision, screen, until)
    if decision is None or args.smoke:  # a smoke run answers whether the parts work, not whether the model is good
        return Exit.DONE
    bundle = _bundle(run)
    if bundle is not None and bundle.withheld:
        return Exit.NO
    if until == "ship":
        return Exit.NO if decision.verdict == "abort" else Exit.DONE
    return Exit.DONE if decision.verdict == "deploy" or until == "report" else Exit.NO


def _bundle(run: Run) -> Bundle | None:
    from lathe.records import Bundle

    return run.folder.done(run.folder.bundle_record, Bundle, run.hashes["ship"])


def _arms(run: Run) -> dict[str, object]:
    from lathe.pipeline.stages import ARMS
    from lathe.records import EvalReport

    found = {arm: run.folder.done(run.folder.eval_report(arm), EvalReport, run.hashes[arm]) for arm in ARMS}
    return {arm: report for arm, report in found.items() if report is not None}


def _outcome(run: Run, decision: Decision | None) -> dict[str, object]:
    """The JSON document of a chain."""
    folder = run.folder
    return {
        "run": str(folder.path),
        "smoke": run.status().smoke,
        "verdict": decision.verdict if decision else None,
        "decision": decision.dump() if decision else None,
        "arms": {
            arm: {score["metric"]: score for score in report.dump()["scores"]}  # type: ignore[attr-defined]
            for arm, report in _arms(run).items()
        },
        **_teacher(run),
        "bundle": bundle.dump() if (bundle := _bundle(run)) else None,
        "report": str(folder.report_html) if folder.report_html.is_file() else None,
    }


def _teacher(run: Run) -> dict[str, object]:
    """What the recipe's teacher was asked and what it cost, where it has one."""
    from lathe.records.teacher import TeachRecord

    done = run.folder.done(run.folder.teacher_record, TeachRecord, run.hashes["teach"])
    return {} if run.locked.recipe.teacher is None or done is None else {"teacher": done.dump()}


def _show_outcome(run: Run, decision: Decision | None, screen: Screen, until: str | None) -> None:
    if decision is not None:
        if not screen.quiet:
            tables.arms(screen, _arms(run), decision.primary)  # type: ignore[arg-type]
        tables.verdict(screen, decision)
        if run.status().smoke:
            screen.say("  This was a smoke run: every part works. Its scores and its verdict mean nothing.")
    bundle = _bundle(run)
    if bundle is not None and not screen.quiet and until in (None, "ship", "report"):
        fidelity.formats(screen, bundle)
    if until == "ship" and decision is not None and bundle is None:
        screen.line("  Nothing is shipped after abort: the model failed its gates. Gates are in the recipe.")
    if until in (None, "report") and run.folder.report_html.is_file():
        screen.line()
        screen.line(f"  report  {run.folder.report_html}")
        if run.folder.bundle.is_dir():
            screen.line(f"  files   {run.folder.bundle}")


# ------------------------------------------------------------------------------------------ looking


def ask(args: argparse.Namespace, screen: Screen) -> Exit:
    """Base and tuned model on one text."""
    from lathe.pipeline import Run

    run = Run.open(args.run)
    screen.folder = run.folder
    answers = run.ask(text_given(args.text), args.schema)
    if screen.as_json:
        screen.document(answers)
        return Exit.DONE
    if answers["schema"]:
        screen.say(f"asked for the schema {answers['schema']}")
    for name, answer, style in (("base", answers["base"], "dim"), ("tuned", answers["tuned"], "bold")):
        screen.line()
        screen.line(f"{name}, cut at the token limit" if name in answers["cut"] else name, style)
        screen.line(answer)
    return Exit.DONE


def status(args: argparse.Namespace, screen: Screen) -> Exit:
    """Where a run stands."""
    from lathe.pipeline import Run
    from lathe.runs import all_runs

    found = [Path(args.run)] if args.run is not None else [folder.path for folder in all_runs(args.runs)]
    if not found:
        raise InputError(f"there is no run in {args.runs}", hint="lathe demo makes one.")
    now = Run.open(found[0]).status()
    if screen.as_json:
        screen.document(now.dump())
    else:
        tables.status(screen, now)
    return Exit.DONE


def ls(args: argparse.Namespace, screen: Screen) -> Exit:
    """All runs, newest first."""
    from lathe import status as runs_now
    from lathe.runs import all_runs

    states = [runs_now.status(folder) for folder in all_runs(args.runs)]
    if screen.as_json:
        screen.document([state.dump() for state in states])
        return Exit.DONE
    if not states:
        screen.say(f"there is no run in {args.runs}; lathe demo makes one")
        return Exit.DONE
    screen.table(
        ["run", "state", "verdict"],
        [[state.run, state.state, _worth(state)] for state in states],
    )
    return Exit.DONE


def _worth(state: Status) -> str:
    """A verdict, with what takes its meaning away."""
    return " · ".join(said for said in (state.verdict, "smoke run" if state.smoke else None) if said)


def schema(args: argparse.Namespace, screen: Screen) -> Exit:
    """The recipe's JSON Schema; with --json and without it is the same document."""
    from lathe.resolve import json_schema

    screen.document(json_schema())
    return Exit.DONE


# ------------------------------------------------------------------------------------------ making a base


def pretrain(args: argparse.Namespace, screen: Screen) -> Exit:
    """Trains a base model."""
    from lathe.pretraining import pretrain

    listener = listen(screen)

    def heard(numbers: Mapping[str, Any]) -> None:
        done, total = numbers["tokens"], numbers["num_tokens"]
        listener(
            {**numbers, "stage": "pretrain", "side": numbers["base"], "done": done, "total": total, "unit": "token"}
        )

    result = pretrain(args.recipe, args.out, heard)
    if screen.as_json:
        screen.document(result.dump())
    else:
        screen.line(f"  base model  {args.out}")
    return Exit.DONE

"""The verb `evaluate`: the arms of a recipe measured, and what is measured of a run on demand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lathe.cli import verbs
from lathe.cli.progress import listen
from lathe.cli.show import Screen
from lathe.errors import Exit, InputError
from lathe.safe_text import typed

if TYPE_CHECKING:
    from lathe.evaluate.probes import Judge

BELONGS_TO: Mapping[str, tuple[str | None, ...]] = {
    "--endpoint": (None, "judge"),
    "--model": (None, "judge"),
    "--price": ("judge",),
    "--max-cost": ("judge",),
    "--prompts": ("adversarial",),
    "--verdicts": ("adversarial",),
    "--tasks": ("general",),
    "--task-folder": ("general",),
    "--limit": ("general",),
}
"""Options, and the probes that read them; None = read without a probe."""


ENDINGS = {
    "none": "without an answer: the endpoint sent no text; each counts as wrong",
    "length": "cut at the token limit",
}
"""How an answer may end that says more of the endpoint than of its model."""


def evaluate(args: argparse.Namespace, screen: Screen) -> Exit:
    """All arms of the recipe, or one more: a model behind an endpoint."""
    if (args.endpoint is None) != (args.model is None):
        raise InputError(
            "--endpoint and --model go together",
            hint="--endpoint http://localhost:8000/v1 --model NAME, as the endpoint lists it",
        )
    given = [name for name in BELONGS_TO if getattr(args, name[2:].replace("-", "_")) is not None]
    if args.regrade:
        needless = given if args.probe is None else ["--probe", *given]
        if needless:
            raise InputError("--regrade asks nothing", hint=f"Leave {' and '.join(needless)} out.")
        return _regrade(args, screen)
    if fault := out_of_place(given, args.probe):
        raise fault
    if args.probe == "constrained":
        return _constrained(args, screen)
    if args.probe == "general":
        return _general(args, screen)
    if args.probe is not None:
        return _probe(args, screen)
    return verbs.stage(args, screen) if args.endpoint is None else _endpoint(args, screen)


def out_of_place(given: Sequence[str], probe: str | None) -> InputError | None:
    """What is said where options were given that nothing would read. given: names of BELONGS_TO; probe: None = none asked for."""
    unread = [name for name in given if probe not in BELONGS_TO[name]]
    if not unread:
        return None
    asked = "a measurement without --probe" if probe is None else f"--probe {probe}"
    readers = [
        f"{name} is for {' or '.join(f'--probe {one}' if one else 'no probe' for one in BELONGS_TO[name])}"
        for name in unread
    ]
    return InputError(f"{asked} does not read {' and '.join(unread)}", hint=f"{'; '.join(readers)}.")


def _regrade(args: argparse.Namespace, screen: Screen) -> Exit:
    """All arms by the scorer of today, and the decision where there is one."""
    from lathe.cli import tables
    from lathe.decide import primary
    from lathe.records import Decision

    run = verbs.start(args, screen, weights=False)
    found = run.regrade()
    decided = run.folder.decision.is_file()
    decision = run.folder.load(run.folder.decision, Decision) if decided else None
    if screen.as_json:
        arms = {arm: report.dump() for arm, report in found.items()}
        screen.document({"run": str(run.folder.path), "arms": arms, "decision": decision and decision.dump()})
        return Exit.DONE
    tables.arms(screen, found, primary(run.locked))
    if decision is not None:
        tables.verdict(screen, decision)
    return Exit.DONE


def _probe(args: argparse.Namespace, screen: Screen) -> Exit:
    """A probe of all measured arms, side by side; for labels beside what was generated freely."""
    from lathe.report import figures

    run, judge = verbs.start(args, screen), _judge(args)
    found = run.probe(args.probe, args.prompts, args.verdicts, listen(screen), judge)
    if screen.as_json:
        screen.document({"run": str(run.folder.path), "arms": {arm: report.dump() for arm, report in found.items()}})
        return Exit.DONE
    reports = list(found.values())
    rows = []
    for score in reports[0].scores:
        cells = [report.score(score.metric) for report in reports]
        rows.append(
            [
                score.metric,
                *(
                    figures.with_interval(figures.quantity(c.metric, c.value), figures.quantity_bounds(c.metric, c))
                    for c in cells
                    if c is not None
                ),
            ]
        )
    screen.line()
    screen.table([figures.counted(reports[0].n, "item"), *found], rows)
    for arm, report in found.items():
        for finding in report.findings:
            screen.line(f"  {arm}: {finding.message}", "yellow" if finding.level == "warning" else "")
            if finding.hint:
                screen.say(f"    {finding.hint}")
    return Exit.DONE


def _judge(args: argparse.Namespace) -> Judge | None:
    """Who compares answers, and what it may cost."""
    if args.max_cost is not None and args.price is None:
        raise InputError("--max-cost needs --price, by which cost is counted", hint="--price 3,15 --max-cost 2")
    if args.endpoint is None:
        return None
    from lathe.contracts import Endpoint
    from lathe.evaluate.probes import Judge
    from lathe.records.paid import Prices

    prices = None if args.price is None else Prices(input=args.price[0], output=args.price[1])
    return Judge(Endpoint(args.endpoint, args.model), prices, args.max_cost)


def _constrained(args: argparse.Namespace, screen: Screen) -> Exit:
    """The models once more with their answers held to their form, beside what they wrote freely."""
    from lathe.report import figures, form_effect

    run = verbs.start(args, screen)
    found = run.constrain(listen(screen))
    if screen.as_json:
        screen.document({"run": str(run.folder.path), **found.dump()})
        return Exit.DONE
    rows = [
        [row.arm, row.metric, row.free, row.held, row.difference, row.tally, row.p] for row in form_effect.rows(found)
    ]
    screen.line()
    screen.table(
        [
            figures.counted(found.n, "test item"),
            "",
            "written freely",
            "held to the form",
            "difference",
            "only held : only freely right",
            "p",
        ],
        rows,
    )
    for arm in found.arms:
        if said := form_effect.words(arm, found.metric):
            screen.line(f"  {arm.arm}, {found.metric}: {said}")
        if arm.cut:
            screen.line(f"  {arm.arm}: {figures.counted(arm.cut, 'answer')} cut at the token limit", "yellow")
        for finding in arm.findings:
            screen.line(f"  {arm.arm}: {finding.message}", "yellow" if finding.level != "info" else "")
    return Exit.DONE


def _general(args: argparse.Namespace, screen: Screen) -> Exit:
    """Base and tuned model on what they were not tuned for; exit 1 where something fell, surely."""
    from lathe.report import figures

    if args.tasks is None:
        raise InputError(
            "--probe general needs tasks to ask", hint="--tasks arc_easy,hellaswag; their names: lm-eval ls tasks"
        )
    run = verbs.start(args, screen)
    found = run.general(args.tasks, args.task_folder, args.limit, listen(screen))
    if screen.as_json:
        screen.document({"run": str(run.folder.path), **found.dump()})
        return Exit.NO if found.findings else Exit.DONE
    rows = []
    for one in found.figures:
        gap = one.difference
        enough = f"not decided; {figures.score(one.detectable)} would be found" if one.detectable else "not decided"
        rows.append(
            [
                gap.metric,
                figures.estimated(one.base),
                figures.estimated(one.tuned),
                figures.gained(gap.difference, gap),
                f"{gap.wins} : {gap.losses}",
                enough if one.judged == "undecided" else one.judged,
            ]
        )
    screen.line()
    screen.table(
        [
            f"{figures.counted(found.n, 'item')}, {found.package}",
            "base",
            "tuned",
            "tuned less base",
            "only tuned : only base better",
            "",
        ],
        rows,
    )
    for finding in found.findings:
        screen.line(f"  {finding.message}", "yellow")
        screen.say(f"    {finding.next_action}")
    for note in found.notes:
        screen.line(f"  {note.message}")
    return Exit.NO if found.findings else Exit.DONE


def _endpoint(args: argparse.Namespace, screen: Screen) -> Exit:
    from lathe.contracts import Endpoint
    from lathe.report import figures

    run, listener = verbs.start(args, screen), listen(screen)
    run.go(until="prepare", progress=listener)
    report = run.evaluate_endpoint(Endpoint(args.endpoint, args.model), listener)
    if screen.as_json:
        screen.document({"run": str(run.folder.path), "arm": report.arm, "report": report.dump()})
        return Exit.DONE
    rows = [
        [
            score.metric,
            figures.with_interval(
                figures.quantity(score.metric, score.value), figures.quantity_bounds(score.metric, score)
            ),
        ]
        for score in report.scores
    ]
    screen.line()
    screen.table([figures.counted(report.n, "test item"), report.arm], rows)
    doubts = [finding.message for finding in report.findings if finding.level != "info"]
    for told in (*unusual_endings(report.finish), *doubts):
        screen.line(f"  {told}", "yellow")
    arm = typed(f"{run.folder.path}:{report.arm}")
    screen.say(f"  held against the tuned model: lathe compare {typed(run.folder.path)} {arm}")
    return Exit.DONE


def unusual_endings(finish: Mapping[str, int]) -> list[str]:
    """How answers ended that say more of the endpoint than of its model. finish: ending -> answers."""
    from lathe.report import figures

    return [f"{figures.counted(finish[end], 'item')} {words}" for end, words in ENDINGS.items() if finish.get(end)]

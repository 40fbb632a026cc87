"""Tables and the verdict, each from a record."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lathe.cli.show import VERDICT_COLOUR, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text

    from lathe.plan.fit import Fitted
    from lathe.plan.foreign import Exported
    from lathe.records import (
        Decision,
        DoctorReport,
        EvalReport,
        MachineForecast,
        MachineProbe,
        Plan,
        Schedule,
        Status,
        StepRate,
        ValidationPlan,
    )
    from lathe.records.teacher import TeachForecast

ARM_ORDER = ("tuned", "rule", "base-few", "base-zero")
WHISKER_WIDTH = 25


def whisker(low: float | None, value: float | None, high: float | None, width: int = WHISKER_WIDTH) -> str:
    """An interval between 0 and 1 as text: `····├──●──┤····`. Empty where nothing was measured."""
    if value is None:
        return ""
    place = [
        min(width - 1, max(0, round(x * (width - 1)))) for x in (low or 0.0, value, high if high is not None else 1.0)
    ]
    if low is None or high is None:
        place[0] = place[2] = place[1]
    cells = ["·"] * width
    for cell in range(place[0], place[2] + 1):
        cells[cell] = "─"
    cells[place[0]], cells[place[2]], cells[place[1]] = "├", "┤", "●"
    return "".join(cells)


def arms(screen: Screen, reports: Mapping[str, EvalReport], primary: str) -> None:
    """All arms on the same items: the primary metric as a picture, the others as numbers."""
    from rich.text import Text

    from lathe.report import figures, samples

    shown = [reports[arm] for arm in ARM_ORDER if arm in reports]
    if not shown:
        return
    others = [s.metric for s in shown[0].scores if s.metric != primary and not s.metric.startswith("slmbench_")][:2]
    clean = [f"of the {shown[0].clean().n:,} not seen before"] if shown[0].seen_before else []
    drawable = getattr(sys.stdout, "encoding", "utf-8").lower().startswith("utf")
    rows = []
    for report in shown:
        score = report.score(primary)
        strong = "bold" if report.arm == "tuned" else ""
        row = [Text(report.arm, style=strong)]
        if score is None:
            row += [Text(figures.NOT_MEASURED), Text("")]
        else:
            picture = whisker(score.low, score.value, score.high) if drawable else ""
            row += [Text(figures.estimated(score), style=strong), Text(picture)]
        for _ in clean:
            without = report.clean().score(primary)
            row.append(Text(figures.estimated(without) if without else "", strong))
        for metric in others:
            other = report.score(metric)
            row.append(Text(figures.score(other.value) if other else figures.NOT_MEASURED, style=strong))
        rows.append(row)
    screen.line()
    n = shown[0].n
    screen.table(
        [f"{figures.counted(n, 'test item')}", primary, "0" + "1".rjust(WHISKER_WIDTH - 1), *clean, *others], rows
    )
    for report in shown:
        if said := samples.over_samples(report, primary):
            screen.line(f"  {report.arm}: {said}")


def verdict(screen: Screen, decision: Decision) -> None:
    """The one line that a person can retell."""
    from rich.text import Text

    word, _, rest = screen.safe(decision.line).partition(" ")
    console, indent = screen.console("out"), " " * (len(word) + 4)
    if console.is_terminal:
        rest = folded(rest.strip(), console.width - len(indent), f"\n{indent}")
    line = Text.assemble("  ", (word, f"bold {VERDICT_COLOUR[decision.verdict]}"), "  ", rest.strip())
    screen.line()
    console.print(line, soft_wrap=True)


def folded(line: str, width: int, between: str) -> str:
    """A line of parts, broken between parts where it is too wide."""
    lines = [""]
    for part in line.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(part)
    return between.join(lines)


def plan(screen: Screen, record: Plan) -> None:
    """What a run will cost: exact figures, then estimates with their ends."""
    from lathe.report import figures

    schedule, peak, time_ = record.schedule, record.peak_bytes, record.train_seconds
    where = f" on the {record.gpu}" if record.gpu else ""
    screen.line()
    rows = [
        ["trainable parameters", figures.count(record.parameters.trainable), f"of {figures.count(record.parameters.total)}"],
        ["optimiser steps", figures.count(schedule.num_steps), f"{figures.count(schedule.warmup_steps)} of them warm-up"],
        ["tokens of the rows", figures.count(schedule.num_tokens), f"in {figures.count(schedule.num_packs)} packs"],
        *_shared_rows(schedule),
        ["tokens with loss", figures.count(schedule.num_supervised), ""],
        ["longest row", f"{figures.count(schedule.longest_row)} tokens", f"{figures.count(schedule.truncated_rows)} rows cut"],
        ["peak memory", figures.size(peak.value), f"{figures.size(peak.low)} to {figures.size(peak.high)}, "
         f"{figures.size(record.free_bytes)} free{where}: " + ("fits" if record.fits() else "DOES NOT FIT")],
    ]  # fmt: skip
    rows += [[f"  {term.name}", figures.size(term.num_bytes), term.formula] for term in record.memory]
    if time_ is None:
        rows.append(["training time", "not known", "no rate was measured on this machine yet"])
    else:
        closer = ": lathe doctor --probe tells it closer" if record.rate_source == "catalogue" else ""
        ends = f"{figures.seconds(time_.low)} to {figures.seconds(time_.high)}, rate {record.rate_source}{closer}"
        rows.append(["training time", figures.seconds(time_.value), ends])
    if record.validation is not None:
        rows += _validation_rows(record.validation)
    screen.table(["planned", "", ""], rows, right=(1,))
    for finding in record.findings:
        screen.line(f"  {finding.id}: {finding}", "yellow")


def teaching(screen: Screen, forecast: TeachForecast) -> None:
    """What asking a teacher may take, by the length of what is sent and how long answers may be."""
    from lathe.report import figures

    prompt, new, cost = forecast.prompt_tokens, forecast.new_tokens, forecast.cost
    rows = [
        ["rows wanted", figures.count(forecast.rows), "invented" if forecast.invents else "answers to texts"],
        ["requests", figures.count(forecast.requests), f"{figures.counted(forecast.kept, 'answer')} there already"],
        ["tokens to read", figures.count(prompt.value), f"{figures.count(prompt.low)} to {figures.count(prompt.high)}"],
        ["tokens to write", figures.count(new.value), f"{figures.count(new.low)} to {figures.count(new.high)}"],
    ]
    if cost is None:
        rows.append(["cost", "not known", "teacher.price_per_million names no prices"])
    else:
        ends = f"{figures.money(cost.low)} to {figures.money(cost.high)}"
        limit = (
            "no teacher.max_cost"
            if forecast.max_cost is None
            else f"teacher.max_cost {figures.money(forecast.max_cost)}"
        )
        spent = f", {figures.money(forecast.spent)} spent" if forecast.spent else ""
        verdict = "" if forecast.affordable() else ": DOES NOT FIT"
        rows.append(["cost", figures.money(cost.value), f"{ends}, {limit}{spent}{verdict}"])
    screen.table([f"{forecast.model} at {forecast.host}", "", ""], rows, right=(1,))
    for finding in forecast.findings:
        screen.line(f"  {finding.id}: {finding.message}", "yellow")
    screen.line("  Nothing was sent. lathe prepare and lathe run ask for the rows; then the rest can be planned.")


def _shared_rows(schedule: Schedule) -> list[list[str]]:
    """How many tokens are computed, where those are fewer than the rows have."""
    from lathe.report import figures

    if schedule.num_computed in (None, schedule.num_tokens):
        return []
    less = figures.percent(1 - schedule.num_computed / schedule.num_tokens)
    why = f"{less} less: what rows of a pack begin with alike counts once"
    return [["tokens computed", figures.count(schedule.num_computed), why]]


def _validation_rows(asked: ValidationPlan) -> list[list[str]]:
    """What answers to validation rows cost beside the steps."""
    from lathe.report import figures

    most = f"at most {figures.count(asked.most_tokens)}; {figures.count(asked.prompt_tokens)} of prompts are read"
    rows = [
        ["validations", figures.count(asked.times), f"{figures.counted(asked.rows, 'row')} each time"],
        ["tokens of their right answers", figures.count(asked.right_tokens), most],
    ]
    if asked.seconds is None:
        return [*rows, ["validation time", "not known", "no such model has answered on this machine yet"]]
    ends = f"{figures.seconds(asked.seconds.low)} to {figures.seconds(asked.seconds.high)}, beside the steps"
    return [*rows, ["validation time", figures.seconds(asked.seconds.value), ends]]


def bare(screen: Screen, said: Mapping[str, Any]) -> None:
    """Parameters by group, and the weights in each storage."""
    from lathe.report import figures

    rows = [[name, figures.count(number)] for name, number in said["parameters_by_group"].items()]
    rows += [
        ["total", figures.count(said["parameters_total"])],
        ["trainable", figures.count(said["parameters_trainable"])],
    ]
    rows += [[f"weights in {storage}", figures.size(size)] for storage, size in said["weight_bytes"].items()]
    if "stored" in said:
        stored = said["stored"]
        formats = ", ".join(f"{figures.count(count)} in {dtype}" for dtype, count in stored["by_dtype"].items())
        rows.append([f"weight files: {formats}", figures.size(stored["num_bytes"])])
    screen.table([f"parameters, counted {said['counted']}", ""], rows, right=(1,))
    if "targets_without_layer" in said:
        screen.line(f"  no layer is called {', '.join(said['targets_without_layer'])}", "yellow")
    if "padded" in said:
        padded = said["padded"]
        terms = [[term["name"], figures.size(term["num_bytes"]), term["formula"]] for term in padded["memory"]]
        screen.line()
        screen.table([padded["said"], figures.size(padded["num_bytes"]), ""], terms, right=(1,))
        screen.line(f"  most of it: {padded['largest']}", "yellow")


def machines(screen: Screen, forecasts: Sequence[MachineForecast]) -> None:
    """Training on each machine: does it fit, how long, for how much; every figure with its ends."""
    from lathe.report import figures

    rows = []
    for one in forecasts:
        peak = f"{figures.size(one.peak_bytes.value)} of {figures.size(one.memory_bytes)}"
        time = money = figures.NOT_MEASURED
        if one.seconds is not None:
            time = f"{figures.seconds(one.seconds.low)} to {figures.seconds(one.seconds.high)}"
        if one.money is not None:
            money = f"{one.money.low:.4f} to {one.money.high:.4f} {one.currency}"
        rows.append(
            [one.machine, "fits" if one.fits else "DOES NOT FIT", peak, time, money, f"rate: {one.rate_source}"]
        )
    screen.line()
    screen.table(["training on", "", "peak memory", "time", "cost", ""], rows)
    screen.line(
        "  training only; memory of the whole machine; rates of data sheets, prices assumed (all with --json)",
        "dim",
    )


def fitted(screen: Screen, found: Mapping[str, Fitted | None]) -> None:
    """The nearest setting that fits each machine, ready to be typed."""
    from lathe.report import figures

    screen.line()
    for name, one in found.items():
        if one is None:
            screen.line(
                f"  {name}: no token budget, precision or rank fits; use a smaller base or shorter rows", "yellow"
            )
        elif not one.sets:
            screen.line(f"  {name}: the recipe fits as it is")
        else:
            screen.line(f"  {name}: {' '.join(f'--set {line}' for line in one.sets)}")
            screen.line(
                f"      then the peak is {figures.size(one.peak_bytes.low)} to {figures.size(one.peak_bytes.high)}",
                "dim",
            )


def exported(screen: Screen, path: Path, rows: Sequence[str], made: Exported) -> None:
    """What was written for another trainer, and what that trainer is not told."""
    screen.line(f"  wrote   {path}, {', '.join(rows)}")
    screen.line()
    screen.line("  without counterpart, or not quite:", "dim")
    for key, why in made.without.items():
        screen.line(f"  {key:20} {why}")


def probe(screen: Screen, found: MachineProbe) -> None:
    """What was measured, and what was in the way."""
    widths = sorted({one.width for one in found.steps})
    screen.line(f"  {found.device}: training steps in GFLOP/s, by hidden width")
    rates = {(_kind(one), one.width): one.rate for one in found.steps}
    rows = [
        [*kind, *(f"{rates[kind, width] / 1e9:,.0f}" if (kind, width) in rates else "" for width in widths)]
        for kind in dict.fromkeys(map(_kind, found.steps))
    ]
    screen.table(["step", "threads", *map(str, widths)], rows, right={1, *range(2, 2 + len(widths))})
    if found.busy > 1:
        screen.line(
            "  the machine was busy with other work, so it can be faster than this; probe again when it is idle",
            "yellow",
        )


def _kind(one: StepRate) -> tuple[str, str]:
    """Of a step, and its threads."""
    return f"{one.step} {one.precision}{', all weights' if one.full else ''}", str(one.threads)


def doctor(screen: Screen, report: DoctorReport) -> None:
    """The machine, and each ability with what was seen and what would mend it."""
    from rich.text import Text

    from lathe.cli import stage_lines

    screen.line(f"  {stage_lines.machine(report)}")
    screen.line()
    rows: list[list[str | Text]] = []
    for capability in report.capabilities:
        mark = Text("yes", style="green") if capability.ok else Text("no", style="yellow")
        rows.append([capability.name, mark, capability.detail])
        if capability.remedy and not capability.ok:
            rows.append(["", "", f"→ {capability.remedy}"])
    screen.table(["", "", ""], rows)


def status(screen: Screen, now: Status) -> None:
    """`runs/2026-11-20T081500-demo-3f9c1a  running · train 40 of 93 · loss 0.521 · 28 s left · 0.9 GB`"""
    from lathe.report import figures

    parts: list[str] = [now.state, *(["smoke run"] if now.smoke else [])]
    if now.stage and now.done is not None:
        of = "" if now.total is None else f" of {figures.count(now.total)}"
        parts.append(f"{now.stage} {figures.count(now.done)}{of}")
    elif now.stage:
        parts.append(now.stage)
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.validating is not None:
        parts.append(f"validating, {now.validating} rows")
    if now.metric is not None:
        parts.append(figures.validated(now.metric, now.value, now.best, now.best_step))
    if now.seconds_left is not None:
        parts.append(f"{figures.seconds(now.seconds_left)} left")
    if now.peak_bytes is not None:
        parts.append(figures.size(now.peak_bytes))
    if now.verdict:
        parts.append(now.verdict)
    screen.line(f"{now.run}  {' · '.join(parts)}")

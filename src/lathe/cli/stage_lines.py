"""What one finished stage has to say, in one line made from its record.

("data", "1,400 rows: 978 train · 140 validation · 282 test · no near-duplicates")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lathe.records import (
    Bundle,
    DoctorReport,
    EvalReport,
    Manifest,
    Plan,
    StageRecord,
    TrainResult,
)
from lathe.records.teacher import TeachForecast, TeachRecord
from lathe.report import figures, samples

SAID_ALOUD = ("layout", "left_out", "earlier_answers")
"""Remarks about the data that a person hears of in any case: how it was read, and what was not read or is not trained."""


@dataclass(frozen=True)
class Line:
    """One line of the screen, and remarks to stand under it."""

    label: str
    text: str
    remarks: tuple[str, ...] = ()


def line(record: StageRecord | TeachForecast) -> Line | None:
    """The line of a finished stage; None for stages whose result is shown elsewhere (decide, report)."""
    if isinstance(record, DoctorReport):
        return Line("machine", machine(record), tuple(f"{c.name}: {c.detail}" for c in record.capabilities if not c.ok))
    if isinstance(record, TeachForecast):
        return Line("teacher", teaching(record), tuple(finding.message for finding in record.findings))
    if isinstance(record, TeachRecord):
        return Line("teacher", taught(record))
    if isinstance(record, Manifest):
        said = [f for f in record.findings if f.level != "info" or f.id in SAID_ALOUD]
        remarks = tuple(f.message if f.level == "info" else f"{f.level}: {f.message}" for f in said)
        return Line("data", manifest(record), remarks)
    if isinstance(record, Plan):
        return Line("plan", plan(record), tuple(str(finding) for finding in record.findings))
    if isinstance(record, TrainResult):
        return Line("train", train(record), record.notes)
    if isinstance(record, EvalReport):
        return Line(record.arm, arm(record))
    if isinstance(record, Bundle):
        return Line("ship", bundle(record), tuple(shipping_remarks(record)))
    return None


def machine(report: DoctorReport) -> str:
    """`2 cores · 25.0 GB memory, 22.1 GB free · no GPU`"""
    found = report.machine
    parts = []
    if found.get("cores"):
        parts.append(figures.counted(int(found["cores"]), "core"))
    if found.get("memory_bytes"):
        free = f", {figures.size(found['free_bytes'])} free" if found.get("free_bytes") else ""
        parts.append(f"{figures.size(found['memory_bytes'])} memory{free}")
    gpus = found.get("gpus") or []
    parts.append(" + ".join(str(g.get("name", g) if isinstance(g, dict) else g) for g in gpus) if gpus else "no GPU")
    return " · ".join(parts)


def teaching(forecast: TeachForecast) -> str:
    """`40 requests to big-model at api.example.com for 200 rows · about 0.12 (0.05 to 0.60), at most 2`"""
    asked = f"{figures.counted(forecast.requests, 'request')} to {forecast.model} at {forecast.host}"
    parts = [f"{asked} for {figures.counted(forecast.rows, 'row')}"]
    if forecast.kept:
        parts.append(f"{figures.counted(forecast.kept, 'answer')} there already")
    if forecast.cost is None:
        tokens = forecast.prompt_tokens.value + forecast.new_tokens.value
        return " · ".join([*parts, f"about {figures.count(tokens)} tokens", "no prices are known"])
    low, value, high = (figures.money(each) for each in (forecast.cost.low, forecast.cost.value, forecast.cost.high))
    limit = "no limit" if forecast.max_cost is None else f"at most {figures.money(forecast.max_cost)}"
    return " · ".join([*parts, f"about {value} ({low} to {high}), {limit}"])


def taught(record: TeachRecord) -> str:
    """`200 rows by big-model at api.example.com · 12 refused · 44 answers, 4 asked for now · 61,200 tokens · cost 0.11`"""
    parts = [f"{figures.counted(record.rows, 'row')} by {record.model} at {record.host}"]
    if record.refused:
        parts.append(f"{figures.count(sum(record.refused.values()))} refused")
    answers = figures.counted(record.requests, "answer")
    parts.append(
        answers if record.sent == record.requests else f"{answers}, {figures.count(record.sent)} asked for now"
    )
    parts.append(f"{figures.count(record.prompt_tokens + record.new_tokens)} tokens")
    if record.cost is not None:
        parts.append(f"cost {figures.money(record.cost)}")
    return " · ".join(parts)


def manifest(record: Manifest) -> str:
    """`1,400 rows: 978 train · 140 validation · 282 test · 3 near-duplicates dropped`; nothing left out goes unsaid."""
    sides = " · ".join(
        f"{figures.count(side.rows)} {name}" + (f" ({figures.count(side.made)} of them variants)" if side.made else "")
        for name, side in record.sides.items()
    )
    text = f"{figures.counted(sum(side.rows for side in record.sides.values()), 'row')}: {sides}"
    if record.dropped_from_train:
        text += f" · {figures.counted(record.dropped_from_train, 'near-duplicate')} dropped from train"
    else:
        text += " · no near-duplicates"
    if record.rejected:
        text += f" · {figures.count(record.rejected)} rejected"
    return text


def plan(record: Plan) -> str:
    """`93 steps · 412,003 tokens · peak 900.0 MB of 22.1 GB · about 47 s`"""
    schedule = record.schedule
    parts = [
        figures.counted(schedule.num_steps, "step"),
        f"{figures.count(schedule.num_tokens)} tokens",
        f"peak {figures.size(record.peak_bytes.value)} of {figures.size(record.free_bytes)}",
    ]
    if record.train_seconds is not None:
        parts.append(f"about {figures.seconds(record.train_seconds.value)}")
    if record.validation is not None and record.validation.seconds is not None:
        parts.append(f"validations {figures.seconds(record.validation.seconds.value)}")
    if not record.fits():
        parts.append("does not fit")
    return " · ".join(parts)


def train(record: TrainResult) -> str:
    """`93 steps · loss 2.31 → 0.12 · 8,900 tokens/s · peak 0.9 GB`"""
    parts = [figures.counted(record.num_steps, "step")]
    if record.first_loss is not None and record.last_loss is not None:
        parts.append(f"loss {record.first_loss:.2f} → {record.last_loss:.3f}")
    parts += [f"{figures.count(record.tokens_per_second)} tokens/s", f"peak {figures.size(record.peak_bytes)}"]
    if record.validations:
        parts.append(kept_weights(record))
    if record.resumed:
        parts.append(f"continued {figures.counted(record.resumed, 'time')}")
    return " · ".join(parts)


def kept_weights(record: TrainResult) -> str:
    """`json_exact 0.41 at step 60, ended early`: of the weights that were kept, on validation rows"""
    chosen = next((one.score for one in record.validations if one.step == record.chosen_step), None)
    if chosen is None:
        return figures.NOT_MEASURED
    ended = {"done": "", "early": ", ended early", "collapsed": ", collapsed"}[record.stop]
    return f"{chosen.metric} {figures.score(chosen.value)} at step {figures.count(record.chosen_step or 0)}{ended}"


def arm(report: EvalReport) -> str:
    """`json_exact 0.41 [0.35, 0.48] · 282 test items`, and how answers were drawn, where they were"""
    if not report.scores:
        return figures.NOT_MEASURED
    first = report.scores[0]
    text = f"{first.metric} {figures.estimated(first)}"
    text = " · ".join([text, figures.counted(report.n, "test item"), *filter(None, [samples.drawn(report)])])
    cut = report.finish.get("length", 0)
    return f"{text} · {figures.count(cut)} cut at the token limit" if cut else text


def bundle(record: Bundle) -> str:
    """`adapter 1.2 MB · merged 14.2 MB · withheld: gguf_q4_0`"""
    parts = [
        f"{shipped.kind} {figures.size(sum(file.num_bytes for file in shipped.files))}" for shipped in record.shipped
    ]
    if record.withheld:
        parts.append(f"withheld: {', '.join(held.kind for held in record.withheld)}")
    return " · ".join(parts)


def shipping_remarks(record: Bundle) -> Iterator[str]:
    """What a person must know of each GGUF file, and why a file was held back."""
    for shipped in record.shipped:
        for check in shipped.checked:
            if check.id in ("next_tokens", "task") or (check.id == "blocks" and check.measured["narrow_share"]):
                yield f"{shipped.kind}: {check.message}"
    for held in record.withheld:
        for check in held.failed:
            yield f"withheld {held.kind}: {check.message}"

"""What a recipe means: do the tasks, corpora, exports, trainers and metrics that it names exist, and do they fit?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from lathe import invariants, plugins
from lathe.contracts import Endpoint, Validates
from lathe.errors import InputError, did_you_mean
from lathe.records import Json
from lathe.records.results import AMOUNTS, SHARES
from lathe.records.teacher import TEACHER
from lathe.resolve.strict_yaml import Path

SHARE_KINDS = ("proportion", "macro_f1", "micro_f1")
"""Kinds of metric whose values lie from 0 to 1, whatever the task is."""
RIVALS = ("base", "rule", "base-zero", "base-few")
"""Arms that a gate may ask to be beaten."""
OF_EVERY_ROW = ("id", "system")
"""Fields of a row whatever its task is."""
CORPUS_PREFIX = "lathe:"

Said = tuple[Path, str, str | None]
"""Where, what is wrong, what to do."""


def meaning_faults(value: dict[str, Json]) -> Iterator[Said]:
    """Faults in the meaning of a recipe's values. Values of a wrong type are skipped: another check names them."""
    task = value.get("task")
    yield from unknown(("task",), "task", task, plugins.names("tasks"))
    yield from unknown(("trainer",), "trainer", value.get("trainer"), plugins.names("trainers"))
    yield from trainer_faults(part(value, "train"), value.get("trainer"))
    for index, export in enumerate(items(value.get("ship"))):
        yield from unknown(("ship", index), "export", export, plugins.names("exports"))
    yield from corpus_faults(part(value, "data").get("source"), task)
    yield from teacher_faults(value)
    yield from invariant_faults(part(part(value, "data"), "invariants"))
    for key in ("train", "validation", "test"):
        place = part(value, "data").get(key)
        if isinstance(place, str) and place.startswith(CORPUS_PREFIX):
            yield (
                ("data", key),
                f"got {place}, expected a file",
                "A generated corpus is named by `data.source`, and Lathe splits it.",
            )
    if isinstance(task, str) and task in plugins.names("tasks"):
        of_task = plugins.load("tasks", task).metrics
        yield from metric_faults(value, (*(metric.name for metric in of_task), *AMOUNTS, *SHARES))
        yield from share_faults(value, {*SHARES, *(metric.name for metric in of_task if metric.kind in SHARE_KINDS)})
        yield from field_faults(part(part(value, "data"), "fields"), plugins.load("tasks", task).fields)
    for name, ends in part(value, "expect").items():
        if (
            isinstance(ends, list)
            and len(ends) == 2
            and all(isinstance(end, int | float) for end in ends)
            and ends[0] > ends[1]
        ):
            yield ("expect", name), f"got [{ends[0]}, {ends[1]}], expected the lower end first", None


def trainer_faults(train: dict[str, Json], name: Any) -> Iterator[Said]:
    """What the recipe asks of a trainer that cannot do it: to answer validation rows while it trains, to share its steps."""
    if not isinstance(name, str) or name not in plugins.names("trainers"):
        return
    trainer, processes = plugins.load("trainers", name), train.get("processes")
    if part(train, "validate").get("every") is not None and not isinstance(trainer, Validates):
        said = f"the trainer {name} cannot answer validation rows while it trains"
        yield ("train", "validate", "every"), said, "Set trainer: native, or leave train.validate out."
    if isinstance(processes, int) and processes > 1 and not trainer.shares_steps:
        said = f"the trainer {name} trains in one process, got {processes}"
        yield ("train", "processes"), said, "Set trainer: native, or leave train.processes out."


def corpus_faults(source: Any, task: Any) -> Iterator[Said]:
    """Faults of `data.source` where it names a generated corpus."""
    if not isinstance(source, str) or not source.startswith(CORPUS_PREFIX):
        return
    name, known = source.removeprefix(CORPUS_PREFIX), plugins.names("corpora")
    if name not in known:
        yield ("data", "source"), f"there is no corpus {source}", did_you_mean(name, known, CORPUS_PREFIX + "{}")
        return
    made_for = plugins.load("corpora", name).task
    if isinstance(task, str) and made_for != task:
        fits = f"it makes rows for the task {made_for}" if made_for else "it makes text for pretraining"
        hint = f"Set task: {made_for}, or take rows made for {task}." if made_for else "Use it with `lathe pretrain`."
        yield ("data", "source"), f"{source} does not fit the task {task}: {fits}", hint


def teacher_faults(value: dict[str, Json]) -> Iterator[Said]:
    """Faults of a teacher and of what its rows are for."""
    data, teacher = part(value, "data"), value.get("teacher")
    used = [key for key in ("source", "train", "validation", "test") if data.get(key) == TEACHER]
    for key in used:
        if key in ("validation", "test"):
            hint = "A teacher's rows are trained on: data.train, or data.source, which Lathe splits."
            yield ("data", key), f"got {TEACHER}, expected a file", hint
        elif teacher is None:
            yield ("data", key), "the recipe has no part `teacher`", f"Write one; a file of that name is ./{TEACHER}."
    if not isinstance(teacher, dict):
        return
    if not used:
        yield ("teacher",), "no rows are asked of it", f"Set data.train, or data.source, to {TEACHER}."
    from lathe import endpoint  # loads what speaks HTTP

    url, model = teacher.get("endpoint"), teacher.get("model")
    if isinstance(url, str) and isinstance(model, str):
        try:
            endpoint.check(Endpoint(url, model))
        except InputError as error:
            yield ("teacher", "endpoint" if model.strip() else "model"), error.message, error.hint


def invariant_faults(rules: dict[str, Json]) -> Iterator[Said]:
    """Rules that cannot be read."""
    for group, texts in rules.items():
        for index, text in enumerate(items(texts)):
            if isinstance(text, str):
                try:
                    invariants.parse(text)
                except InputError as error:
                    yield ("data", "invariants", group, index), error.message, error.hint


def field_faults(mapped: dict[str, Json], fields: Sequence[str]) -> Iterator[Said]:
    """Columns that are mapped to a field which the task does not read: it would go on reading another column."""
    for name in mapped:
        yield from unknown(("data", "fields", name), "field", name, (*fields, *OF_EVERY_ROW))


def metric_faults(value: dict[str, Json], metrics: Sequence[str]) -> Iterator[Said]:
    """Metrics and arms that gates and forecasts name."""
    for index, gate in enumerate(items(value.get("gates"))):
        if isinstance(gate, dict):
            yield from unknown(("gates", index, "metric"), "metric", gate.get("metric"), metrics)
            yield from unknown(("gates", index, "better_than"), "arm", gate.get("better_than"), RIVALS)
    for name in part(value, "expect"):
        yield from unknown(("expect", name), "metric", name, metrics)


def share_faults(value: dict[str, Json], shares: Collection[str]) -> Iterator[Said]:
    """Limits of shares that no share can reach, or that every one keeps: 80 where 0.8 is meant."""
    limits: list[tuple[Path, Json, Json]] = [
        (("gates", index, key), gate.get("metric"), gate.get(key))
        for index, gate in enumerate(items(value.get("gates")))
        if isinstance(gate, dict)
        for key in ("at_least", "at_most")
    ]
    limits += [(("expect", name), name, end) for name, ends in part(value, "expect").items() for end in items(ends)]
    for path, metric, limit in limits:
        if metric in shares and isinstance(limit, int | float) and not 0 <= limit <= 1:
            meant = f"Is {limit / 100:g} meant? " if 1 < limit <= 100 else ""
            yield path, f"got {limit:g}, and {metric} is from 0 to 1", f"{meant}Shares are written as 0.8, not as 80."


def unknown(path: Path, noun: str, name: Any, known: Iterable[str]) -> Iterator[Said]:
    """One fault where `name` is a text that is not among `known`."""
    names = list(known)
    if isinstance(name, str) and name not in names:
        yield path, f"there is no {noun} {name!r}", did_you_mean(name, names)


def part(value: dict[str, Json], key: str) -> dict[str, Json]:
    """A part of the recipe as a mapping; empty where it is something else."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def items(found: Json) -> list[Json]:
    """A list of the recipe; empty where it is something else."""
    return found if isinstance(found, list) else []

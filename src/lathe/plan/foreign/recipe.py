"""Another trainer's configuration as a Lathe recipe, with what was left out and what is wrong in front of it.

adopted = adopt(Path("axolotl.yaml"), rows=1388, config=None)
adopted.text, adopted.findings, adopted.facts
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lathe.errors import InputError
from lathe.plan import configuration
from lathe.plan.foreign.lint import Course, adapter, course, every_so_many, lint, targets
from lathe.plan.foreign.settings import SCHEDULES, Told, read
from lathe.records import PlanFinding

LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]+")
"""What would end a comment in YAML."""
TOO_LONG = {
    "truncate": "true      # longer rows are cut, as there; each cut is counted",
    "drop": "true      # longer rows are cut, and each cut is counted; there they are left out",
    "raise": "false      # longer rows are a fault, as there",
}
"""`train.truncate` by what the other tool does with rows above its limit."""
PLAIN = re.compile(r"^[A-Za-z_./][A-Za-z0-9_./-]*$")


@dataclass(frozen=True)
class Adopted:
    """A configuration, understood."""

    told: Told
    text: str
    """The recipe."""
    findings: tuple[PlanFinding, ...]
    facts: Mapping[str, Any]
    """steps, steps_per_epoch, epochs, examples_per_step and, with the base's config.json, parameters."""


def adopt(path: Path, rows: int | None = None, config: Mapping[str, Any] | None = None) -> Adopted:
    """Reads a configuration, checks it and writes it as a recipe.

    rows: training rows, where the configuration does not say and its file is not there. config: the base's config.json, where the
    base is no folder here. Raises InputError where it cannot be read, RecipeError where a recipe cannot say what it means.
    """
    told = read(path)
    rows = rows or told.whole("rows") or _rows_of(told, path.parent)
    base = Path(str(told.values["base"]))
    if config is None and (base / "config.json").is_file():
        config = configuration.read(base)
    way = course(told, rows)
    facts: dict[str, Any] = {
        "train_rows": rows,
        "examples_per_step": way.batch,
        "steps_per_epoch": way.per_epoch,
        "steps": way.steps,
        "epochs": round(way.epochs, 3) if way.epochs is not None else None,
    }
    if config is not None:
        total, _ = configuration.counts(config, None)
        facts["parameters_total"] = total.total
        with contextlib.suppress(InputError):  # targets that match nothing are a finding
            facts["parameters_trainable"] = configuration.counts(config, adapter(told))[0].trainable
    findings = lint(told, rows, config)
    return Adopted(told, _text(path, told, way, rows, facts, findings), findings, facts)


def train_file(told: Told) -> str | None:
    """File of the training rows, as the configuration names it."""
    return _file(told.values.get("datasets")) or _file(told.values.get("train_file"))


def _file(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given:
        return _file(given[0])
    if isinstance(given, Mapping):
        return _file(given.get("path"))
    return None


def _rows_of(told: Told, folder: Path) -> int | None:
    """Rows of the training file, where it is a file of lines that is here."""
    name = train_file(told)
    if name is None or not name.endswith(".jsonl"):
        return None
    path = next((place for place in (Path(name), folder / name) if place.is_file()), None)
    if path is None:
        return None
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip()) or None


def _text(
    path: Path, told: Told, way: Course, rows: int | None, facts: Mapping[str, Any], findings: tuple[PlanFinding, ...]
) -> str:
    lines = [f"# From {path.name}, a configuration of {told.tool}. Its own steps: {_steps(way, rows)}."]
    if "parameters_trainable" in facts:
        lines.append(f"# It trains {facts['parameters_trainable']:,} of {facts['parameters_total']:,} parameters.")
    if findings:
        lines += ["#", "# What is wrong with it:"]
        lines += [f"#   {one.id}: {one}" for one in findings]
    if told.without_effect:
        lines += ["#", "# Without effect here:"]
        lines += [f"#   {key}: {reason}" for key, reason in told.without_effect.items()]
    if told.unknown:
        lines += ["#", f"# Not known here, and left out: {', '.join(told.unknown)}"]
    return "\n".join([*(LINE_BREAKS.sub(" ", line) for line in lines), "", *_recipe(path, told, way)]) + "\n"


def _steps(way: Course, rows: int | None) -> str:
    if way.steps is None:
        return f"{way.batch} rows each, how many is known with the number of rows (--rows)"
    seen = f" = {way.epochs:.4g} epochs of {rows:,} rows" if rows and way.epochs is not None else ""
    return f"{way.steps:,} of {way.batch} rows{seen}"


def _recipe(path: Path, told: Told, way: Course) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(told.values.get("name") or path.stem)).strip("-._")[:80] or "adopted"
    train = train_file(told)
    lines = [
        f"name: {_quoted(name)}",
        f"base: {_quoted(str(told.values['base']))}",
        "task: json_extraction      # not said by the configuration: what a right answer is",
        "",
        "data:",
        f"  train: {_quoted(train or 'train.jsonl')}" + ("" if train else "      # not said by the configuration"),
    ]
    validation = _file(told.values.get("test_datasets")) or _file(told.values.get("validation_file"))
    if validation is not None:
        lines.append(f"  validation: {_quoted(validation)}")
    if told.whole("limit"):
        lines.append(f"  limit: {told.whole('limit')}")
    lora = adapter(told)
    lines += ["", "method:"]
    if lora is None:
        lines.append("  kind: full")
    else:
        names = targets(told)
        said = names if isinstance(names, str) else f"[{', '.join(_quoted(one) for one in names)}]"
        quantised = told.flag("four_bit") or str(told.values.get("method", "")).lower() == "qlora"
        lines += [
            f"  kind: lora{'      # its 4-bit base is not trained here yet: unquantised' if quantised else ''}",
            f"  rank: {lora.rank}",
            f"  alpha: {told.number('alpha') or 2 * lora.rank:g}",
            f"  dropout: {told.number('dropout') or 0:g}",
            f"  targets: {said}",
        ]
    lines += ["", "train:", *(f"  {key}: {value}" for key, value in _train(told, way).items())]
    return [*lines, "", f"seed: {told.whole('seed') or 0}"]


def _train(told: Told, way: Course) -> dict[str, str]:
    """The `train` part. A limit of steps keeps its passes: a step here is the same set of rows."""
    limit = told.whole("max_steps")
    epochs = told.number("epochs") or 3.0
    if limit is not None and limit > 0 and way.epochs is not None:
        epochs = max(epochs, way.epochs)
    said = {"epochs": f"{epochs:.6g}"}
    if limit is not None and limit > 0:
        said["max_steps"] = str(limit)
    said["examples_per_step"] = str(way.batch)
    said["learning_rate"] = f"{told.number('learning_rate') or 5e-5:.10f}".rstrip("0")
    warmup = told.number("warmup_share")
    if warmup is None and way.warmup is not None and way.steps:
        # Rounded down, for a share of the steps is rounded up to whole ones.
        warmup = math.floor(1e6 * way.warmup / way.steps) / 1e6
    said["warmup_share"] = f"{min(warmup or 0.0, 0.99):.6g}"
    said["schedule"] = SCHEDULES[str(told.values.get("schedule", "linear")).lower()]
    if "8bit" in str(told.values.get("optimiser", "")).lower().replace("_", ""):
        said["optimiser"] = "adamw8bit"
    said["weight_decay"] = f"{told.number('weight_decay') or 0:g}"
    clip = told.number("clip_norm")
    if clip is not None:
        said["clip_norm"] = f"{clip:g}" if clip else "null      # off, as there"
    limit_tokens = told.whole("max_tokens")
    if limit_tokens is not None:
        said |= {"max_tokens": str(limit_tokens), "truncate": TOO_LONG[_too_long(told)]}
    every = told.whole("save_steps")
    if every:
        said["checkpoint_every"] = str(every)
    if told.whole("save_total_limit"):
        said["keep_checkpoints"] = str(told.whole("save_total_limit"))
    measured = _validate(told, way)
    if measured:
        said["validate"] = f"{{{measured}}}      # by answers to validation rows; there by their loss"
    if told.flag("bf16"):
        said["precision"] = "bf16"
    elif str(told.values.get("dtype")) == "float32":
        said["precision"] = "fp32"
    return said


def _validate(told: Told, way: Course) -> str:
    """The keys of `train.validate`, where the other tool keeps the best weights or ends training early; else empty."""
    patience = told.whole("patience")
    if way.steps is None or not (told.flag("load_best") or patience):
        return ""
    by_epochs = str(told.values.get("eval_strategy", "")).lower() == "epoch"
    every = way.per_epoch if by_epochs else every_so_many(told, "eval", way.steps)
    if every is None or every > way.steps:
        return ""
    return f"every: {every}" + (f", patience: {patience}" if patience else "")


def _too_long(told: Told) -> str:
    """What becomes of longer rows; Axolotl leaves them out unless it is told otherwise, the others always cut."""
    said = str(told.values.get("too_long", "drop" if told.tool == "Axolotl" else "truncate"))
    return said if said in TOO_LONG else "drop"


def _quoted(text: str) -> str:
    return (
        text if PLAIN.match(text) and text.lower() not in ("null", "true", "false", "yes", "no") else json.dumps(text)
    )

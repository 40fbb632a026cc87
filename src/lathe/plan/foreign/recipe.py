"""Another trainer's configuration as a Lathe recipe, with what was left out and what is wrong in front of it.

adopted = adopt(Path("axolotl.yaml"), rows=1388, config=None)
adopted.text, adopted.findings, adopted.facts
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lathe.errors import InputError
from lathe.plan import configuration
from lathe.plan.foreign.lint import AXOLOTL_SHARE, Course, adapter, course, every_so_many, lint, targets
from lathe.plan.foreign.rows import Folders, data_lines, held_out, in_file, trained
from lathe.plan.foreign.settings import SCHEDULES, Told, read
from lathe.records import PlanFinding, TrainSpec
from lathe.safe_text import yaml_text

LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]+")
"""What would end a comment in YAML."""
TOO_LONG = {
    "truncate": "true      # longer rows are cut, as there; each cut is counted",
    "drop": "true      # longer rows are cut, and each cut is counted; there they are left out",
    "raise": "false      # longer rows are a fault, as there",
}
"""`train.truncate` by what the other tool does with rows above its limit."""
ITS_DEFAULT = "      # not said: its default"


@dataclass(frozen=True)
class Adopted:
    """A configuration, understood."""

    told: Told
    text: str
    """The recipe."""
    findings: tuple[PlanFinding, ...]
    facts: Mapping[str, Any]
    """steps, steps_per_epoch, epochs, examples_per_step (or packs_per_step), the rows of both sides and, with the base's
    config.json, parameters."""


def adopt(
    path: Path, rows: int | None = None, config: Mapping[str, Any] | None = None, recipe_folder: Path | None = None
) -> Adopted:
    """Reads a configuration, checks it and writes it as a recipe.

    rows: training rows, where the configuration does not say and its file is not there. config: the base's config.json, where the
    base is no folder here. recipe_folder: where the recipe will lie; None = beside the configuration. Raises InputError where it
    cannot be read, RecipeError where a recipe cannot say what it means.
    """
    told = read(path)
    folders = Folders(path.parent, path.parent if recipe_folder is None else recipe_folder)
    there = in_file(told, folders)
    rows = rows or told.whole("rows") or (trained(told, there) if there else None)
    base = folders.place(str(told.values["base"]), Path.is_dir)
    if config is None and base is not None and (base / "config.json").is_file():
        config = configuration.read(base)
    way = course(told, rows)
    facts: dict[str, Any] = {
        "train_rows": rows,
        "validation_rows": (held_out(told, there) or None) if there and rows == trained(told, there) else None,
        "examples_per_step": None if way.packed else way.batch,
        "packs_per_step": way.batch if way.packed else None,
        "steps_per_epoch": way.per_epoch,
        "steps": way.steps,
        "epochs": round(way.epochs, 3) if way.epochs is not None else None,
    }
    if config is not None:
        total = configuration.counts(config, None).parameters
        facts["parameters_total"] = total.total
        with contextlib.suppress(InputError):  # targets that match nothing are a finding
            facts["parameters_trainable"] = configuration.counts(config, adapter(told)).parameters.trainable
    findings = lint(told, rows, config)
    return Adopted(told, _text(path, told, way, rows, facts, findings, folders), findings, facts)


def _text(
    path: Path,
    told: Told,
    way: Course,
    rows: int | None,
    facts: Mapping[str, Any],
    findings: tuple[PlanFinding, ...],
    folders: Folders,
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
    return (
        "\n".join([*(LINE_BREAKS.sub(" ", line) for line in lines), "", *_recipe(path, told, way, rows, folders)])
        + "\n"
    )


def _steps(way: Course, rows: int | None) -> str:
    each = f"{way.batch} pack{'s' if way.batch > 1 else ''}" if way.packed else f"{way.batch}"
    if way.steps is None:
        known_with = "the rows' tokens" if way.packed else "the number of rows (--rows)"
        return f"{each if way.packed else f'{each} rows'} each, how many is known with {known_with}"
    seen = f" = {way.epochs:.4g} epochs of {rows:,} rows" if rows and way.epochs is not None else ""
    return f"{way.steps:,} of {each}{seen}"


def _recipe(path: Path, told: Told, way: Course, rows: int | None, folders: Folders) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(told.values.get("name") or path.stem)).strip("-._")[:80] or "adopted"
    lines = [
        f"name: {yaml_text(name)}",
        f"base: {yaml_text(_base(told, folders))}",
        "task: json_extraction      # not said by the configuration: what a right answer is. A task's own prompt goes around each",
        "                           # text; with `task: chat` rows are trained as they stand",
        "",
        *data_lines(told, rows, folders),
    ]
    lora = adapter(told)
    lines += ["", "method:"]
    if lora is None:
        lines.append("  kind: full")
    else:
        names = targets(told)
        said = names if isinstance(names, str) else f"[{', '.join(yaml_text(one) for one in names)}]"
        lines += [
            f"  kind: {_kind(told)}",
            f"  rank: {lora.rank}{_unsaid(told, 'rank')}",
            f"  alpha: {_alpha(told, lora.rank)}",
            f"  dropout: {_number(told, 'dropout', told.defaults.dropout):g}{_unsaid(told, 'dropout')}",
            f"  targets: {said}",
        ]
    lines += ["", "train:", *(f"  {key}: {value}" for key, value in _train(told, way).items())]
    return [*lines, "", f"seed: {int(_number(told, 'seed', told.defaults.seed))}{_unsaid(told, 'seed')}"]


def _base(told: Told, folders: Folders) -> str:
    """The base as the recipe says it: a folder, or a name on the Hub with its revision."""
    name, revision = str(told.values["base"]), str(told.values.get("revision") or "main")
    if folders.place(name, Path.is_dir) is not None or revision == "main":
        return folders.said(name, Path.is_dir)
    return f"{name}@{revision}"


def _number(told: Told, setting: str, default: float) -> float:
    """What is said, or the tool's own value; nothing is not zero."""
    said = told.number(setting)
    return default if said is None else said


def _unsaid(told: Told, setting: str) -> str:
    """The comment behind a value that the configuration leaves to its tool."""
    return "" if setting in told.values else ITS_DEFAULT


def _kind(told: Told) -> str:
    """The method of an adapter. A 4-bit base beside `adapter: lora` is a finding, and the adapter's word holds."""
    if told.quantises:
        return "qlora"
    return f"lora      # {told.keys['four_bit']} is left out" if told.flag("four_bit") else "lora"


def _alpha(told: Told, rank: int) -> str:
    said, default = told.number("alpha"), told.defaults.alpha
    if said or default:
        return f"{said or default:g}{_unsaid(told, 'alpha')}"
    return f"{2 * rank}      # not said: twice the rank"


def _train(told: Told, way: Course) -> dict[str, str]:
    """The `train` part. A limit of steps keeps its passes: a step here is the same set of rows."""
    limit = told.whole("max_steps")
    epochs = told.number("epochs") or told.defaults.epochs
    limited = limit is not None and limit > 0
    if limited and way.epochs is not None:
        epochs = max(epochs, way.epochs)
    said = {"epochs": f"{epochs:.6g}{'' if limited else _unsaid(told, 'epochs')}"}
    if limited:
        said["max_steps"] = str(limit)
    packs = "      # packs there, and rows here: see packs_not_rows" if way.packed else ""
    said["examples_per_step"] = f"{way.batch}{packs}"
    said["learning_rate"] = _learning_rate(told)
    schedule = str(told.values.get("schedule", told.defaults.schedule)).lower()
    # The plain constant schedule of transformers has no warm-up, whatever is said of one.
    warmup = 0.0 if schedule == "constant" else _warmup_share(told, way)
    said["warmup_share"] = f"{min(warmup, 0.99):.6g}"
    said["schedule"] = f"{SCHEDULES[schedule]}{_unsaid(told, 'schedule')}"
    if "8bit" in str(told.values.get("optimiser", "")).lower().replace("_", ""):
        said["optimiser"] = "adamw8bit"
    said["weight_decay"] = f"{told.number('weight_decay') or 0:g}"
    clip = told.number("clip_norm")
    if clip is not None:
        said["clip_norm"] = f"{clip:g}" if clip else "null      # off, as there"
    limit_tokens = told.whole("max_tokens") or told.defaults.max_tokens
    said |= {"max_tokens": f"{limit_tokens}{_unsaid(told, 'max_tokens')}", "truncate": TOO_LONG[_too_long(told)]}
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


def _learning_rate(told: Told) -> str:
    rate = told.number("learning_rate") or told.defaults.learning_rate
    if rate is None:
        return f"{TrainSpec().learning_rate:g}      # not said, and {told.tool} needs one: Lathe's default"
    return f"{Decimal(repr(rate)):f}" + _unsaid(told, "learning_rate")


def _warmup_share(told: Told, way: Course) -> float:
    """Of the steps. Steps are rounded down as a share, for a share of the steps is rounded up to whole ones."""
    share = told.number("warmup_share")
    if way.steps and way.warmup is not None and (share is None or told.tool == "Axolotl"):
        return math.floor(1e6 * way.warmup / way.steps) / 1e6
    unknown = AXOLOTL_SHARE if told.tool == "Axolotl" and "warmup_steps" not in told.values else 0.0
    return unknown if share is None else share


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

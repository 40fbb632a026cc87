"""What is wrong with another trainer's configuration: the arithmetic of its own steps, all of it at once.

A pass of n rows is ceil(ceil(n / micro batch) / accumulation) steps, as in the Trainer of transformers 5; Axolotl counts
ceil(n x epochs / batch) itself. Where a tool packs rows, its steps are not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lathe.errors import InputError
from lathe.plan import memory
from lathe.plan.architecture import DEFAULTS, Shapes, shapes
from lathe.plan.findings import found
from lathe.plan.foreign.settings import Told
from lathe.plan.parameters import Adapter, adapted, of
from lathe.records import PlanFinding

FEW_TEST_ROWS = 100
AXOLOTL_SHARE = 0.03
"""Warm-up of Axolotl where nothing is said: TrainerBuilderBase._configure_warmup_and_logging."""
AT_THE_END = "transformers 5.23 adds the last step, older ones may not"
"""Of saves and evaluations by steps: DefaultFlowCallback.on_step_end."""


@dataclass(frozen=True)
class Course:
    """The steps that the other tool would take. None = not known without the number of rows, or of packs where it packs."""

    batch: int
    """Rows of one optimiser step, or packs."""
    packed: bool
    per_epoch: int | None
    steps: int | None
    epochs: float | None
    """Passes over the rows that the steps really are."""
    warmup: int | None


def course(told: Told, rows: int | None) -> Course:
    """Steps, from the configuration and the number of training rows."""
    micro, accumulation = told.whole("micro_batch") or told.defaults.micro_batch, told.whole("accumulation") or 1
    batch, packed = micro * accumulation, told.packs
    epochs, limit = told.number("epochs") or told.defaults.epochs, told.whole("max_steps")
    limited = limit is not None and limit > 0
    # How many packs the rows become depends on their tokens, and nothing is encoded here.
    per_epoch = math.ceil(math.ceil(rows / micro) / accumulation) if rows and not packed else None
    if limited:
        steps = limit
    elif rows and per_epoch:
        steps = axolotl_steps(rows, epochs, batch) if told.tool == "Axolotl" else math.ceil(epochs * per_epoch)
    else:
        steps = None
    real: float | None = epochs
    if limited:
        real = steps * batch / rows if steps and rows and not packed else None
    return Course(batch, packed, per_epoch, steps, real, _warmup(told, steps))


def axolotl_steps(rows: int, epochs: float, batch: int) -> int:
    """Axolotl counts its steps itself, over all epochs at once, and ends there: utils.trainer.calculate_total_num_steps."""
    return math.ceil(rows * epochs / batch)


def _warmup(told: Told, steps: int | None) -> int | None:
    """Steps of warm-up by each tool's own rule; None where nothing is said or it is a share of steps that are not known."""
    given, share = told.whole("warmup_steps"), told.number("warmup_share")
    if told.tool == "Axolotl":
        return _axolotl_warmup(share, steps) if given is None else given
    fraction = told.number("warmup_steps")
    if share is None and fraction is not None and 0 < fraction < 1:
        share = fraction  # transformers 5 reads it so
    if given is not None or share is None or steps is None:
        return given
    return math.ceil(share * steps)


def _axolotl_warmup(share: float | None, steps: int | None) -> int | None:
    """A share is rounded down; without a word it is 3 %, at most 100 steps; and one step becomes two."""
    if steps is None:
        return None
    planned = int(share * steps) if share is not None else min(int(AXOLOTL_SHARE * steps), 100)
    return 2 if planned == 1 else planned


def adapter(told: Told) -> Adapter | None:
    """What the configuration trains; None = everything."""
    full = str(told.values.get("method", "lora")).lower() in ("full", "") or told.values.get("adapters") is False
    asked = "method" in told.values or "rank" in told.values or told.flag("adapters")
    if full or not (asked or told.tool == "LLaMA-Factory"):
        return None
    return Adapter(told.whole("rank") or told.defaults.rank, targets(told))


def targets(told: Told) -> tuple[str, ...] | Any:
    """Adapter targets, `all-linear` in each tool's own words."""
    given = told.values.get("targets")
    if told.flag("all_linear") or given in ("all", "all-linear", ["all"], ["all-linear"]):
        return "all-linear"
    if given is None:
        return "all-linear" if told.tool == "LLaMA-Factory" else ("q_proj", "v_proj")
    names = given.split(",") if isinstance(given, str) else given
    return tuple(str(name).strip() for name in names)


def lint(told: Told, rows: int | None, config: Mapping[str, Any] | None) -> tuple[PlanFinding, ...]:
    """Every contradiction. rows: of training; config: the base's config.json; what needs one that is not known is left out."""
    model = shapes(config) if config and config.get("model_type") in DEFAULTS else None
    return (
        *_packing(told),
        *_schedule(told, rows),
        *_method(told),
        *_rows(told),
        *(_model(told, model) if model else ()),
    )


def _packing(told: Told) -> Iterator[PlanFinding]:
    """That a step is a number of packs, where it is: of how many rows is not known without their tokens."""
    if not told.packs:
        return
    key = told.keys["packing" if told.flag("packing") else "neat_packing"]
    batch, limit = course(told, None).batch, told.whole("max_tokens")
    size = f"{limit:,} tokens" if limit else "its greatest length"
    like_it = f"{batch * limit:,}" if limit else f"{batch} x its greatest length in tokens"
    yield found(
        "packs_not_rows",
        f"{key}: its steps count packs of up to {size}, not rows: they are fewer, and how many is known with the rows' tokens",
        f"train.examples_per_step counts rows: like it would be {like_it} / the mean tokens of a row (lathe plan counts them)",
    )


def _schedule(told: Told, rows: int | None) -> Iterator[PlanFinding]:
    for setting in ("micro_batch", "accumulation", "max_steps"):
        value = told.number(setting)
        if value is not None and value != int(value):
            key = told.keys[setting]
            yield found(
                "fractional_count", f"{key} is {value:g}, and there is no part of a row", f"set {key} to 1 or more"
            )
    warmup_steps = told.number("warmup_steps")
    if warmup_steps is not None and 0 < warmup_steps < 1 and told.tool == "Axolotl":
        fix = f"write it as a share: warmup_ratio: {warmup_steps:g}"
        yield found("fractional_count", f"{told.keys['warmup_steps']} is {warmup_steps:g} of a step", fix)
    way = course(told, rows)
    steps = way.steps
    if steps is None:
        return
    if way.warmup is not None and way.warmup >= steps:
        yield found(
            "warmup_too_long",
            f"warm-up {way.warmup} of {steps} steps: the learning rate never reaches its peak",
            f"warm up for {max(1, steps // 20)} steps, or give a share",
        )
    saves, evaluates = every_so_many(told, "save", steps), every_so_many(told, "eval", steps)
    if saves is not None and saves > steps:
        yield found(
            "no_checkpoint",
            f"no checkpoint will be written before the end: {told.keys['save_steps']} {saves} of {steps} steps ({AT_THE_END})",
            f"set it to {max(1, steps // 4)}",
        )
        if told.flag("spot"):
            yield found(
                "spot_without_checkpoint", "a spot machine that is taken away loses the whole run", "write checkpoints"
            )
    if evaluates is not None and evaluates > steps:
        yield found(
            "no_evaluation",
            f"no evaluation will happen before the end: {told.keys['eval_steps']} {evaluates} of {steps} steps ({AT_THE_END})",
            f"set it to {max(1, steps // 4)}",
        )
    yield from _best(told, steps, saves, evaluates)
    limit = told.whole("max_steps")
    given = told.number("epochs")
    if rows and limit and limit > 0 and way.epochs is not None and given and abs(way.epochs - given) > 0.005:
        yield found(
            "epochs_overruled",
            f"{limit} steps of {way.batch} rows are {way.epochs:.3f} epochs of {rows:,} rows ({way.per_epoch} steps an epoch); "
            f"{told.keys['epochs']} {given:g} is overruled",
            "give one of the two",
        )


def every_so_many(told: Told, what: str, steps: int) -> int | None:
    """Steps between saves or evaluations; None where they go by epochs, are off, or nothing is said. A share counts of all."""
    strategy = str(told.values.get(f"{what}_strategy", "steps")).lower()
    every = told.number(f"{what}_steps")
    if strategy != "steps" or every is None or every <= 0:
        return None
    return math.ceil(every * steps) if every < 1 else int(every)


def _best(told: Told, steps: int, saves: int | None, evaluates: int | None) -> Iterator[PlanFinding]:
    if told.flag("load_best"):
        if (saves or 0) > steps or (evaluates or 0) > steps:
            yield found(
                "best_is_void",
                f"{told.keys['load_best']} has nothing to choose from: no checkpoint before the end has a measurement",
                "save and evaluate within the run",
            )
        elif saves and evaluates and saves % evaluates:
            yield found(
                "best_is_void",
                f"a checkpoint every {saves} steps and a measurement every {evaluates} do not meet",
                "make one a multiple of the other",
            )
        return
    keep = told.whole("save_total_limit")
    if keep and saves and evaluates and evaluates <= steps and steps // saves > keep:
        yield found(
            "best_deleted",
            f"{steps // saves} checkpoints are written and the last {keep} kept, whichever is the best",
            "set load_best_model_at_end: true, or keep all",
        )


def _method(told: Told) -> Iterator[PlanFinding]:
    if told.flag("four_bit") and told.tool == "Axolotl" and str(told.values.get("method", "")).lower() == "lora":
        yield found(
            "four_bit_with_lora",
            f"{told.keys['four_bit']} with {told.keys['method']}: lora says two things: 4-bit bases are qlora",
            "write qlora, or leave the base unquantised",
        )
    if told.flag("fp16") and told.flag("cpu"):
        yield found("fp16_on_cpu", "fp16 on a CPU has no gradient scaling and no speed", "use bf16 or float32")
    if told.flag("fp16") and told.flag("bf16"):
        yield found("two_precisions", "fp16 and bf16 are both switched on", "choose bf16")
    optimiser = str(told.values.get("optimiser", ""))
    if "paged" in optimiser:
        yield found(
            "optimiser_unpaged",
            f"{told.keys['optimiser']} {optimiser}: the moments of AdamW stay on the device here and are never moved off it",
            "nothing needs to be done; adapters are small",
        )
    penalty = told.number("repetition_penalty")
    if penalty is not None and penalty != 1.0:
        yield found(
            "repetition_penalty",
            f"a repetition penalty of {penalty:g} punishes answers that must repeat the text, as extraction does",
            "leave it out; Lathe answers greedily",
        )


def _rows(told: Told) -> Iterator[PlanFinding]:
    kinds = {
        str(one.get("type"))
        for one in told.values.get("datasets") or ()
        if isinstance(one, Mapping) and one.get("type")
    }
    if "completion" in kinds:
        yield found(
            "label_mask_ignored",
            "the label mask is ignored by `type: completion`: prompt and answer carry loss alike",
            "give the rows a prompt and an answer; Lathe lets only the answer carry loss",
        )
    tests = told.values.get("test_datasets") or ()
    for one in tests:
        kind = one.get("type") if isinstance(one, Mapping) else None
        if kind and kinds and str(kind) not in kinds:
            yield found(
                "sides_differ", f"test rows are read as {kind}, training rows as {', '.join(kinds)}", "read both alike"
            )
    share = told.number("validation_share")
    if (
        not share
        and not tests
        and not any(s in told.values for s in ("validation_file", "validation_rows", "test_rows"))
    ):
        yield found("no_validation", "no row is kept from training", "Lathe keeps 10 % to choose and 20 % to measure")
    test_rows = told.whole("test_rows")
    if test_rows is not None and test_rows < FEW_TEST_ROWS:
        yield found(
            "few_test_rows",
            f"with {test_rows} test rows a share is known to within {98 / math.sqrt(test_rows):.0f} points only",
            "measure on more rows",
        )


def _model(told: Told, model: Shapes) -> Iterator[PlanFinding]:
    limit = told.whole("max_tokens")
    if limit is not None and limit > model.context:
        yield found(
            "max_tokens_beyond_context",
            f"{told.keys['max_tokens']} {limit:,} is beyond the base's {model.context:,} tokens",
            f"set it to {model.context}",
        )
    lora = adapter(told)
    try:
        counted = of(model, lora)
    except InputError as error:
        yield found("targets_match_nothing", error.message, error.hint or "name layers of the model")
        return
    if lora is not None:
        layers = adapted(model, lora.targets)
        least = min(min(layer.fan_in, layer.fan_out) for layer in layers)
        if lora.rank > least:
            yield found(
                "rank_beyond_matrix", f"rank {lora.rank} is larger than a side of {least}", f"set it to {least} or less"
            )
    if limit is None:
        return
    half = told.flag("bf16") or told.flag("fp16") or str(told.values.get("dtype")) in ("bfloat16", "float16")
    rank, names = (lora.rank, lora.targets) if lora else (1, "all-linear")
    device = "cpu" if told.flag("cpu") else "cuda"
    setting = memory.Setting(
        0, 0, "bf16" if half else "fp32", lora is None, rank, names, 0, quantised=told.flag("four_bit"),
        device=device,  # type: ignore[arg-type]
    )  # fmt: skip
    terms = memory.padded(
        model,
        counted,
        setting,
        told.whole("micro_batch") or told.defaults.micro_batch,
        limit,
        told.flag("checkpointing"),
    )
    worst = memory.largest(terms)
    size = sum(term.num_bytes for term in terms)
    yield found(
        "padded_memory",
        f"full batches of {told.whole('micro_batch') or 8} x {limit:,} need about {size / 1e9:.1f} GB, most of it "
        f"{worst.name}: {worst.num_bytes / 1e9:.1f} GB ({worst.formula.removeprefix('estimate: ')})",
        "Lathe packs rows without padding and forms logits of answers only",
    )

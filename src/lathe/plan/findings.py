"""Contradictions in a recipe, each with its numbers and its fix: all of them at once, before anything is spent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lathe import stats
from lathe.plan import memory
from lathe.plan.architecture import Shapes
from lathe.plan.parameters import adapted
from lathe.records import MemoryTerm, Plan, PlanFinding, Recipe, Schedule
from lathe.records.results import AMOUNTS
from lathe.schedule.steps import StepPlan

FEW_STEPS = 10
POWER, DIFFERING = 0.8, 0.2
"""How likely a gain should be shown, and the share of rows on which two arms are taken to differ: an assumption."""
SHOWN = 40
"""Characters of an answer that are repeated."""
K_FORM, K_BLOCK = re.compile(r"gguf_q\d_k(_[sml])?"), 256
"""Forms in llama.cpp's K blocks, and weights of one: `engine.gguf.storage` knows more, by packages that a plan does without."""
TRL_TOOK = "trl took 1.2 to 1.6 times as much"
"""In five trainings of the bundled base with one thread: fp32 and bf16, 8 and 32 padded rows at a time."""
GGUF_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "smollm3", "phi3")
"""Types of model that can be written as GGUF: those of `engine.gguf.families`."""
LARGE_GAIN = 0.1
"""A gain that is worth a remark where it would likely be missed."""


@dataclass(frozen=True)
class Facts:
    """What the findings are about."""

    recipe: Recipe
    model: Shapes
    course: StepPlan
    schedule: Schedule
    test_rows: int
    longest_answer: int
    """Tokens of the longest right answer of the test and validation rows, end token included."""
    special_texts: int
    validation_rows: int = 0
    cores: int | None = None
    """Processor cores that a training may use here; None = not known."""
    computes_bf16: bool = True
    """Whether what computes multiplies bf16 in hardware."""


def all_of(facts: Facts, plan: Plan) -> tuple[PlanFinding, ...]:
    """Every contradiction with its id, what does not fit first."""
    return (
        *does_not_fit(plan),
        *_processes(facts, plan),
        *_trainer(facts),
        *_steps(facts),
        *_validation(facts),
        *_rows(facts),
        *_precision(facts, plan),
        *_method(facts),
        *_measurement(facts),
        *does_not_ship(facts.recipe.ship, facts.model),
    )


def found(id: str, message: str, fix: str) -> PlanFinding:
    """A finding. ids are words with underscores, never renamed."""
    return PlanFinding(id=id, message=message, fix=fix)


def does_not_fit(plan: Plan) -> Iterator[PlanFinding]:
    """Training, and evaluation, whose peak is above the free memory: by how much, and which term is the largest."""
    if not plan.trains():
        worst = memory.largest(plan.memory)
        yield found(
            "training_does_not_fit",
            f"the peak of {plan.peak_bytes.value / 1e9:.2f} GB (up to {plan.peak_bytes.high / 1e9:.2f}) is not within the "
            f"{plan.free_bytes / 1e9:.2f} GB that are free; the largest term is {worst.name} with {_gigabytes(worst)} "
            f"({worst.formula})",
            "lower train.token_budget or use a smaller base; lathe plan RECIPE --fit looks for the nearest setting that fits",
        )
    if not plan.answers():
        worst = memory.largest(plan.evaluate_memory)
        cache = sum(term.num_bytes for term in plan.evaluate_memory if term.name == memory.CACHE)
        whole = sum(term.num_bytes for term in plan.evaluate_memory)
        cache_decides = 1.1 * (whole - plan.answer_processes * cache) <= plan.free_bytes
        yield found(
            "evaluation_does_not_fit",
            f"generating answers needs {whole / 1e9:.2f} GB and {plan.free_bytes / 1e9:.2f} GB are free; the largest term is "
            f"{worst.name} with {_gigabytes(worst)} ({worst.formula})",
            "lower evaluate.token_budget" if cache_decides else _fewer_or_smaller(plan, whole),
        )


def _fewer_or_smaller(plan: Plan, whole: int) -> str:
    if plan.answer_processes > 1 and 1.1 * whole / plan.answer_processes <= plan.free_bytes:
        return "set train.threads: 1, so that one process answers"
    if any(term.name == memory.UNPACKED for term in plan.evaluate_memory):
        return "use a smaller base"
    return "use a smaller base, or set method.kind: qlora, whose base answers in 4 bits too"


def _gigabytes(term: MemoryTerm) -> str:
    return f"{term.num_bytes / 1e9:.2f} GB"


def _steps(facts: Facts) -> Iterator[PlanFinding]:
    train, course = facts.recipe.train, facts.course
    num = course.num_steps
    by_epochs = StepPlan(course.lengths_N, train.model_copy(update={"max_steps": None}), course.seed).num_steps
    if train.max_steps is not None and train.max_steps > by_epochs:
        yield found(
            "max_steps_unreached",
            f"train.max_steps {train.max_steps} is never reached: {train.epochs:g} epochs are {by_epochs} steps",
            "raise train.epochs or leave max_steps out",
        )
    if num < course.steps_per_epoch:
        yield found(
            "rows_unseen",
            f"the {num} steps end before every row was seen once: an epoch is {course.steps_per_epoch} steps",
            "raise train.max_steps or train.epochs",
        )
    if train.examples_per_step > course.num_examples:
        yield found(
            "step_beyond_rows",
            f"train.examples_per_step {train.examples_per_step} is more than the {course.num_examples} training rows, "
            "so each epoch is one step",
            "lower it",
        )
    elif num < FEW_STEPS:
        more = "lower train.examples_per_step or raise train.epochs"
        if num == train.max_steps:
            more = f"raise train.max_steps, and {more}" if by_epochs < FEW_STEPS else "raise train.max_steps"
        yield found("few_steps", f"{num} steps are very few to learn in", more)
    if 2 * course.warmup_steps > num:
        yield found(
            "warmup_too_long",
            f"warm-up takes {course.warmup_steps} of {num} steps, so the peak learning rate is hardly used",
            "lower train.warmup_share to 0.1 or less",
        )
    if min(train.checkpoint_every, train.validate_.every or train.checkpoint_every) > num:
        yield found(
            "no_checkpoint",
            f"train.checkpoint_every {train.checkpoint_every} is more than the {num} steps: the only checkpoint is the end, "
            "and a killed run begins anew",
            f"set it to {max(1, num // 4)}",
        )


def _processes(facts: Facts, plan: Plan) -> Iterator[PlanFinding]:
    if facts.cores is not None and plan.processes_here > facts.cores:
        yield found(
            "more_processes_than_cores",
            f"{plan.processes_here} processes on {facts.cores} processor cores wait for each other, each with torch and the model",
            f"set train.processes to {facts.cores} or less",
        )


def _trainer(facts: Facts) -> Iterator[PlanFinding]:
    name = facts.recipe.trainer
    if name != "native":
        yield found(
            "figures_of_native",
            f"packs and peak are those of the native trainer; {name} lays rows out in its own way, and padding takes more",
            f"leave room for more than the peak: {TRL_TOOK}; or set trainer: native",
        )


def _validation(facts: Facts) -> Iterator[PlanFinding]:
    asked, num = facts.recipe.train.validate_, facts.course.num_steps
    if asked.every is None:
        return
    if asked.rows > facts.validation_rows:
        yield found(
            "few_validation_rows",
            f"train.validate.rows {asked.rows} is more than the {facts.validation_rows} validation rows: all of them are answered",
            "lower it, or raise data.split.validation",
        )
    if asked.every > num:
        yield found(
            "no_evaluation",
            f"train.validate.every {asked.every} is more than the {num} steps: only the end is measured, so nothing is chosen",
            f"set it to {max(1, num // 4)}",
        )
    elif asked.patience is not None and asked.every * (asked.patience + 1) >= num:
        yield found(
            "patience_unreached",
            f"{asked.patience} validations of train.validate.patience after the first one need "
            f"{asked.every * (asked.patience + 1)} steps, and there are {num}: it never ends the training",
            "lower train.validate.every or patience",
        )


def _rows(facts: Facts) -> Iterator[PlanFinding]:
    train, schedule = facts.recipe.train, facts.schedule
    if train.max_tokens is not None and train.max_tokens > facts.model.context:
        yield found(
            "max_tokens_beyond_context",
            f"train.max_tokens {train.max_tokens} is beyond the base's context of {facts.model.context} tokens, "
            "which is the limit that holds",
            "lower it",
        )
    if schedule.longest_row > train.token_budget:
        yield found(
            "row_beyond_budget",
            f"the longest row has {schedule.longest_row} tokens and train.token_budget is {train.token_budget}: such rows are "
            "computed alone and decide the memory",
            "raise the budget to make it plain, or set train.max_tokens",
        )
    if schedule.truncated_rows:
        yield found(
            "rows_cut",
            f"{schedule.truncated_rows} of {schedule.num_examples} rows are cut at their end, so the model never sees how "
            "their answers end",
            "raise train.max_tokens or remove them"
            if train.max_tokens is not None and train.max_tokens < facts.model.context
            else f"shorten or remove them, or take a base whose context is above {facts.model.context} tokens",
        )
    if facts.special_texts:
        yield found(
            "special_texts",
            f"the rows' own text reads like a special token in {facts.special_texts} places; it is kept as plain text "
            "and ends or opens no turn",
            "nothing needs to be done where that is meant",
        )


def without_template() -> PlanFinding:
    """Of a base without a chat template: what `lathe check` says of its tokenizer."""
    return found(
        "no_template",
        "the base has no chat template; turns are written one a line, in training and in use alike",
        "take the variant of this base that was made for chats, or write a chat_template.jinja, where chats are what it is for",
    )


def unwritable_answers(number: int, rows: int, right: str, written: str) -> PlanFinding:
    """Of a tokenizer that loses characters. right, written: one of those answers, and what comes back of it."""
    return found(
        "unwritable_answers",
        f"{number} of {rows} right answers of the held-out rows come back from the base's tokenizer as another text "
        f"({_short(written)} for {_short(right)}), so no model of this base can write them",
        "take a base whose tokenizer keeps every character, or have the answers in those that it keeps",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _precision(facts: Facts, plan: Plan) -> Iterator[PlanFinding]:
    if facts.recipe.train.precision == "bf16" and not facts.computes_bf16:
        yield found(
            "bf16_emulated",
            f"train.precision is bf16, for which {plan.gpu or 'this processor'} has no instructions: a step takes several times as "
            "long as in fp32",
            "set train.precision: auto",
        )


def _method(facts: Facts) -> Iterator[PlanFinding]:
    method = facts.recipe.method
    if method.kind == "full":
        return
    layers = adapted(facts.model, method.targets)
    small = sorted(
        {linear.name.rpartition(".")[2] for linear in layers if method.rank > min(linear.fan_in, linear.fan_out)}
    )
    if small:
        yield found(
            "rank_beyond_matrix",
            f"method.rank {method.rank} is larger than a side of {', '.join(small)}: it adds parameters and no freedom",
            f"set it to {min(min(linear.fan_in, linear.fan_out) for linear in layers)} or less",
        )


def _measurement(facts: Facts) -> Iterator[PlanFinding]:
    evaluate = facts.recipe.evaluate
    if facts.test_rows == 0:
        yield found(
            "no_test_rows",
            "there are no test rows, so nothing can be decided",
            "raise data.split.test or name data.test",
        )
    else:
        half = _widest(facts.test_rows, evaluate.confidence)
        if half > 0.1:
            yield found(
                "few_test_rows",
                f"with {facts.test_rows} test rows a share is known to within {100 * half:.0f} points only "
                f"({evaluate.confidence:.0%} interval)",
                "more test rows make a decision possible",
            )
        yield from _gates(facts)
        yield from _gains(facts)
    if evaluate.max_new_tokens is not None and evaluate.max_new_tokens < facts.longest_answer:
        yield found(
            "answers_cut",
            f"evaluate.max_new_tokens {evaluate.max_new_tokens} is below the longest right answer of {facts.longest_answer} "
            "tokens, which would count as wrong",
            "leave it out",
        )


def does_not_ship(kinds: Sequence[str], model: Shapes) -> Iterator[PlanFinding]:
    """Forms that no model of this family, or no matrix of the base, can be written in; `lathe run` refuses them before it trains,
    and what a configuration's options forbid as well."""
    in_gguf = [kind for kind in kinds if kind.startswith("gguf_") or kind == "ollama"]
    if in_gguf and model.architecture not in GGUF_FAMILIES:
        yield found(
            "family_not_in_gguf",
            f"ship names {', '.join(in_gguf)}: a model of type {model.architecture} cannot be written as GGUF",
            f"ship it as merged, or take a base of a family that can: {', '.join(GGUF_FAMILIES)}",
        )
        return
    widths = {model.hidden, *(linear.fan_in for linear in model.layer)}
    if any(width % K_BLOCK == 0 for width in widths):
        return
    told = ", ".join(map(str, sorted(widths)))
    for kind in in_gguf:
        if K_FORM.fullmatch(kind):
            yield found(
                "rows_fit_no_block",
                f"ship names {kind}: no row of the base's matrices fits its blocks: they are {told} wide, expected a multiple of "
                f"{K_BLOCK}",
                "ship gguf_q8_0, gguf_q5_1 or gguf_q4_0",
            )


def _judged_at(recipe: Recipe) -> float:
    """The confidence that gates are held at by the first look at the test rows."""
    return 1 - stats.spent(recipe.evaluate.alpha, 1)


def _gates(facts: Facts) -> Iterator[PlanFinding]:
    """Gates that not even a model without a fault could pass on so few rows."""
    rows, tail = facts.test_rows, (1 - _judged_at(facts.recipe)) / 2
    best = stats.clopper_pearson(rows, rows, 1 - 2 * tail).low
    for gate in facts.recipe.gates:
        if gate.metric in AMOUNTS or gate.better_than is not None:  # rows alone say nothing about a limit on an amount
            continue
        rising = gate.at_least is not None
        limit = gate.at_least if gate.at_least is not None else gate.at_most or 0.0
        share = limit if rising else 1 - limit
        if gate.judge not in ("bound", "lower_bound" if rising else "upper_bound") or not best < share <= 1.0:
            continue
        bound = f"all {rows} test rows right the lower bound is {best:.3f}"
        if not rising:
            bound = f"none of the {rows} test rows counted the upper bound is {1 - best:.3f}"
        # Of n out of n the lower bound is the nth root of the tail.
        needed = math.ceil(math.log(tail) / math.log(share)) if share < 1.0 else None
        yield found(
            "gate_out_of_reach",
            f"the gate {gate.metric} {'at_least' if rising else 'at_most'} {limit:g} cannot be passed: with {bound}",
            f"use {needed:,} test rows or more, or judge: value"
            if needed
            else f"no number of rows is enough; set a limit {'below 1' if rising else 'above 0'}, or judge: value",
        )


def _gains(facts: Facts) -> Iterator[PlanFinding]:
    """Gates over another arm that so few rows cannot show, and gains that they would likely miss."""
    rows, confidence = facts.test_rows, _judged_at(facts.recipe)
    for gate in facts.recipe.gates:
        if gate.better_than is None or gate.judge == "value" or gate.metric in AMOUNTS:
            continue
        if stats.careful(rows, 0, rows, confidence).low <= gate.by:
            yield found(
                "gate_out_of_reach",
                f"the gate {gate.metric} better_than {gate.better_than} by {gate.by:g} cannot be passed: even a model that wins "
                f"all {rows} test rows is not shown to be that much better",
                "use more test rows, or a smaller margin",
            )
            continue
        gain = detectable_gain(rows, confidence)
        if gain > LARGE_GAIN:
            yield found(
                "gain_unseen",
                f"with {rows} test rows the gate {gate.metric} better_than {gate.better_than} likely misses a gain of less than "
                f"{100 * (gate.by + gain):.0f} points",
                f"{_rows_for(LARGE_GAIN, confidence)} test rows would likely show {100 * LARGE_GAIN:.0f} points",
            )


def detectable_gain(rows: int, confidence: float) -> float:
    """Difference of two shares, measured on the same rows, that is shown four times in five where the arms differ on one row in
    five: (z(confidence) + z(0.8)) sqrt(0.2 / n), Connor 1987, Biometrics 43:207, in its first-order form."""
    return (stats.critical(confidence) + stats.normal_quantile(POWER)) * math.sqrt(DIFFERING / rows)


def _rows_for(gain: float, confidence: float) -> int:
    """Rows at which `detectable_gain` is so small."""
    return math.ceil(DIFFERING * ((stats.critical(confidence) + stats.normal_quantile(POWER)) / gain) ** 2)


def _widest(rows: int, confidence: float) -> float:
    """Half the width of the interval of a share of one half, the widest there is."""
    low, high = stats.wilson(rows / 2, rows, confidence)
    return (high - low) / 2

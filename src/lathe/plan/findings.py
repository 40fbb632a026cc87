"""Contradictions in a recipe, each with its numbers and its fix: all of them at once, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lathe import stats
from lathe.plan.architecture import Shapes
from lathe.plan.parameters import adapted
from lathe.records import Plan, Recipe, Schedule
from lathe.schedule.steps import StepPlan

FEW_STEPS = 10


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


def contradictions(facts: Facts) -> tuple[str, ...]:
    """Every contradiction, as a sentence with what to change."""
    return (*_steps(facts), *_rows(facts), *_method(facts), *_measurement(facts))


def does_not_fit(plan: Plan) -> str | None:
    """The sentence for a plan whose peak is above the free memory: by how much, and which term is the largest."""
    if plan.fits():
        return None
    worst = max(plan.memory, key=lambda term: term.num_bytes)
    return (
        f"the peak of {plan.peak_bytes.value / 1e9:.2f} GB (up to {plan.peak_bytes.high / 1e9:.2f}) is not within the "
        f"{plan.free_bytes / 1e9:.2f} GB that are free; the largest term is {worst.name} with {worst.num_bytes / 1e9:.2f} GB "
        f"({worst.formula}): lower train.token_budget or use a smaller base"
    )


def _steps(facts: Facts) -> Iterator[str]:
    train, course = facts.recipe.train, facts.course
    num = course.num_steps
    by_epochs = StepPlan(course.lengths_N, train.model_copy(update={"max_steps": None}), course.seed).num_steps
    if train.max_steps is not None and train.max_steps > by_epochs:
        yield (
            f"train.max_steps {train.max_steps} is never reached: {train.epochs:g} epochs are {by_epochs} steps; "
            "raise train.epochs or leave max_steps out"
        )
    if num < course.steps_per_epoch:
        yield (
            f"the {num} steps end before every row was seen once: an epoch is {course.steps_per_epoch} steps; "
            "raise train.max_steps or train.epochs"
        )
    if train.examples_per_step > course.num_examples:
        yield (
            f"train.examples_per_step {train.examples_per_step} is more than the {course.num_examples} training rows, "
            "so each epoch is one step; lower it"
        )
    elif num < FEW_STEPS:
        yield f"{num} steps are very few to learn in; lower train.examples_per_step or raise train.epochs"
    if 2 * course.warmup_steps > num:
        yield (
            f"warm-up takes {course.warmup_steps} of {num} steps, so the peak learning rate is hardly used; "
            "lower train.warmup_share to 0.1 or less"
        )
    if train.checkpoint_every > num:
        yield (
            f"train.checkpoint_every {train.checkpoint_every} is more than the {num} steps: the only checkpoint is the end, "
            f"and a killed run begins anew; set it to {max(1, num // 4)}"
        )


def _rows(facts: Facts) -> Iterator[str]:
    train, schedule = facts.recipe.train, facts.schedule
    if train.max_tokens is not None and train.max_tokens > facts.model.context:
        yield (
            f"train.max_tokens {train.max_tokens} is beyond the base's context of {facts.model.context} tokens, "
            "which is the limit that holds; lower it"
        )
    if schedule.longest_row > train.token_budget:
        yield (
            f"the longest row has {schedule.longest_row} tokens and train.token_budget is {train.token_budget}: such rows are "
            "computed alone and decide the memory; raise the budget to make it plain, or set train.max_tokens"
        )
    if schedule.truncated_rows:
        yield (
            f"{schedule.truncated_rows} of {schedule.num_examples} rows are cut at their end, so the model never sees how "
            "their answers end; raise train.max_tokens or remove them"
        )
    if facts.special_texts:
        yield (
            f"the rows' own text reads like a special token in {facts.special_texts} places; it is kept as plain text "
            "and ends or opens no turn; nothing needs to be done where that is meant"
        )


def _method(facts: Facts) -> Iterator[str]:
    method = facts.recipe.method
    if method.kind == "full":
        return
    layers = adapted(facts.model, method.targets)
    small = sorted(
        {linear.name.rpartition(".")[2] for linear in layers if method.rank > min(linear.fan_in, linear.fan_out)}
    )
    if small:
        yield (
            f"method.rank {method.rank} is larger than a side of {', '.join(small)}: it adds parameters and no freedom; "
            f"set it to {min(min(linear.fan_in, linear.fan_out) for linear in layers)} or less"
        )


def _measurement(facts: Facts) -> Iterator[str]:
    evaluate = facts.recipe.evaluate
    if facts.test_rows == 0:
        yield "there are no test rows, so nothing can be decided; raise data.split.test or name data.test"
    else:
        half = _widest(facts.test_rows, evaluate.confidence)
        if half > 0.1:
            yield (
                f"with {facts.test_rows} test rows a share is known to within {100 * half:.0f} points only "
                f"({evaluate.confidence:.0%} interval); more test rows make a decision possible"
            )
    if evaluate.max_new_tokens is not None and evaluate.max_new_tokens < facts.longest_answer:
        yield (
            f"evaluate.max_new_tokens {evaluate.max_new_tokens} is below the longest right answer of {facts.longest_answer} "
            "tokens, which would count as wrong; leave it out"
        )


def _widest(rows: int, confidence: float) -> float:
    """Half the width of the interval of a share of one half, the widest there is."""
    low, high = stats.wilson(rows / 2, rows, confidence)
    return (high - low) / 2


def texts(facts: Facts, plan: Plan) -> Sequence[str]:
    """All findings of a plan, what does not fit first."""
    first = does_not_fit(plan)
    return [*([first] if first else []), *contradictions(facts)]

"""Stage: the forecast of a run, from the rows, the base's config.json and the recipe. Needs no torch.

Reads data/*.jsonl and the base's tokenizer, encodes every training row exactly as training will, leaves the tokens there for it,
and writes plan.json.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from lathe import control_group, gpus, plugins
from lathe.contracts import Progress
from lathe.errors import InputError, StorageError
from lathe.gpus import Gpu
from lathe.model_folder import has_own_head
from lathe.plan import cost, findings, machines, rates
from lathe.plan.answering import ARMS_ON, Answers
from lathe.plan.architecture import shapes
from lathe.plan.forecast import Machine, Slice, course_with, forecast, kind_of_step, operations, parameters
from lathe.plan.parameters import count
from lathe.plan.setting import Device
from lathe.processes import Rank, compiler, rank, usable_cores
from lathe.records import Example, LockedRecipe, Plan, PlanFinding, Recipe, TrainResult, ValidateSpec
from lathe.runs import RunFolder
from lathe.schedule.validating import slice_of
from lathe.storage import each_row, read_rows
from lathe.text import render, tokenizer
from lathe.text.shots import choose_shots, with_shots
from lathe.text.tokens import TokenSet, of_file

ROWS_FOR_SHOTS = 256
"""Rows among which a plan looks for worked examples: reading all of 10,000 takes a fifth of a second."""
STORED_BYTES = 2
"""Of a parameter in a base whose weights are not here yet: nearly all are published in bf16."""


def plan(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Plan:
    """Forecasts parameters, steps, tokens, memory and time, and commits plan.json.

    Raises DataError where there are no training rows, InputError on an unknown architecture, on a target that matches no layer,
    on rows that are longer than allowed, and where validation rows should be answered and there are none.
    """
    begun = time.monotonic()
    mine, gpu = rank(os.environ), gpus.used()
    recipe, device = together(locked.recipe, mine, gpu), _device(gpu)
    base = Path(locked.base_folder)
    tok = tokenizer.load(base)
    if tok.template is not None:
        tok.template.start()  # while the rows are read

    def told(done: int, total: int) -> None:
        progress({"stage": "plan", "done": done, "total": total, "unit": "row"})

    tokens = of_file(tok, run.rows("train"), run.tokens, recipe.train, told)
    sides = {side: read_rows(run.rows(side), Example) for side in ARMS_ON if run.rows(side).is_file()}
    shots = _shots(run, recipe, tokens)
    answers = {side: _answers(tok, rows, shots) for side, rows in sides.items()}
    asked = _slice(tok, sides.get("validation", []), recipe.train.validate_)
    catalogue = machines.read()
    machine = Machine(
        free_bytes=control_group.free_memory() if gpu is None or gpu.free_bytes is None else gpu.free_bytes,
        rates=rates.known(rates.TRAINING[device]),
        computes_bf16=rates.computes_bf16(),
        has_avx512=rates.has_avx512(),
        has_tiles=rates.has_tiles(),
        compiles=compiler() is not None,
        has_bitsandbytes=find_spec("bitsandbytes") is not None,
        probe=rates.probed(device),
        listed=catalogue.gpu_rates(gpu.name) if gpu else catalogue.core_rates(rates.processor_flags()),
        answer_rates=rates.known(rates.ANSWERING[device]),
        cores=usable_cores(),
        processes=None if mine is None else mine.count_here,
        gpu=gpu,
    )
    config = read_config(base)
    stored = locked.weight_bytes or STORED_BYTES * count(shapes(config), None, recipe.method.targets).total
    record = forecast(recipe, config, tokens, answers, stored, machine, inputs, asked)
    told_of_base = [*_unwritable(tok, [row for side in sides.values() for row in side])]
    if tok.template is None:
        told_of_base.append(findings.without_template())
    record = record.model_copy(
        update={"seconds": time.monotonic() - begun, "findings": (*record.findings, *told_of_base)}
    )
    run.commit(run.plan, record)
    return record


def foresee(recipe: Recipe, base: Path) -> None:
    """Raises InputError where no rows could be trained on: an architecture that is not known here, a target that matches no layer
    of the base, or its output head. No weight is read."""
    parameters(shapes(_config_file(base)), recipe.method)


def together(recipe: Recipe, mine: Rank | None, gpu: Gpu | None) -> Recipe:
    """What is trained by those processes that will share its steps: torchrun's ranks, else one on a GPU, else the recipe's."""
    count = mine.count if mine else 1 if gpu else recipe.train.processes
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"processes": count})})


def _device(gpu: Gpu | None) -> Device:
    return "cuda" if gpu else "cpu"


def remember_rate(run: RunFolder, locked: LockedRecipe, result: TrainResult) -> None:
    """Keeps what this machine reached in a finished training, for the next plan.

    A home that cannot be written costs the next plan its estimate, and this run nothing.
    """
    written = sum(one.new_tokens for one in result.validations)
    if written:
        remember_answers(locked, written / sum(one.seconds for one in result.validations))
    if result.train_seconds <= 0 or result.stop != "done":
        return
    mine, gpu = rank(os.environ), gpus.used()
    recipe = together(locked.recipe, mine, gpu)
    asked = mine is None or mine.count == locked.recipe.train.processes
    if not asked or result.processes != recipe.train.processes or (result.device == "cpu") != (gpu is None):
        return  # more ranks than the recipe says, or another device: nothing of what its next plan foretells
    config, tokens = read_config(Path(locked.base_folder)), TokenSet.load(run.tokens)
    model, course = shapes(config), course_with(recipe, kind_of_step(config, recipe, gpu), tokens)
    work = operations(recipe, model, tokens, course)
    with contextlib.suppress(StorageError):
        rates.keep(cost.job_kind(model, recipe), work / result.train_seconds, rates.TRAINING[_device(gpu)])


def remember_answers(locked: LockedRecipe, tokens_per_second: float) -> None:
    """The same for how fast a tuned model answered."""
    model = shapes(read_config(Path(locked.base_folder)))
    with contextlib.suppress(StorageError):
        kind = cost.answer_kind(model, locked.recipe)
        rates.keep(kind, tokens_per_second, rates.ANSWERING[_device(gpus.used())])


def read_config(base: Path) -> dict[str, object]:
    """The base's config.json, with what its weights say of the output head where they are there already: where a head repeats the
    embedding, that is known after reading both. Raises InputError where it is missing or damaged.
    """
    config = _config_file(base)
    return config | {"tie_word_embeddings": False} if has_own_head(base) else config


def _config_file(base: Path) -> dict[str, object]:
    config = tokenizer.read_object(base / "config.json")
    if not config:
        raise InputError(
            f"{base / 'config.json'} is not there or empty", hint="A base folder needs the model's config.json."
        )
    return config


def _slice(tok: tokenizer.Tokenizer, rows: Sequence[Example], spec: ValidateSpec) -> Slice | None:
    if spec.every is None:
        return None
    if not rows:
        raise InputError(
            "train.validate asks for answers to validation rows, and there are none",
            hint="Raise data.split.validation, name data.validation, or leave train.validate out.",
        )
    encoded = render.encode_all(tok, [rows[place] for place in slice_of(len(rows), spec.rows)])
    prompts = [one.num_prompt for one in encoded]
    return Slice(len(encoded), sum(prompts), sum(len(one.ids) for one in encoded) - sum(prompts))


def _unwritable(tok: tokenizer.Tokenizer, examples: Sequence[Example]) -> Iterator[PlanFinding]:
    """Right answers that are not what the tokenizer gives back of them, spaces at their ends aside."""
    if tok.is_byte_level:
        return
    encoded = tok.encode_marked_batch([tok.special.mark(one.completion)[0] for one in examples])
    pairs = [(one.completion, tok.decode(ids.tolist())) for one, ids in zip(examples, encoded, strict=True)]
    lost = [(right, written) for right, written in pairs if right.strip() != written.strip()]
    if lost:
        yield findings.unwritable_answers(len(lost), len(pairs), *lost[0])


def _shots(run: RunFolder, recipe: Recipe, tokens: TokenSet) -> list[Example]:
    """The worked examples that the few-shot base would be shown of the first rows; among all of them shorter ones may be found."""
    if not recipe.evaluate.few_shot:
        return []
    slices = plugins.load("tasks", recipe.task).slices
    first = list(islice(each_row(run.rows("train"), Example), ROWS_FOR_SHOTS))
    return choose_shots(first, tokens.lengths[: len(first)].tolist(), slices, recipe.evaluate.few_shot)


def _answers(tok: tokenizer.Tokenizer, examples: Sequence[Example], shots: Sequence[Example]) -> Answers:
    prompt, answer = render.longest(tok, examples)
    return Answers(len(examples), answer, prompt, prompt + _of_shots(tok, examples, shots))


def _of_shots(tok: tokenizer.Tokenizer, examples: Sequence[Example], shots: Sequence[Example]) -> int:
    """Tokens by which worked examples, the same before every question, make a prompt longer: told from one of them."""
    if not examples or not shots:
        return 0
    longest = max(examples, key=lambda example: len(example.input))
    alone, behind = render.prompts(tok, [longest.messages, with_shots(longest, shots)])
    return len(behind) - len(alone)

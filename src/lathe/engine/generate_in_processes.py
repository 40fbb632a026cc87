"""Answers of a small model by several processes of one thread each: this one and helpers that load the same folders.

    for answer in generate_in_processes(weights, model, prompts, 2, token_budget=16384, stop_ids=frozenset({2})):
        answer.index, answer.ids, answer.finish

A product of a small model is over before a second thread is awake, so threads do not help it; processes that never wait for
one another do. Which prompts a process answers is fixed beforehand, so the answers do not depend on who was faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait

import torch

from lathe.contracts import Model
from lathe.engine import devices
from lathe.engine.chance import Chance
from lathe.engine.generate import Taken, generate, taken
from lathe.engine.grammar import Grammars
from lathe.engine.model import load_to_answer
from lathe.engine.writing import Answer, Prompt
from lathe.errors import LatheError, helper_gone
from lathe.processes import beside
from lathe.text import tokenizer

FEWEST_PROMPTS = 64
"""Prompts for each process: fewer are answered before one that is no copy of another has loaded torch (3 to 5 s)."""


def processes(num_prompts: int, threads: int, num_parameters: int) -> int:
    """How many processes share `num_prompts`: one a thread for a small model on the CPU, 1 for every other."""
    if num_parameters >= devices.SMALL_MODEL or devices.pick_device().type != "cpu":
        return 1
    return max(1, min(threads, num_prompts // FEWEST_PROMPTS))


def generate_in_processes(
    weights: Taken,
    model: Model,
    prompts: Sequence[Prompt],
    count: int,
    *,
    token_budget: int,
    stop_ids: frozenset[int],
    chance: Chance | None = None,
) -> Iterator[Answer]:
    """As `generate`, by `count` processes; `weights` are those of `model` in this one.

    Raises as `generate`, Unavailable where prompts have a form and the package for it is missing, and Interrupted where a helper
    is gone before its answers are there.
    """
    grammars = _grammars(model, prompts, stop_ids)
    mine, *others = shared(prompts, count)
    with contextlib.ExitStack() as helpers:
        waiting = {helpers.enter_context(beside(_serve, model)): share for share in others}
        for line, share in waiting.items():
            try:
                line.send(([prompts[index] for index in share], token_budget, stop_ids, chance))
            except ConnectionError:
                raise helper_gone("generation", kept="the answers that are kept") from None
        own = [prompts[index] for index in mine]
        for answer in generate(
            weights, own, token_budget=token_budget, stop_ids=stop_ids, grammars=grammars, chance=chance
        ):
            yield replace(answer, index=mine[answer.index])
            yield from _arrived(waiting, timeout=0)
        while waiting:
            yield from _arrived(waiting, timeout=None)


def shared(prompts: Sequence[Prompt], count: int) -> list[list[int]]:
    """Indices of the prompts for each process: in the order of their need, dealt out in turn."""
    order = sorted(range(len(prompts)), key=lambda index: (-prompts[index].need, tuple(prompts[index].ids), index))
    return [order[start::count] for start in range(count)]


def _arrived(waiting: dict[Connection, list[int]], timeout: float | None) -> Iterator[Answer]:
    """What helpers have sent, one answer a helper; a helper that has no more leaves `waiting`. timeout: seconds, None = until
    something comes."""
    ready = wait(list(waiting), timeout)
    for line in [line for line in waiting if line in ready]:
        try:
            told = line.recv()
        except (EOFError, ConnectionError):
            raise helper_gone("generation", kept="the answers that are kept") from None
        if isinstance(told, LatheError):
            raise told
        if told is None:
            del waiting[line]
        else:
            yield replace(told, index=waiting[line][told.index])


def _grammars(model: Model, prompts: Sequence[Prompt], stop_ids: frozenset[int]) -> Grammars | None:
    """What the prompts' forms are followed with; None where none has a form."""
    wanted = any(prompt.form is not None for prompt in prompts)
    return Grammars(tokenizer.load(model.base_folder), stop_ids) if wanted else None


def _serve(line: Connection, model: Model) -> None:
    """A helper's life: load, then prompts in, answers out, None after the last."""
    torch.set_num_threads(1)
    prompts, token_budget, stop_ids, chance = line.recv()
    try:
        grammars = _grammars(model, prompts, stop_ids)
        for answer in generate(
            taken(load_to_answer(model)),
            prompts,
            token_budget=token_budget,
            stop_ids=stop_ids,
            grammars=grammars,
            chance=chance,
        ):
            line.send(answer)
        line.send(None)
    except LatheError as error:
        line.send(error)

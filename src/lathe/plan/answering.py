"""What answering takes, once training is over and between its steps: the longest answer, cache, processes and memory.

answerer = Answerer(recipe, model, counted, setting, cores)
answerer.of_sides({"test": Answers(rows=300, longest=120, prompt=400)})
answerer.bytes_between_steps(answers, rows=48, limit=166)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lathe.plan import memory
from lathe.plan.architecture import Shapes
from lathe.plan.setting import Setting
from lathe.records import MemoryTerm, Parameters, Recipe

ARMS_ON = {"validation": 2, "test": 3}
"""Model arms that answer each side: both base prompts on validation, and the tuned model too on test."""


@dataclass(frozen=True)
class Answers:
    """The right answers of one side. longest: tokens of the longest one, end token included; prompt: of the longest prompt;
    with_shots: of the longest with worked examples in front, as the few-shot base is asked."""

    rows: int
    longest: int
    prompt: int = 0
    with_shots: int = 0

    def need(self, limit: int, context: int) -> int:
        """Tokens of the longest prompt and the answer that it may get. Of worked examples only as many are shown as leave room for
        the answer."""
        return max(self.prompt + limit, min(self.with_shots + limit, context))


@dataclass(frozen=True)
class Answering:
    """How all sides are answered. limit: tokens of the longest answer that is written; longest: of a prompt with its answer;
    cache_tokens: most whose keys and values are held at once; tokens: most that are written by all arms; memory: of all
    processes."""

    limit: int
    longest: int
    cache_tokens: int
    tokens: int
    processes: int
    memory: tuple[MemoryTerm, ...]


@dataclass(frozen=True)
class Answerer:
    """A trained model that answers on this machine. setting: as it is trained; cores: of the processor that it may use."""

    recipe: Recipe
    model: Shapes
    counted: Parameters
    setting: Setting
    cores: int

    def of_sides(self, answers: Mapping[str, Answers]) -> Answering:
        """Of all sides."""
        context, asked = self.model.context, self.recipe.evaluate.max_new_tokens
        limit = min(asked or math.ceil(1.25 * longest_answer(answers)) + 16, context)
        needs = [(found.rows, found.need(limit, context)) for found in answers.values()]
        cache_tokens = self._cache_tokens(needs)
        processes, terms = self._held(max((rows for rows, _ in needs), default=0), cache_tokens)
        return Answering(
            limit=limit,
            longest=max((need for _, need in needs), default=0),
            cache_tokens=cache_tokens,
            tokens=sum(ARMS_ON[side] * found.rows * limit for side, found in answers.items()),
            processes=processes,
            memory=terms,
        )

    def bytes_between_steps(self, answers: Mapping[str, Answers], rows: int, limit: int) -> int:
        """What answering so many validation rows takes beside a training; they are asked without worked examples."""
        needs = [(found.rows, found.prompt + limit) for found in answers.values()]
        return memory.answering(self._held(rows, self._cache_tokens(needs))[1])

    def _held(self, rows: int, cache_tokens: int) -> tuple[int, tuple[MemoryTerm, ...]]:
        """Processes that answer so many rows, and what they hold with so many tokens of cache."""
        shared = self.setting.device == "cpu"
        count = memory.answer_processes(self.counted, rows, self.recipe.train.threads or self.cores) if shared else 1
        loaded = replace(self.setting, precision="fp32")  # to answer, whatever trains
        precision = self.recipe.evaluate.precision
        return count, memory.evaluation(self.model, self.counted, loaded, precision, cache_tokens, count)

    def _cache_tokens(self, needs: Sequence[tuple[int, int]]) -> int:
        """Most tokens of cache at once: the budget, one longer answer, or all that there is to write where that is less. needs:
        rows of each side, and tokens of its longest."""
        whole = max((rows * need for rows, need in needs), default=0)
        one = max((need for _, need in needs), default=0)
        return max(one, min(self.recipe.evaluate.token_budget, whole, memory.GENERATED_AT_ONCE * one))


def longest_answer(answers: Mapping[str, Answers]) -> int:
    """Tokens of the longest right answer of any side."""
    return max((side.longest for side in answers.values()), default=0)

"""Steps as sets of examples: everything about the course of training that is known before the first step.

    plan = steps(lengths, recipe.train, recipe.seed)          # or course_of(tokens, ...), which knows what rows begin alike
    plan.num_steps, plan.warmup_steps, plan.checkpoint_steps
    plan.packs(k), plan.learning_rate(k)          # step k alone: a resumed run needs nothing of the steps before it

An epoch is ceil(n / examples_per_step) steps; its last step holds what is left over, and no step reaches into the next
epoch. Steps count from 0; a checkpoint point counts the steps done, so the last one equals `num_steps`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lathe.records import TrainSpec
from lathe.schedule.order import Indices, grouped, permutation
from lathe.schedule.packing import deal, deal_alike, pack, pack_alike
from lathe.schedule.prefixes import Alike, Prefixes, Spared, Stretch, computed, prefixes, spared, stretches

_cached_permutation = lru_cache(maxsize=4)(permutation)
_cached_groups = lru_cache(maxsize=4)(grouped)


class Rows(Protocol):
    """Encoded rows, as `text.tokens.TokenSet` holds them."""

    @property
    def ids_T(self) -> NDArray[np.int32]:
        """Tokens, row after row."""

    @property
    def supervised_T(self) -> NDArray[np.bool_]:
        """Whether they carry loss."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row begins, and the end of the last."""


def steps_in_epoch(num_examples: int, examples_per_step: int) -> int:
    """Optimiser steps of one pass: ceil(n / examples_per_step)."""
    return math.ceil(num_examples / examples_per_step)


def steps_in_run(num_examples: int, train: TrainSpec) -> int:
    """Optimiser steps of the whole run: ceil(epochs x steps of an epoch), or max_steps where that is fewer."""
    wanted = train.epochs * steps_in_epoch(num_examples, train.examples_per_step)
    # 0.1 x 30 is 3.0000000000000004 in binary; a hair above a whole number is that number.
    by_epochs = math.ceil(wanted - 1e-9 * max(1.0, wanted)) if num_examples else 0
    return by_epochs if train.max_steps is None else min(by_epochs, train.max_steps)


def warmup_steps(num_steps: int, share: float) -> int:
    """Steps in which the learning rate rises: ceil(share x steps), but always fewer than all."""
    return max(0, min(math.ceil(share * num_steps - 1e-9), num_steps - 1))


def learning_rate(step: int, num_steps: int, warmup: int, train: TrainSpec) -> float:
    """Learning rate of step `step` (from 0), a pure function.

    Warm-up: peak x (step + 1) / (warmup + 1), so the first step is not lost at zero and step `warmup` is the peak.
    Then with t = (step - warmup) / (num_steps - warmup): cosine: peak x (1 + cos(pi t)) / 2; linear: peak x (1 - t);
    constant: peak. The last step is above zero.
    """
    if step < warmup:
        return train.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / (num_steps - warmup)
    if train.schedule == "cosine":
        return train.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
    if train.schedule == "linear":
        return train.learning_rate * (1.0 - done)
    return train.learning_rate


def marked_steps(num_steps: int, every: int) -> tuple[int, ...]:
    """Numbers of done steps after which something is done: each multiple of `every`, and always the end."""
    if num_steps == 0:
        return ()
    return (*range(every, num_steps, every), num_steps)


@dataclass(frozen=True, eq=False)
class StepPlan:
    """The course of one training run. lengths_N: tokens of each row; `train` and `seed` as the recipe says."""

    lengths_N: NDArray[np.int64]
    train: TrainSpec
    seed: int
    known: Prefixes | None = None
    """How rows begin; needed where they are grouped by it, or share it."""
    shared: bool = False
    """Whether what rows of a pack begin with alike is computed once."""

    @property
    def num_examples(self) -> int:
        """Rows of one epoch."""
        return len(self.lengths_N)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one full pass."""
        return steps_in_epoch(self.num_examples, self.train.examples_per_step)

    @cached_property
    def num_steps(self) -> int:
        """Optimiser steps of the run."""
        return steps_in_run(self.num_examples, self.train)

    @cached_property
    def warmup_steps(self) -> int:
        """Steps of rising learning rate."""
        return warmup_steps(self.num_steps, self.train.warmup_share)

    @cached_property
    def checkpoint_steps(self) -> tuple[int, ...]:
        """Numbers of done steps after which a checkpoint is written; the last is `num_steps`."""
        return marked_steps(self.num_steps, self.train.checkpoint_every)

    @cached_property
    def validation_steps(self) -> tuple[int, ...]:
        """Numbers of done steps after which the weights are measured; empty where the recipe does not ask for it."""
        every = self.train.validate_.every
        return () if every is None else marked_steps(self.num_steps, every)

    def learning_rate(self, step: int) -> float:
        """Learning rate of step `step` (from 0)."""
        return learning_rate(step, self.num_steps, self.warmup_steps, self.train)

    def examples(self, step: int) -> Indices:
        """Rows of step `step` (from 0). Shape: (examples_per_step,) or fewer in the last step of an epoch."""
        if not 0 <= step < self.num_steps:
            raise IndexError(f"got step {step}, expected 0 to {self.num_steps - 1}")
        epoch, within = divmod(step, self.steps_per_epoch)
        start = within * self.train.examples_per_step
        return self.order(epoch)[start : start + self.train.examples_per_step]

    def order(self, epoch: int) -> Indices:
        """All rows as they come in an epoch. Shape: (num_examples,)."""
        if self.train.group_by_prefix:
            if self.known is None:
                raise ValueError("rows are grouped by what they begin with, which is not known")
            return _cached_groups(self.known, self.train.examples_per_step, self.seed, epoch)
        return _cached_permutation(self.num_examples, self.seed, epoch)

    def packs(self, step: int, budget: int | None = None) -> list[list[int]]:
        """Rows of step `step` as packs, those of each process by themselves. budget: None = the recipe's token budget."""
        if self.known is not None and self.shared:
            return [one.rows for one in self._packs_alike(self.known, step, budget)]
        rows, most = self.examples(step), budget or self.train.token_budget
        return [
            [int(rows[share[place]]) for place in one]
            for share in deal(self.lengths_N[rows], self.train.processes)
            for one in pack(self.lengths_N[rows[share]], most)
        ]

    def _packs_alike(self, known: Prefixes, step: int, budget: int | None = None) -> list[Alike]:
        """The packs of a step whose rows share what they begin with."""
        shares = deal_alike(known.among(self.examples(step)), self.train.processes)
        return [one for share in shares for one in pack_alike(share, budget or self.train.token_budget)]

    def stretches(self, rows: Sequence[int]) -> list[Stretch]:
        """What is computed of a pack of these rows."""
        if self.known is not None and self.shared:
            return stretches(self.known.among(rows))
        return [Stretch(0, int(self.lengths_N[row]), -1, place, last=True) for place, row in enumerate(rows)]

    def computed(self, step: int, budget: int | None = None) -> int:
        """Tokens computed in step `step`: what rows of a pack share counts once. budget: as of `packs`."""
        return sum(computed(self.stretches(rows)) for rows in self.packs(step, budget))

    @cached_property
    def times_seen(self) -> NDArray[np.int64]:
        """How often each row is computed over the run. Shape: (num_examples,)."""
        full, rest = divmod(self.num_steps, max(1, self.steps_per_epoch))
        seen = np.full(self.num_examples, full, dtype=np.int64)
        if rest:
            seen[self.order(full)[: rest * self.train.examples_per_step]] += 1
        return seen

    @cached_property
    def num_tokens(self) -> int:
        """Tokens of the rows over the run."""
        return int(self.lengths_N @ self.times_seen)

    @cached_property
    def laid_by_step(self) -> list[list[tuple[list[int], list[Stretch]]]]:
        """Every pack of each step: its rows, and what is computed of them. Cost: packs every step once."""
        known, steps = self.known, range(self.num_steps)
        if known is not None and self.shared:
            return [[(one.rows, stretches(one)) for one in self._packs_alike(known, step)] for step in steps]
        return [[(rows, self.stretches(rows)) for rows in self.packs(step)] for step in steps]

    @cached_property
    def laid(self) -> list[tuple[list[int], list[Stretch]]]:
        """Every pack of the run in order."""
        return [one for packs in self.laid_by_step for one in packs]

    @cached_property
    def dealt(self) -> NDArray[np.int64]:
        """Step of each pack in `laid`, and which process computes it. Shape: (packs, 2)."""
        found = np.empty((len(self.laid), 2), dtype=np.int64)
        first = 0
        for step, packs in enumerate(self.laid_by_step):
            shares = deal([computed(stretches) for _, stretches in packs], self.train.processes)
            for process, share in enumerate(shares):
                found[[first + place for place in share]] = step, process
            first += len(packs)
        return found

    @cached_property
    def spared(self) -> Spared:
        """What the run need not compute again, since rows of a pack share it. Cost: as of `laid`, where rows share."""
        each = [spared(self.lengths_N[rows].tolist(), found) for rows, found in (self.laid if self.shared else ())]
        return Spared(sum(one.tokens for one in each), sum(one.squares for one in each))

    @property
    def num_computed(self) -> int:
        """Tokens computed over the run: what rows of a pack share counts once."""
        return self.num_tokens - self.spared.tokens

    def over_run(self, counts: Sequence[int] | NDArray[np.integer]) -> int:
        """Sum over the run of a count that each row has, such as its supervised tokens."""
        return int(np.asarray(counts, dtype=np.int64) @ self.times_seen)

    @cached_property
    def num_packs(self) -> int:
        """Packs over the run: forward-backward passes. Cost: packs every step once."""
        return sum(len(self.packs(step)) for step in range(self.num_steps))


def steps(lengths: Sequence[int] | NDArray[np.integer], train: TrainSpec, seed: int) -> StepPlan:
    """The course of training over rows of these lengths (tokens)."""
    return StepPlan(np.asarray(lengths, dtype=np.int64), train, seed)


def course_of(rows: Rows, train: TrainSpec, seed: int, *, shared: bool) -> StepPlan:
    """The course of training over these rows. shared: whether a pack computes once what its rows begin with alike."""
    known = prefixes(rows.ids_T, rows.offsets, rows.supervised_T) if shared or train.group_by_prefix else None
    return StepPlan(np.diff(rows.offsets), train, seed, known, shared)

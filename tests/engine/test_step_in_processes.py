"""Helpers beside a process: they see its trained weights, and their gradients are added to its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lathe.engine.packs import Pack, build_pack
from lathe.engine.step import Step
from lathe.engine.step_in_processes import StepInProcesses, forget, piped
from lathe.errors import Exit, InputError, Interrupted
from lathe.text.render import Encoded


def built(numbers: int) -> tuple[Step, Mapping[str, nn.Parameter]]:
    """A loss that is the weights' squares, as often as the packs have tokens."""
    named = {name: nn.Parameter(torch.full((numbers,), start)) for name, start in (("a", 1.0), ("b", 2.0))}

    def take(packs: Iterable[Pack], supervised: int) -> float:
        tokens = sum(pack.bounds[-1] for pack in packs)
        if tokens == 13:
            raise InputError("thirteen tokens")
        loss = sum((parameter**2).sum() for parameter in named.values()) * tokens / supervised
        if not tokens:
            return 0.0
        loss.backward()
        return float(loss.detach())

    return take, named


def packs(*lengths: int) -> list[Pack]:
    return [
        build_pack([Encoded(np.arange(length, dtype=np.int32), np.ones(length, dtype=bool), 1)]) for length in lengths
    ]


def test_two_helpers_share_steps_of_one_model_and_then_of_another() -> None:
    with piped(2) as helpers:
        for numbers in (5, 300_000):
            take, named = built(numbers)
            alone, expected = built(numbers)
            helpers.build(partial(built, numbers))
            step = StepInProcesses(take, named, helpers)
            for lengths in ((3, 4, 5), (6,), (2, 2, 2, 2)):
                assert step(packs(*lengths), 10) == pytest.approx(alone(packs(*lengths), 10), rel=1e-6)
                for name, parameter in named.items():
                    found, own = parameter.grad, expected[name].grad
                    assert found is not None
                    assert own is not None
                    assert torch.allclose(found, own)
                    with torch.no_grad():
                        parameter -= 0.01 * found
                        expected[name] -= 0.01 * own
                forget([*named.values(), *expected.values()])
        with pytest.raises(InputError, match="thirteen"):
            step(packs(14, 13, 12), 10)
        forget(named.values())
        assert step(packs(3, 3, 3), 10) > 0, "helpers go on after an error"


def test_a_helper_that_somebody_ended_stops_the_training_with_words_and_the_code_to_go_on() -> None:
    for told_first in (True, False):
        with piped(1) as helpers:
            (helper,) = multiprocessing.active_children()
            take, named = built(5)
            helpers.build(partial(built, 5))
            step = StepInProcesses(take, named, helpers)
            if told_first:
                step(packs(3, 4), 7)
            helper.kill()
            helper.join()
            with pytest.raises(Interrupted, match="a helper process of the training is gone") as raised:
                step(packs(3, 4), 7)
            assert raised.value.exit_code == Exit.INTERRUPTED

"""Schedules are functions of the step; every parameter has exactly one optimiser."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lathe.engine import optim


def test_the_rate_rises_over_the_warm_up_and_then_stays() -> None:
    assert optim.rise(0, 10) == pytest.approx(0.01)
    assert optim.rise(5, 10) == pytest.approx(0.5)
    assert optim.rise(10, 10) == optim.rise(99, 10) == optim.rise(0, 0) == 1.0


def test_a_stretch_goes_linearly_from_its_first_rate_to_its_last_and_no_further() -> None:
    assert [optim.between(1.0, 0.2, share) for share in (0, 0.5, 1, 1.1)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert optim.between(0.1, 0.5, 0.5) == pytest.approx(0.3)


class _Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(7, 4)
        self.inner = nn.Linear(4, 4, bias=False)
        self.norm = nn.LayerNorm(4)


def test_each_parameter_is_moved_by_exactly_one_optimiser() -> None:
    network = _Small()
    optimisers = optim.muon_and_adamw(
        network.named_parameters(), muon_learning_rate=0.02, adamw_learning_rate=0.003, weight_decay=0.1
    )
    owned = [id(p) for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in network.parameters())
    assert [id(p) for p in optimisers[0].param_groups[0]["params"]] == [id(network.inner.weight)]


def test_vectors_are_not_decayed() -> None:
    decays = {
        tuple(p.shape): group["weight_decay"]
        for group in optim.parameter_groups(_Small().named_parameters(), 0.1)
        for p in group["params"]
    }
    assert decays == {(7, 4): 0.1, (4, 4): 0.1, (4,): 0.0}


def test_the_learning_rate_is_always_set_from_the_base() -> None:
    optimiser = optim.adamw(_Small().named_parameters(), 0.01)
    for factor in (0.5, 0.5, 1.0):
        optim.set_learning_rate([optimiser], factor)
        assert all(group["lr"] == 0.01 * factor for group in optimiser.param_groups)


def test_clipping_scales_all_gradients_by_one_factor() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, 2))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    assert optim.clip_global_norm([a, b], 1.0) == pytest.approx(5.0)
    assert a.grad[0] == pytest.approx(0.6)
    assert b.grad[0, 0] == pytest.approx(0.8)
    assert optim.clip_global_norm([a, b], 10.0) == pytest.approx(1.0)


def test_a_gradient_that_is_not_finite_is_reported_and_left_alone() -> None:
    a = nn.Parameter(torch.zeros(2))
    a.grad = torch.tensor([math.inf, 1.0])
    assert not math.isfinite(optim.clip_global_norm([a], 1.0))
    assert a.grad[1] == 1.0

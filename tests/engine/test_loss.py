"""The supervised loss equals cross-entropy over full logits, value and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lathe.engine.loss import supervised_loss

T, D, V = 11, 6, 17


def _case(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(T, D, dtype=torch.float64, generator=generator, requires_grad=True)
    head = torch.randn(V, D, dtype=torch.float64, generator=generator, requires_grad=True)
    positions = torch.tensor([0, 3, 4, 9, 10])
    targets = torch.randint(V, (5,), generator=generator)
    weights = torch.rand(5, dtype=torch.float64, generator=generator)
    return hidden, head, positions, targets, weights


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradients_equal_the_plain_reference(chunk: int, weighted: bool) -> None:
    hidden, head, positions, targets, weights = _case(1)
    losses = functional.cross_entropy(hidden[positions] @ head.T, targets, reduction="none")
    expected = (losses * weights).sum() if weighted else losses.sum()
    expected.backward()
    expected_hidden, expected_head = hidden.grad, head.grad
    hidden.grad = head.grad = None
    got = supervised_loss(hidden, head, positions, targets, weights if weighted else None, chunk=chunk)
    got.backward()
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(hidden.grad, expected_hidden)
    torch.testing.assert_close(head.grad, expected_head)


def test_gradient_passes_finite_differences() -> None:
    hidden, head, positions, targets, weights = _case(2)
    assert torch.autograd.gradcheck(
        lambda h, w: supervised_loss(h, w, positions, targets, weights, chunk=2), (hidden, head)
    )


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, head, positions, targets, _ = _case(3)
    frozen = head.detach()
    supervised_loss(hidden, frozen, positions, targets).backward()
    assert hidden.grad is not None
    assert frozen.grad is None


def test_the_factor_outside_reaches_the_gradient() -> None:
    hidden, head, positions, targets, _ = _case(4)
    (supervised_loss(hidden, head, positions, targets) / 8).backward()
    scaled = hidden.grad.clone()
    hidden.grad = None
    supervised_loss(hidden, head, positions, targets).backward()
    torch.testing.assert_close(scaled * 8, hidden.grad)


def test_no_supervised_position_is_a_loss_of_zero() -> None:
    hidden, head, *_ = _case(5)
    none = torch.empty(0, dtype=torch.long)
    loss = supervised_loss(hidden, head, none, none)
    loss.backward()
    assert loss.item() == 0
    assert not hidden.grad.any()


def test_bf16_hidden_states_are_summed_in_float32() -> None:
    hidden, head, positions, targets, _ = _case(6)
    loss = supervised_loss(hidden.detach().bfloat16(), head.detach().bfloat16(), positions, targets)
    assert loss.dtype == torch.float32
    reference = supervised_loss(hidden.detach(), head.detach(), positions, targets)
    assert abs(loss.item() - reference.item()) < 0.05 * reference.item()

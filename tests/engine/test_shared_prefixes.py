"""What rows begin with alike is computed once, and loss and gradients are those of rows that are computed whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lathe.engine import model, step
from lathe.engine.fused import choice
from lathe.engine.fused.stack import FusedStep
from lathe.engine.packs import Pack, build_pack
from lathe.records import Method, TrainSpec
from lathe.schedule.steps import course_of
from lathe.text.render import Encoded
from lathe.text.tokens import TokenSet
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

Gradients = dict[str, torch.Tensor]


def rows() -> list[Encoded]:
    """An instruction of 70 tokens, behind it two schemas of 40 and 90, and rows of their own; targets in several places."""
    draw = np.random.default_rng(0)
    instruction, one, other = (draw.integers(3, 264, size) for size in (70, 40, 90))

    def row(*begin: np.ndarray, own: int, targets: int) -> Encoded:
        ids = np.concatenate([*begin, draw.integers(3, 264, own)]).astype(np.int32)
        supervised = np.zeros(len(ids), dtype=bool)
        supervised[-targets:] = True
        supervised[-3] = False  # a turn of the user between two answers
        return Encoded(ids, supervised, len(ids) - targets)

    one_row = row(instruction, one, own=30, targets=10)
    return [
        one_row,
        row(instruction, own=90, targets=20),
        row(instruction, one, own=9, targets=9),  # its first target follows the schema at once
        row(own=120, targets=40),
        row(instruction, other, own=200, targets=5),
        row(instruction, other, own=14, targets=12),
        row(instruction, one, own=66, targets=90),  # targets inside the schema: only what stands in front is shared
        one_row,  # the same row twice
        row(instruction, one, own=5, targets=4),
    ]


def token_set(encoded: list[Encoded]) -> TokenSet:
    return TokenSet(
        ids_T=np.concatenate([row.ids for row in encoded]),
        supervised_T=np.concatenate([row.supervised for row in encoded]),
        offsets=np.cumsum([0, *(len(row.ids) for row in encoded)]).astype(np.int64),
        example_ids=tuple(map(str, range(len(encoded)))),
    )


def adapted(folder: Path, dtype: torch.dtype, **method: Any) -> torch.nn.Module:
    """A model whose B matrices are not zero, so that every gradient is something."""
    step.register_attention()
    base = model.load_base(folder, dtype=dtype, attention=step.ATTENTION)
    net = model.attach(base, Method(**({"rank": 4} | method)), seed=3)
    if dtype == torch.float64:
        net = net.double()
    with torch.no_grad():
        for number, (name, parameter) in enumerate(model.trainable(net).items()):
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(number), std=0.1)
    return net


def taken(net: torch.nn.Module) -> Gradients:
    found = {name: part.grad.double() for name, part in model.trainable(net).items()}
    net.zero_grad()
    return found


def worst(found: Gradients, expected: Gradients) -> float:
    assert found.keys() == expected.keys()
    assert all(float(part.norm()) > 0 for part in expected.values())
    return max(float((found[name] - expected[name]).norm() / expected[name].norm()) for name in expected)


def supervised(packs: list[Pack]) -> int:
    return sum(pack.targets_S.numel() for pack in packs)


def test_a_pack_has_every_target_and_fewer_tokens() -> None:
    whole, shared = build_pack(rows()), build_pack(rows(), shared=True)
    assert shared.bounds[-1] < 0.7 * whole.bounds[-1]
    assert sorted(shared.targets_S.tolist()) == sorted(whole.targets_S.tolist())
    assert bool((shared.scored_S.diff() > 0).all())
    kept = [
        segment
        for segment in shared.segments
        if any((segment.start, segment.end) in one.front for one in shared.segments)
    ]
    assert kept
    for segment in kept:
        inside = (shared.scored_S >= segment.start) & (shared.scored_S < segment.end)
        assert not inside.any(), "what several rows share is scored in none of them"


def row_by_row(take: step.Step, encoded: list[Encoded]) -> float:
    return take([build_pack([row]) for row in encoded], sum(int(row.supervised.sum()) for row in encoded))


BASES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, own head, biases": {"tie_word_embeddings": False, "attention_bias": True},
    "llama, one layer": {"num_hidden_layers": 1},
    "qwen3": {"tie_word_embeddings": False},
}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("name", BASES)
def test_in_float64_nothing_changes(tmp_path: Path, name: str, dropout: float) -> None:
    folder = write_base(tmp_path / "base", name.split(",")[0], **BASES[name])
    net = adapted(folder, torch.float64, dropout=dropout)
    fused = FusedStep(net).gradients
    torch.manual_seed(11)
    expected_loss = row_by_row(fused, rows())
    expected = taken(net)
    shared = build_pack(rows(), shared=True)
    loss = fused([shared], supervised([shared]))
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert worst(taken(net), expected) < 1e-10


@pytest.mark.parametrize(
    "method", [{}, {"dropout": 0.3}, {"targets": ("v_proj", "down_proj")}, {"targets": ("q_proj",)}], ids=str
)
def test_in_float32_it_is_the_reference_s_step_one_row_at_a_time(tiny_base: Path, method: dict[str, Any]) -> None:
    net = adapted(tiny_base, torch.float32, **method)
    torch.manual_seed(5)
    expected_loss = row_by_row(lambda *of: step.gradients(net, *of), rows())
    expected = taken(net)
    shared = build_pack(rows(), shared=True)
    loss = FusedStep(net).gradients([shared], supervised([shared]))
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert worst(taken(net), expected) < 1e-5


def test_bf16_is_as_near_to_float32_as_without_sharing(tiny_base: Path) -> None:
    wide, narrow = (adapted(tiny_base, dtype) for dtype in (torch.float32, torch.bfloat16))
    with torch.no_grad():
        for parameter in wide.parameters():
            if not parameter.requires_grad:
                parameter.copy_(parameter.bfloat16())
    row_by_row(FusedStep(wide).gradients, rows())
    exact = taken(wide)
    errors = []
    for shared in (False, True):
        pack = build_pack(rows(), shared=shared)
        FusedStep(narrow, "bf16").gradients([pack], supervised([pack]))
        found = taken(narrow)
        errors.append(sum(float((found[name] - exact[name]).square().sum()) for name in exact) ** 0.5)
    assert errors[1] < 1.5 * errors[0]


@pytest.mark.parametrize(
    ("budget", "processes", "group"),
    [(10_000, 1, False), (600, 1, False), (250, 1, True), (10_000, 2, False), (300, 3, True)],
)
def test_the_packing_of_a_step_changes_nothing(tiny_base: Path, budget: int, processes: int, group: bool) -> None:
    net = adapted(tiny_base, torch.float64)
    tokens = token_set(rows())
    spec = TrainSpec(examples_per_step=len(tokens), token_budget=budget, processes=processes, group_by_prefix=group)
    plan = course_of(tokens, spec, seed=0, shared=True)
    packs = [build_pack([tokens.row(row) for row in one], shared=plan.shared) for one in plan.packs(0)]
    assert sum(pack.bounds[-1] for pack in packs) == plan.computed(0)
    fused = FusedStep(net).gradients
    expected_loss = row_by_row(fused, rows())
    expected = taken(net)
    assert fused(packs, supervised(packs)) == pytest.approx(expected_loss, rel=1e-12)
    assert worst(taken(net), expected) < 1e-10


def test_the_same_step_gives_the_same_bytes(tiny_base: Path) -> None:
    found = []
    for _ in range(2):
        net = adapted(tiny_base, torch.bfloat16, dropout=0.1)
        torch.manual_seed(2)
        pack = build_pack(rows(), shared=True)
        found.append((FusedStep(net, "bf16").gradients([pack], supervised([pack])), taken(net)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(part, found[1][1][name]) for name, part in found[0][1].items())


def test_the_reference_refuses_a_pack_that_shares(tiny_base: Path) -> None:
    net = adapted(tiny_base, torch.float32)
    pack = build_pack(rows(), shared=True)
    with pytest.raises(ValueError, match="lays each row down whole"):
        step.gradients(net, [pack], supervised([pack]))


def test_a_step_that_shares_wrongly_is_not_taken(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = adapted(tiny_base, torch.float32)
    assert choice.is_fused(choice.choose(net, rows()[:3], "fp32")[1])
    batches: Callable[..., Any] = choice.FusedStep.gradients.__globals__["batches"]

    def forgetful(segments: Any, *rest: Any) -> Any:
        return batches([type(one)(one.start, one.end) for one in segments], *rest)

    monkeypatch.setattr("lathe.engine.fused.stack.batches", forgetful)
    assert choice.choose(net, rows()[:3], "fp32")[1].startswith("reference: the fused step's")

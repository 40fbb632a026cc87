"""The step against plain references: loss and gradients of a padded batch with labels, and of other packings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lathe.engine import model, step
from lathe.engine.packs import build_pack
from lathe.errors import InputError
from lathe.records import Method
from lathe.schedule.packing import pack
from lathe.text import tokenizer
from lathe.text.render import Encoded
from lathe.text.tokens import TokenSet, tokenise
from tiny_base import examples, write_base

Gradients = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenSet:
    return tokenise(tokenizer.load(tiny_base), examples(9))


def trained_model(folder: Path, kind: str) -> torch.nn.Module:
    """A float64 model whose adapter's B matrices are not zero, so that every gradient is."""
    step.register_attention()
    base = model.load_base(folder, dtype=torch.float64, attention=step.ATTENTION)
    net = model.attach(base, Method(kind=kind, rank=4), seed=3).double()
    with torch.no_grad():
        for name, parameter in model.trainable(net).items():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1), std=0.1)
    return net


def gradients_of(net: torch.nn.Module) -> Gradients:
    found = {name: part.grad.clone() for name, part in model.trainable(net).items()}
    net.zero_grad()
    return found


def by_packs(net: torch.nn.Module, tokens: TokenSet, budget: int) -> tuple[float, Gradients]:
    packs = [build_pack([tokens.row(row) for row in rows]) for rows in pack(tokens.lengths, budget)]
    loss = step.gradients(net, packs, int(tokens.supervised_lengths.sum()))
    return loss, gradients_of(net)


def padded(net: torch.nn.Module, tokens: TokenSet) -> tuple[float, Gradients]:
    """What every textbook does: pad on the right, attention mask, labels of -100, mean over what is left."""
    width = int(tokens.lengths.max())
    ids = torch.zeros(len(tokens), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for number in range(len(tokens)):
        row = tokens.row(number)
        ids[number, : len(row.ids)] = torch.from_numpy(row.ids.astype(np.int64))
        mask[number, : len(row.ids)] = 1
        labels[number, : len(row.ids)][torch.from_numpy(row.supervised)] = ids[number, : len(row.ids)][row.supervised]
    inner = model.causal(net)
    inner.set_attn_implementation("sdpa")
    logits = net(input_ids=ids, attention_mask=mask, use_cache=False).logits
    loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    inner.set_attn_implementation(step.ATTENTION)
    return loss.item(), gradients_of(net)


def largest_error(first: Gradients, second: Gradients) -> float:
    assert first.keys() == second.keys()
    assert all(float(part.abs().max()) > 0 for part in second.values())
    return max(float((first[name] - second[name]).norm() / second[name].norm()) for name in second)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_loss_and_gradients_equal_the_padded_reference(tiny_base: Path, tokens: TokenSet, kind: str) -> None:
    net = trained_model(tiny_base, kind)
    expected_loss, expected = padded(net, tokens)
    loss, found = by_packs(net, tokens, budget=128)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert largest_error(found, expected) < 1e-10


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "mistral"])
def test_other_architectures_equal_the_padded_reference_too(tmp_path: Path, tokens: TokenSet, model_type: str) -> None:
    net = trained_model(write_base(tmp_path / model_type, model_type, sliding_window=None), "lora")
    expected_loss, expected = padded(net, tokens)
    loss, found = by_packs(net, tokens, budget=128)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert largest_error(found, expected) < 1e-10


@pytest.mark.parametrize("budget", [1, 60, 100, 173, 10_000])
def test_the_packing_changes_neither_loss_nor_gradients(tiny_base: Path, tokens: TokenSet, budget: int) -> None:
    net = trained_model(tiny_base, "lora")
    alone_loss, alone = by_packs(net, tokens, budget=1)
    loss, found = by_packs(net, tokens, budget)
    assert loss == pytest.approx(alone_loss, rel=1e-12)
    assert largest_error(found, alone) < 1e-10


def test_rows_of_a_pack_do_not_see_each_other(tiny_base: Path, tokens: TokenSet) -> None:
    net = trained_model(tiny_base, "lora")
    second = tokens.row(1)
    before = step.pack_loss(net, build_pack([tokens.row(0), second])).item()
    first_alone = step.pack_loss(net, build_pack([tokens.row(0)])).item()
    second_alone = step.pack_loss(net, build_pack([second])).item()
    assert before == pytest.approx(first_alone + second_alone, rel=1e-12)


def test_only_supervised_tokens_carry_loss() -> None:
    row = Encoded(np.arange(10, 16, dtype=np.int32), np.array([0, 0, 0, 1, 0, 1], dtype=bool), 3)
    built = build_pack([row, row])
    assert built.scored_S.tolist() == [2, 4, 8, 10]
    assert built.targets_S.tolist() == [13, 15, 13, 15]
    assert built.positions_1T[0].tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert built.bounds == [0, 6, 12]


def test_bf16_stays_within_its_rounding_of_the_exact_loss(tiny_base: Path, tokens: TokenSet) -> None:
    step.register_attention()
    packs = [build_pack([tokens.row(row) for row in rows]) for rows in pack(tokens.lengths, 128)]
    losses = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        net = model.attach(model.load_base(tiny_base, dtype=dtype, attention=step.ATTENTION), Method(rank=4), seed=3)
        losses[precision] = step.gradients(net, packs, int(tokens.supervised_lengths.sum()), precision)
        assert all(part.grad.dtype == torch.float32 for part in model.trainable(net).values())
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=1e-2)


def test_the_output_head_is_no_target_of_an_adapter(tiny_base: Path) -> None:
    base = model.load_base(tiny_base)
    with pytest.raises(InputError, match="the output head, which adapters are not trained on") as raised:
        model.attach(base, Method(targets=("lm_head", "q_proj")), seed=0)
    assert raised.value.hint is not None
    assert "lm_head" not in raised.value.hint

"""Attention without masks: segments do not see one another, and each is attended to as by the plain one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from lathe.engine.attention import PACKED, ROUNDED, register_attention, rounded_up, segment_causal_attention
from lathe.errors import InputError

B, H, K, T, D = 2, 4, 2, 13, 8


def _heads(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((B, H, T, D), (B, K, T, D), (B, K, T, D))
    return tuple(torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True) for shape in shapes)  # type: ignore[return-value]


def _plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(
        query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), is_causal=True
    )


def test_each_segment_is_attended_alone() -> None:
    query, key, value = _heads(2)
    got = segment_causal_attention(query, key, value, [0, 5, 6, 13], D**-0.5)
    for start, end in ((0, 5), (5, 6), (6, 13)):
        part = _plain(query[:, :, start:end], key[:, :, start:end], value[:, :, start:end])
        torch.testing.assert_close(got[:, :, start:end], part)


def test_positions_past_the_last_bound_are_zero() -> None:
    query, key, value = _heads(3)
    assert not segment_causal_attention(query, key, value, [0, 10], D**-0.5)[:, :, 10:].any()


@pytest.mark.parametrize("window", [None, 4])
def test_rows_rounded_up_for_bf16_give_what_exact_ones_do_forward_and_backward(window: int | None) -> None:
    exact, narrow = _heads(4), _heads(4)
    bounds = [0, 5, 6, 12]
    expected = segment_causal_attention(*exact, bounds, D**-0.5, window)
    expected.sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        got = segment_causal_attention(*(part.bfloat16() for part in narrow), bounds, D**-0.5, window)
    got.double().sum().backward()
    torch.testing.assert_close(got.double(), expected, atol=0.05, rtol=0.05)
    for one, other in zip(narrow, exact, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=0.1, rtol=0.05)


def test_lengths_are_rounded_up_in_bf16_alone_where_torch_keeps_products_for_each() -> None:
    wide, narrow = torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)
    assert {rounded_up(length, narrow) for length in range(1, 1 + 3 * ROUNDED)} == {ROUNDED, 2 * ROUNDED, 3 * ROUNDED}
    assert rounded_up(5, wide) == 5
    with torch.autocast("cpu", torch.bfloat16):
        assert rounded_up(5, wide) == ROUNDED


SMALL = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    register_attention()
    torch.manual_seed(0)
    config = LlamaConfig(**SMALL, tie_word_embeddings=True)
    return LlamaForCausalLM(config).double().eval()


def _logits(network: LlamaForCausalLM, name: str, ids: torch.Tensor, **arguments: object) -> torch.Tensor:
    network.config._attn_implementation = name
    with torch.no_grad():
        return network(input_ids=ids, **arguments).logits


@pytest.mark.parametrize("use_cache", [False, True])
def test_a_pack_gives_the_logits_of_its_segments_alone(network: LlamaForCausalLM, use_cache: bool) -> None:
    """transformers' own packing leaks with its default use_cache; ours must not, whatever that is set to."""
    ids = torch.randint(50, (1, 12), generator=torch.Generator().manual_seed(1))
    bounds = [0, 5, 12]
    positions = torch.tensor([[*range(5), *range(7)]])
    packed = _logits(
        network,
        PACKED,
        ids,
        position_ids=positions,
        cu_seq_lens_q=torch.tensor(bounds, dtype=torch.int32),
        use_cache=use_cache,
    )
    for start, end in ((0, 5), (5, 12)):
        torch.testing.assert_close(packed[:, start:end], _logits(network, "sdpa", ids[:, start:end]))


@pytest.mark.parametrize("kind", ["mistral", "gemma3_text", "qwen2", "phi3"])
def test_rows_of_a_pack_that_are_longer_than_a_sliding_window_see_as_far_as_alone(kind: str) -> None:
    register_attention()
    torch.manual_seed(0)
    more = {"use_sliding_window": True, "max_window_layers": 1} if kind == "qwen2" else {}
    config = AutoConfig.for_model(kind, **SMALL, sliding_window=4, pad_token_id=0, **more)
    network = AutoModelForCausalLM.from_config(config).double().eval()
    ids = torch.randint(1, 50, (1, 18), generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([[*range(3), *range(15)]])
    packed = _logits(network, PACKED, ids, position_ids=positions, cu_seq_lens_q=[0, 3, 18], use_cache=False)
    for start, end in ((0, 3), (3, 18)):
        torch.testing.assert_close(packed[:, start:end], _logits(network, "eager", ids[:, start:end]))
    whole = segment_causal_attention(*_heads(0), [0, T], 1.0)
    assert not torch.equal(whole, segment_causal_attention(*_heads(0), [0, T], 1.0, window=4))


def test_an_attention_that_is_not_written_out_is_refused() -> None:
    register_attention()
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma2", **SMALL)).eval()
    with pytest.raises(InputError, match="softcap"):
        _logits(network, PACKED, torch.tensor([[1, 2, 3]]))


def test_without_segments_it_equals_sdpa(network: LlamaForCausalLM) -> None:
    ids = torch.randint(50, (2, 9), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(_logits(network, PACKED, ids, use_cache=False), _logits(network, "sdpa", ids))


def test_positions_that_jump_do_not_cut_the_window(network: LlamaForCausalLM) -> None:
    """Stretched windows: later tokens still see those before the jump."""
    ids = torch.randint(50, (1, 8), generator=torch.Generator().manual_seed(3))
    other = ids.clone()
    other[0, 0] = (ids[0, 0] + 1) % 50
    positions = torch.tensor([[0, 1, 2, 3, 40, 41, 42, 43]])
    first, second = (
        _logits(network, PACKED, row, position_ids=positions, use_cache=False)[0, -1] for row in (ids, other)
    )
    assert (first - second).abs().max() > 1e-9


def test_decoding_with_a_cache_continues_the_same_logits(network: LlamaForCausalLM) -> None:
    ids = torch.randint(50, (1, 7), generator=torch.Generator().manual_seed(4))
    network.config._attn_implementation = PACKED
    with torch.no_grad():
        first = network(input_ids=ids[:, :4], use_cache=True)
        rest = network(input_ids=ids[:, 4:], past_key_values=first.past_key_values, use_cache=True).logits
    torch.testing.assert_close(rest, _logits(network, "sdpa", ids)[:, 4:])

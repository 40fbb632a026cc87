"""A llama-like decoder written out for generation: one preallocated cache, exact lengths.

    decoder = Decoder(Weights(model))
    decoder.reserve(slots=16, capacity=900)                       # room for so many answers of so many tokens
    decoder.forward([], [Read(slot=0, ids=first), Read(slot=1, ids=second)])      # reads prompts
    hidden_RD = decoder.forward([[17], [4, 9, 2]], [Read(slot=2, ids=third)])     # goes on in two slots and reads a third prompt
    decoder.keep([212, 640])                                      # how many tokens of the slots that went on stay

It computes what transformers computes, without building modules, masks and caches for every token; a test holds it to
transformers' logits. Prompts are read in the pass that writes on: the matrices are read once for both (Agrawal et al. 2023, arXiv
2308.16369). What it computes between products is `parts`' matter.

Shapes: S slots, C capacity (tokens of a slot), N slots that go on, T tokens of a pass, R of them that the caller hears of, K
key-value heads, W head width, D hidden width, E width of queries, keys and values side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lathe.engine.decoding.cache import GROUP, Cache, Read, Rows, Turns, groups_of
from lathe.engine.decoding.weights import Weights


class Decoder:
    """A model's weights, and room for the answers under way."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.heads, self.parts, self.device = weights, weights.heads, weights.parts, weights.device
        self.context = weights.context
        nothing = weights.embedding.new_zeros(0, 0, 0)
        self.caches = [Cache(nothing, nothing) for _ in weights.layers]
        self.lengths: list[int] = []
        """Tokens that stand in each slot."""
        self.reserve(slots=1, capacity=1)

    @torch.inference_mode()
    def reserve(self, slots: int, capacity: int) -> None:
        """Cuts the cache into slots of at most `capacity` tokens each, prompt included; what stands in the first ones stays, as
        far as there is room for it."""
        self.turns: Turns = self.weights.turns(capacity)
        kept, heads, width = min(slots, len(self.lengths)), self.heads.keys, self.heads.width
        filled = min(capacity, max(self.lengths[:kept], default=0))
        # One layer after another, so that little is held twice.
        for index, old in enumerate(self.caches):
            new = Cache(
                self._zeros((slots, heads, groups_of(capacity), width, GROUP)),
                self._zeros((slots, heads, capacity, width)),
            )
            old.copy_to(new, slice(kept), slice(kept), filled)
            self.caches[index] = new
        self.lengths = self.lengths[:kept] + [0] * (slots - kept)

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        dtype = self.weights.embedding.dtype
        if self.device.type != "cpu":
            return torch.zeros(shape, dtype=dtype, device=self.device)
        # The system's own zeros, in large pages: what is never written to takes neither memory nor time.
        return torch.from_numpy(np.zeros(math.prod(shape) * dtype.itemsize, np.uint8)).view(dtype).view(shape)

    @torch.inference_mode()
    def forward(self, rows: Sequence[Sequence[int]], prompts: Sequence[Read] = ()) -> Tensor:
        """One pass: appends some tokens to each of the first N slots, and reads prompts into others. The normed hidden states
        after all tokens that were appended, row after row, and after the last of each prompt, shape (R, D).

        The N slots grow only by what `keep` then says: a guess that turns out wrong is overwritten by the next call.
        """
        unread = [prompt.ids[prompt.start :].tolist() for prompt in prompts]
        everything = Rows.of(
            slots=[*range(len(rows)), *(prompt.slot for prompt in prompts)],
            lengths=[*self.lengths[: len(rows)], *(prompt.start for prompt in prompts)],
            added=[len(tokens) for tokens in (*rows, *unread)],
            device=self.device,
        )
        tokens_T = torch.tensor([*itertools.chain(*rows, *unread)], device=self.device)
        if not prompts:
            hidden_TD = self._through(tokens_T, everything, self.parts.attend)
            return self._normalise(hidden_TD, self.weights.norm_D)
        appended, masks = everything.first(len(rows)), [self._unshared_mask(prompt) for prompt in prompts]

        def attend(joined_TE: Tensor, _: Rows, cache: Cache) -> Tensor:
            joined_AE, *parts = joined_TE.split([len(appended), *map(len, unread)])
            attended = [self.parts.attend(joined_AE, appended, cache)] if rows else []
            for joined_ME, prompt, mask in zip(parts, prompts, masks, strict=True):
                attended.append(self._attend_to_prompt(joined_ME, prompt, mask, cache))
            return torch.cat(attended)

        hidden_TD = self._through(tokens_T, everything, attend)
        for prompt in prompts:
            self.lengths[prompt.slot] = len(prompt.ids)
        last_P = everything.starts_N1[len(rows) + 1 :] - 1
        return self._normalise(torch.cat((hidden_TD[: len(appended)], hidden_TD[last_P])), self.weights.norm_D)

    def _unshared_mask(self, prompt: Read) -> Tensor | None:
        """Causal attention of the last rows of a longer sequence; where nothing is shared torch's own causal path is faster."""
        if prompt.start == 0:
            return None
        places_L = torch.arange(len(prompt.ids), device=self.device)
        return places_L <= places_L[prompt.start :, None]

    def _attend_to_prompt(self, joined_ME: Tensor, prompt: Read, mask: Tensor | None, cache: Cache) -> Tensor:
        """Attention of a prompt's M rows: blocks of queries at a time, which pays for prompts."""
        length = len(prompt.ids)
        query_MHW = joined_ME[:, : self.heads.queries * self.heads.width].unflatten(1, (-1, self.heads.width))
        attended_HMW = functional.scaled_dot_product_attention(
            query_MHW.transpose(0, 1)[None],
            cache.keys_KLW(prompt.slot, length)[None],
            cache.values_SKCW[prompt.slot, None, :, :length],
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=self.heads.queries != self.heads.keys,
        )[0]
        return attended_HMW.transpose(0, 1).flatten(1)

    @torch.inference_mode()
    def keep(self, lengths: Sequence[int]) -> None:
        """Says how many tokens of each of the first N slots stay, of those that stood there before `forward` and those that it
        appended."""
        self.lengths[: len(lengths)] = lengths

    @torch.inference_mode()
    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Gives `target` the keys and values of the first `length` tokens of `source`; exact where those tokens are equal."""
        for cache in self.caches:
            cache.copy_to(cache, slice(source, source + 1), slice(target, target + 1), length)

    @torch.inference_mode()
    def move(self, source: int, target: int) -> None:
        """Moves a slot's content."""
        self.copy_prefix(source, target, self.lengths[source])
        self.lengths[target] = self.lengths[source]

    @torch.inference_mode()
    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of normed hidden states, float32, shape (N, vocabulary)."""
        return self.weights.head(hidden_ND).float()

    def _through(self, tokens_T: Tensor, rows: Rows, attend: Callable[[Tensor, Rows, Cache], Tensor]) -> Tensor:
        """Hidden states (T, D) behind the last layer; keys and values are in the cache then."""
        hidden_TD = functional.embedding(tokens_T, self.weights.embedding)
        for layer, cache in zip(self.weights.layers, self.caches, strict=True):
            joined_TE = layer.qkv(self._normalise(hidden_TD, layer.attention_norm_D))
            if layer.query_norm_W is not None and layer.key_norm_W is not None:
                self._normalise_heads(joined_TE, layer.query_norm_W, layer.key_norm_W)
            self.parts.turn(joined_TE, rows, self.turns, cache)
            hidden_TD = hidden_TD + layer.out(attend(joined_TE, rows, cache))
            inner_TF = self.parts.gated(layer.gate_up(self._normalise(hidden_TD, layer.mlp_norm_D)))
            hidden_TD = hidden_TD + layer.down(inner_TF)
        return hidden_TD

    def _normalise_heads(self, joined_TE: Tensor, query_norm_W: Tensor, key_norm_W: Tensor) -> None:
        """Of queries and keys, in place, as Qwen3 does."""
        query, key, _ = joined_TE.unflatten(1, (-1, self.heads.width)).split(
            (self.heads.queries, self.heads.keys, self.heads.keys), dim=1
        )
        query.copy_(self._normalise(query, query_norm_W))
        key.copy_(self._normalise(key, key_norm_W))

    def _normalise(self, hidden_TD: Tensor, gain_D: Tensor) -> Tensor:
        return self.parts.normalise(hidden_TD, gain_D, self.weights.epsilon)

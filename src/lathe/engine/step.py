"""One optimiser step's gradients: the reference implementation, for any causal language model that transformers has.

    packs = [build_pack([tokens.row(i) for i in rows]) for rows in plan.packs(step)]
    loss = gradients(model, packs, supervised=sum(len(p.targets_S) for p in packs))     # .grad now holds the step's gradient

A step is a set of examples, not a shape: its loss is the sum over its supervised tokens divided by their number, so loss and
gradient are the same whatever the packs. Only supervised positions reach the output head, and no position is ever padding. Each
row is computed whole: sharing what rows begin with needs an attention whose backward pass knows of it, which the fused step has.

Shapes: T tokens of a pack, S supervised positions of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lathe.engine.attention import PACKED, register_attention
from lathe.engine.devices import Precision
from lathe.engine.dropout import dropping
from lathe.engine.loss import supervised_loss
from lathe.engine.model import causal, head
from lathe.engine.packs import Pack

ATTENTION = PACKED
"""The attention that `gradients` needs a model to be loaded with."""


Step = Callable[[Iterable[Pack], float], float]
"""(packs of a step, supervised tokens over all of them, or the sum of their weights) -> loss in nats per supervised token; adds the
gradient to `.grad`."""


def pack_loss(model: nn.Module, pack: Pack, precision: Precision = "fp32") -> Tensor:
    """Summed loss of a pack in nats, a scalar with a gradient. bf16 computes in autocast; the loss itself is float32."""
    with torch.autocast(pack.ids_1T.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        hidden_TD = hidden(model, pack)
    head_VD = head(model)
    return supervised_loss(hidden_TD.to(head_VD.dtype), head_VD, pack.scored_S, pack.targets_S, pack.weights_S)


def hidden(model: nn.Module, pack: Pack) -> Tensor:
    """Hidden states before the head, T x D. Raises ValueError on a pack whose rows share something."""
    if any(segment.front for segment in pack.segments):
        raise ValueError(
            "expected a pack that lays each row down whole: transformers' models cannot share what rows begin with"
        )
    # No mask and no cache: with either, transformers would let the rows of a pack see each other.
    states_1TD: Tensor = (
        causal(model)
        .get_decoder()(
            input_ids=pack.ids_1T, position_ids=pack.positions_1T, cu_seq_lens_q=pack.bounds, use_cache=False
        )
        .last_hidden_state
    )
    return states_1TD[0]


def gradients(model: nn.Module, packs: Iterable[Pack], supervised: float, precision: Precision = "fp32") -> float:
    """Adds the step's gradient to `.grad` and returns its loss in nats per supervised token.

    supervised: supervised tokens of the whole step, over all its packs. The model must have been loaded with `ATTENTION`.
    """
    register_attention()
    total = 0.0
    for pack in packs:
        if pack.targets_S.numel() == 0:
            continue
        with dropping(
            model, pack
        ):  # around the backward pass too, which computes a layer again where `train.recompute` says so
            loss = pack_loss(model, pack, precision) / supervised
            loss.backward()
        total += loss.item()
    return total

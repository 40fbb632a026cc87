"""What the engine's fused step holds of one pack, counted tensor by tensor from `engine.fused`, and of its weights.

    unfit(config, recipe)               why another step runs, or None
    held(model, form, pack).peak        bytes of a pack
    terms(model, setting)               the same as terms of a plan

A test holds the counts to what torch's own profiler says of a step: within 4 %.

Shapes: T tokens of a pack, S scored positions of it, D hidden width, Q all query heads, K all key heads, F inner width of the MLP,
R ranks of a projection's adapters, rounded up to 16. Bytes: a narrow number has 4, in bf16 2; a wide one has 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.plan.parameters import adapted
from lathe.plan.setting import BYTES, Setting
from lathe.records import MemoryTerm, Recipe

ARCHITECTURES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Those whose fused step is written out in the engine."""
LAYERS = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})
WIDE = 4
TOKENS_STEP, SCORED_STEP, RANKS_STEP = 256, 128, 16
"""Multiples to which tokens, scored positions and ranks are rounded up."""
QUERIES, KEPT_KEYS = 64, 1024
"""Attention goes in blocks of so many queries, filled up, and keeps the weights of those that see at most so many keys."""
LOGIT_ROWS = 256
"""Scored positions whose logits exist at once."""
HEAP_SHARE, LEAST_HEAP_SHARE, MOST_HEAP_SHARE = 0.01, 0.04, 0.3
"""Freed memory that the C allocator keeps at the worst moment of a run, as a share of what a pack needs: so much times the root of
the number of packs. Measured with glibc: 0.03 to 0.05 over 16 packs, 0.06 over 100, 0.14 over 250, 0.32 over 600."""
MAPPED_BYTES = 32 * 2**20
"""From this size on glibc gives each block back as it is freed, so that none is kept."""
LIBRARY_BYTES = {"fp32": 60_000_000, "bf16": 100_000_000}
"""What torch's libraries keep after their first products, measured with torch 2.13 on Linux."""
LIBRARY_BYTES_A_TOKEN, LIBRARY_TOKENS = 40_000, 2048
"""What oneDNN keeps for products with weights, for packs up to so many tokens: 107 MB in all at 512, 170 to 200 MB at 2,048 and at
4,096."""
KERNEL_BYTES, MOST_KERNELS = 700_000, 256
"""What oneDNN keeps of one shape of product, measured at 96 of attention's; and of how many (`cli.main.LIBRARY_SETTINGS`)."""
MOST_BLOCKS = 8
"""Blocks of queries that attention computes at once; their numbers are powers of two."""
OF_A_PACK = ("activations", "heap", "working set")
"""Terms that a trial before training has back."""


@dataclass(frozen=True)
class Form:
    """How the model is trained. narrow: bytes of a number that goes into a product; targets: last names of adapted layers."""

    narrow: int
    rank: int
    targets: frozenset[str]
    dropout: bool = False

    def ranks(self, *layers: str) -> int:
        """R of the layers that one projection joins."""
        return _up(self.rank * len(self.targets.intersection(layers)), RANKS_STEP)


@dataclass(frozen=True)
class Pack:
    """What of a pack decides memory. tokens: that are computed; attention: numbers of one head over all layers (`kept_by_head`)."""

    tokens: int
    scored: int
    attention: int


@dataclass(frozen=True)
class Held:
    """Bytes of a pack: kept from forward to backward, beside it while a layer goes backward, and beside it around the logits."""

    kept: int
    backward: int
    logits: int
    each: int
    """Bytes that a layer keeps of one token, attention's own aside."""

    @property
    def peak(self) -> int:
        """Logits are gone before the first whole layer goes backward."""
        return self.kept + max(self.backward, self.logits)


def filled(num_keys: int) -> int:
    """Keys of a block that sees so many: multiples of 64 up to 512, then of an eighth of the next power of two."""
    return _up(num_keys, max(64, 2 ** ((num_keys - 1).bit_length() - 3)))


@cache
def blocks(start: int, end: int) -> tuple[int, ...]:
    """Keys of each block of queries of tokens start .. end - 1 of a row, filled up."""
    return tuple(filled(min(first + QUERIES, end)) for first in range(start, end, QUERIES))


@cache
def kept_by_head(start: int, end: int, width: int) -> int:
    """Numbers that attention keeps of one head, `width` wide, for tokens start .. end - 1 of a row: of each block its queries and,
    unless it sees too many keys, their weights."""
    keys = blocks(start, end)
    return QUERIES * (len(keys) * width + sum(count for count in keys if count <= KEPT_KEYS))


def attention_shapes(longest_row: int, pack_tokens: int) -> int:
    """Shapes of attention's products: scores and what has their shape, what has the shape of the queries, and of the keys; for each
    number of keys, and for each power of two of blocks that a pack has, its rows taken to be half as long as the longest."""
    keys = len({filled(seen) for seen in range(1, longest_row + 1, QUERIES)})
    return 3 * keys * min(MOST_BLOCKS, 2 * pack_tokens // max(1, longest_row)).bit_length()


def heaviest(model: Shapes, form: Form, tokens: NDArray[np.int64], attention: NDArray[np.int64]) -> int:
    """Which of the packs, with so many tokens and numbers of attention a layer, needs most memory."""
    layers = model.num_layers - 1
    each = layers * sum(_kept(model, form)) + _backward(model, form)
    return int(np.argmax(tokens * each + attention * (layers * form.narrow * model.heads)))


def matrix_bytes(model: Shapes, form: Form) -> int:
    """The matrices that hold weights and adapters side by side, (out + R) x (in + R) for each projection."""
    hidden, inner = model.hidden, model.intermediate
    sides = (
        (model.queries, hidden, form.ranks("q_proj")),
        (2 * model.keys, hidden, form.ranks("k_proj", "v_proj")),
        (hidden, model.queries, form.ranks("o_proj")),
        (2 * inner, hidden, form.ranks("gate_proj", "up_proj")),
        (hidden, inner, form.ranks("down_proj")),
    )
    return model.num_layers * form.narrow * sum((out + ranks) * (into + ranks) for out, into, ranks in sides)


def held(model: Shapes, form: Form, pack: Pack) -> Held:
    """Bytes of the largest pack. The last layer computes at the scored positions alone, but for its keys and values."""
    tokens, scored = _up(pack.tokens, TOKENS_STEP), _up(pack.scored, SCORED_STEP)
    at_keys, at_rows = _kept(model, form)
    layers = model.num_layers - 1
    # The stream behind the last layer, normalised in both formats, and its gradient.
    head = scored * model.hidden * (3 * WIDE + form.narrow)
    rows = min(LOGIT_ROWS, scored)
    copies = 3 if scored > LOGIT_ROWS else 2
    return Held(
        kept=tokens * (layers * (at_keys + at_rows) + at_keys)
        + scored * at_rows
        + form.narrow * model.heads * pack.attention,
        backward=head + (tokens if layers else scored) * _backward(model, form),
        logits=head + WIDE * rows * model.vocab * copies,
        each=at_keys + at_rows,
    )


def _kept(model: Shapes, form: Form) -> tuple[int, int]:
    """Bytes that a layer keeps for a token as a key, and for a token whose output is computed (`_Saved` of the stack), but for what
    attention keeps by blocks (`kept_by_head`)."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    # Beside a product without dropout stand the adapters' inner values, which are kept by themselves as well.
    beside_keys = form.ranks("k_proj", "v_proj") * (not form.dropout)
    beside_gate = form.ranks("gate_proj", "up_proj") * (not form.dropout)
    # Normed input, 1 / rms and inner values; keys and values as the product gave them, for the values; the turned keys.
    narrow_keys = hidden + form.ranks("k_proj", "v_proj") + 2 * keys + beside_keys + keys
    wide_keys = 1
    # Inner values of all, what attention gives, the MLP's normed input and 1 / rms, gate and up, the opened gate and the product.
    narrow_rows = form.ranks("q_proj") + queries + form.ranks("o_proj") + hidden
    narrow_rows += 4 * inner + beside_gate + form.ranks("gate_proj", "up_proj") + form.ranks("down_proj")
    wide_rows = 1
    if model.architecture == "qwen3":
        wide_keys += keys + model.kv_heads
        wide_rows += queries + model.heads
    return form.narrow * narrow_keys + WIDE * wide_keys, form.narrow * narrow_rows + WIDE * wide_rows


def _backward(model: Shapes, form: Form) -> int:
    """Bytes for each token at the end of a layer's way backward: all its gradients live until it is done. Attention's batches of
    blocks, which come before, need less than what follows them."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    bf16 = form.narrow < WIDE
    narrow = inner + form.ranks("down_proj") + 2 * inner + hidden + form.ranks("gate_proj", "up_proj")
    narrow += queries + form.ranks("o_proj") + queries + (queries + 2 * keys if bf16 else 0)
    narrow += hidden + form.ranks("q_proj") + hidden
    # A mask, and the gradient that goes through it.
    narrow += 2 * hidden if form.dropout else 0
    # Of the stream, and of turned queries, keys and values.
    wide = hidden + queries + 2 * keys
    # A sum and its first part, or the norm's product with, in bf16, both of its factors widened.
    summed = form.narrow * (hidden + form.ranks("k_proj", "v_proj"))
    return form.narrow * narrow + WIDE * wide + max(summed, WIDE * hidden * (3 if bf16 else 1))


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def unfit(config: Mapping[str, Any], recipe: Recipe) -> str | None:
    """Why the fused step does not train this recipe on a CPU, as `engine.fused.choice` has it; None where it does."""
    kind, method = str(config.get("model_type")), recipe.method
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = scaling.get("rope_type") or scaling.get("type") or "default"
    windowed = config.get("sliding_window", 4096 if kind == "mistral" else None) is not None
    reasons = {
        f"the trainer is {recipe.trainer}": recipe.trainer != "native",
        "all weights are trained": method.kind == "full",
        "the base is quantised": method.quantised,
        "layers are computed again": recipe.train.recompute,
        f"{kind} is not written out": kind not in ARCHITECTURES,
        f"the gate is {config.get('hidden_act')}": config.get("hidden_act", "silu") != "silu",
        "the MLP has biases": bool(config.get("mlp_bias")),
        "attention has a window": windowed and bool(config.get("use_sliding_window", not kind.startswith("qwen"))),
        f"positions are of type {rope}": rope not in ("default", "llama3", "linear"),
        "the base has attention dropout": bool(config.get("attention_dropout")),
        "other layers are trained": method.targets != "all-linear" and not LAYERS.issuperset(method.targets),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def form_of(model: Shapes, setting: Setting) -> Form:
    """A setting in the fused step's own terms."""
    names = frozenset(linear.name.rpartition(".")[2] for linear in adapted(model, setting.targets))
    return Form(BYTES[setting.precision], setting.rank, names, setting.dropout)


def terms(model: Shapes, setting: Setting) -> tuple[MemoryTerm, ...]:
    """The fused step's part of a plan's terms."""
    form = form_of(model, setting)
    found = held(model, form, Pack(setting.pack_tokens, setting.pack_supervised, setting.pack_weights))
    beside = max(found.backward, found.logits)
    matrices = f"{model.num_layers} layers, weights and adapters side by side: (out + ranks) x (in + ranks) x {form.narrow} bytes"
    kept = (
        f"{setting.pack_tokens:,} tokens x {model.num_layers} layers x {found.each:,} bytes, in the last layer for "
        f"{setting.pack_supervised:,} scored ones; {setting.pack_weights:,} queries and weights of attention a head"
    )
    working = (
        f"logits of {LOGIT_ROWS} positions x {model.vocab:,} words x 4 bytes x 3 copies"
        if found.logits > found.backward
        else f"gradients of one layer while it goes backward, {beside // max(1, setting.pack_tokens):,} bytes a token"
    )
    mapped = setting.pack_tokens * model.intermediate * form.narrow >= MAPPED_BYTES
    share = LEAST_HEAP_SHARE if mapped else min(MOST_HEAP_SHARE, HEAP_SHARE * math.sqrt(setting.num_packs))
    heap = f"{share:.2f} x what a pack needs: freed memory that the C allocator keeps over {setting.num_packs:,} packs, measured"
    kernels = KERNEL_BYTES * attention_shapes(setting.longest_row, setting.pack_tokens)
    more = LIBRARY_BYTES_A_TOKEN * min(LIBRARY_TOKENS, setting.pack_tokens) + kernels
    libraries = f"what torch's libraries keep after their first products in {setting.precision}, measured"
    return (
        MemoryTerm(name="step's matrices", num_bytes=matrix_bytes(model, form), formula=matrices),
        MemoryTerm(name="activations", num_bytes=found.kept, formula=kept),
        MemoryTerm(name="working set", num_bytes=beside, formula=working),
        MemoryTerm(name="heap", num_bytes=int(share * found.peak), formula=heap),
        MemoryTerm(
            name="libraries",
            num_bytes=LIBRARY_BYTES[setting.precision] + min(MOST_KERNELS * KERNEL_BYTES, more),
            formula=libraries,
        ),
    )

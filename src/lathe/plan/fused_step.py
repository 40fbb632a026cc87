"""What the engine's fused step holds of one pack, counted tensor by tensor from `engine.fused`, and of its weights.

    unfit(config, recipe)               why another step runs, or None
    held(model, form, pack).peak        bytes of a pack
    terms(model, setting)               the same as terms of a plan

A test holds the counts to what torch's own profiler says of a step: within 3 %.

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
"""Attention keeps the weights of a block of so many queries where it sees at most so many keys."""
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
"""What oneDNN keeps besides, for packs up to so many tokens: 107 MB in all at 512, 170 to 200 MB at 2,048 and at 4,096."""
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
    """What of a pack decides memory. tokens: that are computed; weights: attention weights of one head (`kept_weights`)."""

    tokens: int
    scored: int
    weights: int


@dataclass(frozen=True)
class Held:
    """Bytes of a pack: kept from forward to backward, beside it while a layer goes backward, and beside it around the logits."""

    kept: int
    backward: int
    logits: int
    each: int
    """Bytes that a layer keeps of one token, attention weights aside."""

    @property
    def peak(self) -> int:
        """Logits are gone before the first whole layer goes backward."""
        return self.kept + max(self.backward, self.logits)


@cache
def kept_weights(start: int, end: int) -> int:
    """Attention weights of one head that are kept for tokens start .. end - 1 of a row: queries times keys, block by block."""
    blocks = ((first, min(first + QUERIES, end)) for first in range(start, end, QUERIES))
    return sum((seen - first) * seen for first, seen in blocks if seen <= KEPT_KEYS)


def heaviest(
    model: Shapes, form: Form, tokens: NDArray[np.int64], scored: NDArray[np.int64], weights: NDArray[np.int64]
) -> Pack:
    """The pack, of those with so many tokens, scored positions and attention weights, that needs most memory."""
    at_keys, at_rows = _kept(model, form)
    each = (model.num_layers - 1) * (at_keys + at_rows) + at_keys + _backward(model, form)
    need = tokens * each + scored * at_rows + weights * (WIDE * model.heads * model.num_layers)
    most = int(np.argmax(need))
    return Pack(int(tokens[most]), int(scored[most]), int(weights[most]))


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
    share = pack.scored / max(1, pack.tokens)
    weights = int(WIDE * model.heads * pack.weights * (layers + share))
    rows = min(LOGIT_ROWS, scored)
    copies = 3 if scored > LOGIT_ROWS else 2
    return Held(
        kept=tokens * (layers * (at_keys + at_rows) + at_keys)
        + scored * (at_rows + form.narrow * model.hidden)
        + weights,
        backward=(tokens if layers else scored) * _backward(model, form),
        logits=WIDE * rows * model.vocab * copies + scored * model.hidden * (3 * WIDE + form.narrow),
        each=at_keys + at_rows,
    )


def _kept(model: Shapes, form: Form) -> tuple[int, int]:
    """Bytes that a layer keeps for a token as a key, and for a token whose output is computed (`_Saved` of the stack)."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    bf16 = form.narrow < WIDE
    # Beside a product without dropout stand the adapters' inner values, which are kept by themselves as well.
    beside_keys = form.ranks("k_proj", "v_proj") * (not form.dropout)
    beside_gate = form.ranks("gate_proj", "up_proj") * (not form.dropout)
    # Normed input and inner values; turned keys, 1 / rms; keys and values, in bf16 widened, else as the product gave them.
    narrow_keys = hidden + form.ranks("k_proj", "v_proj") + (0 if bf16 else 2 * keys + beside_keys)
    wide_keys = keys + 1 + (2 * keys if bf16 else 0)
    # Inner values of all, what attention gives, the MLP's normed input, gate and up, the opened gate and the product.
    narrow_rows = form.ranks("q_proj") + queries + form.ranks("o_proj") + hidden
    narrow_rows += 4 * inner + beside_gate + form.ranks("gate_proj", "up_proj") + form.ranks("down_proj")
    wide_rows = queries + 1
    if model.architecture == "qwen3":
        wide_keys += keys + model.kv_heads
        wide_rows += queries + model.heads
    return form.narrow * narrow_keys + WIDE * wide_keys, form.narrow * narrow_rows + WIDE * wide_rows


def _backward(model: Shapes, form: Form) -> int:
    """Bytes for each token while one layer goes backward: all its gradients live until it is done."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    bf16 = form.narrow < WIDE
    narrow = inner + form.ranks("down_proj") + 2 * inner + hidden + form.ranks("gate_proj", "up_proj")
    narrow += queries + form.ranks("o_proj") + (queries + 2 * keys if bf16 else 0)
    narrow += hidden + form.ranks("q_proj") + hidden + form.ranks("k_proj", "v_proj") + hidden
    # A mask, and the gradient that goes through it.
    narrow += 2 * hidden if form.dropout else 0
    wide = 2 * hidden + 3 * queries + 4 * keys + (2 * hidden if bf16 else 0)
    return form.narrow * narrow + WIDE * wide


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
        f"{setting.pack_supervised:,} scored ones; {setting.pack_weights:,} attention weights a head and layer"
    )
    working = (
        f"logits of {LOGIT_ROWS} positions x {model.vocab:,} words x 4 bytes x 3 copies"
        if found.logits > found.backward
        else f"gradients of one layer while it goes backward, {beside // max(1, setting.pack_tokens):,} bytes a token"
    )
    mapped = setting.pack_tokens * model.intermediate * form.narrow >= MAPPED_BYTES
    share = LEAST_HEAP_SHARE if mapped else min(MOST_HEAP_SHARE, HEAP_SHARE * math.sqrt(setting.num_packs))
    heap = f"{share:.2f} x what a pack needs: freed memory that the C allocator keeps over {setting.num_packs:,} packs, measured"
    more = LIBRARY_BYTES_A_TOKEN * min(LIBRARY_TOKENS, setting.pack_tokens)
    libraries = f"what torch's libraries keep after their first products in {setting.precision}, measured"
    return (
        MemoryTerm(name="step's matrices", num_bytes=matrix_bytes(model, form), formula=matrices),
        MemoryTerm(name="activations", num_bytes=found.kept, formula=kept),
        MemoryTerm(name="working set", num_bytes=beside, formula=working),
        MemoryTerm(name="heap", num_bytes=int(share * found.peak), formula=heap),
        MemoryTerm(name="libraries", num_bytes=LIBRARY_BYTES[setting.precision] + more, formula=libraries),
    )

"""What the engine's fused step holds of one pack, counted tensor by tensor from `engine.fused`, and of its weights.

    unfit(config, recipe)               why another step runs, or None
    held(model, form, pack).peak        bytes of a pack
    terms(model, setting)               the same as terms of a plan

A test holds the counts to what torch's own profiler says of a step: within 4 %.

Shapes: T tokens of a pack, S scored positions of it, D hidden width, Q all query heads, K all key heads, F inner width of the MLP,
R ranks of a projection's adapters, rounded up to 16. Bytes: a narrow number has 4, in bf16 2; a wide one has 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.plan.compiled_products import products
from lathe.plan.fused_attention import Attended, Batch, Laid, in_tiles, rounded_up
from lathe.plan.parameters import adapted
from lathe.plan.setting import BYTES, Setting
from lathe.records import MemoryTerm, Recipe
from lathe.schedule.prefixes import computed

ARCHITECTURES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Those whose fused step and decoder are written out in the engine."""
LAYERS = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})
WIDE = 4
RANKS_STEP = 16
"""What ranks are multiples of."""
LOGIT_ROWS = 256
"""Scored positions whose logits exist at once."""
LIBRARY_BYTES = 50_000_000
"""What torch's libraries keep after their first products, kernels aside."""
BUFFER_BYTES = 20_000_000
"""What products in fp32 keep beside that where several threads share them: 6 to 31 MB with two threads, in eight trainings."""
HOLES_SHARE = 0.1
"""Freed memory between what lives for a moment, as a share of what a pack keeps: the more tokens and layers, the more of it. With
this and those, 38 trainings of small and middling shapes took what was counted within 29 MB, root mean square: 103 to 293 shapes of
products, 11 to 1,830 MB kept, 14 of them without tiles; torch 2.13 on Linux."""
PROJECTIONS = (
    frozenset({"q_proj"}), frozenset({"k_proj", "v_proj"}), frozenset({"o_proj"}), frozenset({"gate_proj", "up_proj"}),
    frozenset({"down_proj"}),
)  # fmt: skip
"""Layers that read the same input and are one product."""
OF_A_PACK = ("activations", "heap", "working set")
"""Terms that a trial before training has back."""


class Steps(NamedTuple):
    """Multiples to which tokens and scored positions of a pack are rounded up."""

    tokens: int
    scored: int


COMPILED, PLAIN = Steps(256, 128), Steps(1, 1)
"""Where each shape of a product is compiled, and elsewhere."""


@dataclass(frozen=True)
class Form:
    """How the model is trained. narrow: bytes of a number that goes into a product; targets: last names of adapted layers, none
    where all weights are trained; compiled: whether what lies between products is (`engine.fused.compiled`), which then holds
    nothing between one number and the next."""

    narrow: int
    rank: int
    targets: frozenset[str]
    full: bool = False
    """Whether all weights are trained."""
    dropout: bool = False
    compiled: bool = False
    tiles: bool = False
    """Whether attention is computed in the processor's matrix units."""
    steps: Steps = COMPILED

    def ranks(self, *layers: str) -> int:
        """R of the layers that one projection joins."""
        return rounded_up(self.rank * len(self.targets.intersection(layers)), RANKS_STEP)


@dataclass(frozen=True)
class Pack:
    """What of a pack decides memory. tokens: that are computed; attention: numbers of one head over all layers (`kept_by_head`);
    batch: numbers of its batches of attention that are alive at once on their way backward (`alive_in_batches`)."""

    tokens: int
    scored: int
    attention: int
    batch: int = 0


@dataclass(frozen=True)
class Met:
    """What differs between the packs of a run. tokens, scored: how many numbers of them there are, rounded up; batches: those of
    attention."""

    tokens: int
    scored: int
    batches: frozenset[Batch]

    def kernels(self, form: Form) -> int:
        """Shapes of products: of every projection forward and backward, of the gradients of its weights or its adapters, in bf16
        of the adapters by themselves; of the head's logits and their gradient; of each batch of attention, where it is formed,
        what has the shape of scores, of queries and of keys."""
        bf16 = form.narrow < WIDE

        def shapes(layers: frozenset[str]) -> int:
            # Of A and of B; in bf16 what the adapters add each way. Layers of one projection are as wide, and share a shape.
            return 2 + form.full + (4 if bf16 else 2) * bool(layers & form.targets)

        everywhere, scored = PROJECTIONS, [layers for layers in PROJECTIONS if "k_proj" not in layers]
        return (
            self.tokens * sum(map(shapes, everywhere))
            + self.scored * (sum(map(shapes, scored)) + 2 + form.full)
            + 3 * len(self.batches) * (not form.tiles)
        )


@dataclass(frozen=True)
class Held:
    """Bytes of a pack: kept from forward to backward, and beside it while a layer's attention goes backward, at the end of the
    layer's way backward, around the logits, and where the step ends."""

    kept: int
    attention: int
    backward: int
    logits: int
    end: int
    each: int
    """Bytes that a layer keeps of one token, attention's own aside."""

    @property
    def beside(self) -> int:
        """One goes before the other comes: the logits before the first layer goes backward, attention's before the layer ends."""
        return max(self.attention, self.backward, self.logits, self.end)

    @property
    def peak(self) -> int:
        """At the worst moment."""
        return self.kept + self.beside


def met(laid: Laid, in_packs: Sequence[Attended], supervised_N: NDArray[np.int64]) -> Met:
    """What the packs of a run have where products are compiled. in_packs: the batches of each, as `attended` has them."""
    return Met(
        tokens=len({rounded_up(computed(stretches), COMPILED.tokens) for _, stretches in laid}),
        scored=len({rounded_up(int(supervised_N[rows].sum()), COMPILED.scored) for rows, _ in laid}),
        batches=frozenset(chain.from_iterable(chain.from_iterable(in_packs))),
    )


def heaviest(model: Shapes, form: Form, tokens: NDArray[np.int64], attention: NDArray[np.int64]) -> int:
    """Which of the packs, with so many tokens and numbers of attention a layer, needs most memory."""
    layers = model.num_layers - 1
    each = layers * sum(_kept(model, form)) + _backward(model, form)[1]
    return int(np.argmax(tokens * each + attention * (layers * form.narrow * model.heads)))


def matrix_bytes(model: Shapes, form: Form) -> int:
    """The matrices that hold weights and adapters side by side, (out + R) x (in + R) for each projection; and the head's narrow
    copy, where it is trained as a wide one."""
    sizes = ((out + ranks) * (into + ranks) for out, into, ranks in _sides(model, form))
    copied = model.vocab * model.hidden * (form.full and form.narrow < WIDE)
    return form.narrow * (model.num_layers * sum(sizes) + copied)


def _sides(model: Shapes, form: Form) -> tuple[tuple[int, int, int], ...]:
    """Of each projection: features that it gives and takes, and R."""
    hidden, inner = model.hidden, model.intermediate
    return (
        (model.queries, hidden, form.ranks("q_proj")),
        (2 * model.keys, hidden, form.ranks("k_proj", "v_proj")),
        (hidden, model.queries, form.ranks("o_proj")),
        (2 * inner, hidden, form.ranks("gate_proj", "up_proj")),
        (hidden, inner, form.ranks("down_proj")),
    )


def held(model: Shapes, form: Form, pack: Pack) -> Held:
    """Bytes of the largest pack. The last layer computes at the scored positions alone, but for its keys and values."""
    tokens, scored = rounded_up(pack.tokens, form.steps.tokens), rounded_up(pack.scored, form.steps.scored)
    at_keys, at_rows = _kept(model, form)
    layers = model.num_layers - 1
    # The stream behind the last layer, normalised in both formats, and its gradient.
    head = scored * model.hidden * (3 * WIDE + form.narrow)
    attending, at_end = _backward(model, form)
    positions = tokens if layers else scored
    # The gradient of one product's weights before it is added up; at the end in their own order, and times the weights.
    largest = form.full * max(out * into for out, into, _ in _sides(model, form))
    of_head = form.full * model.vocab * model.hidden
    return Held(
        kept=tokens * (layers * (at_keys + at_rows) + at_keys)
        + scored * at_rows
        + form.narrow * model.heads * pack.attention,
        attention=head + positions * attending + form.narrow * pack.batch,
        backward=head + positions * at_end + form.narrow * largest,
        logits=head + min(LOGIT_ROWS, scored) * model.vocab * _logit(form, scored) + form.narrow * of_head,
        end=2 * WIDE * largest,
        each=at_keys + at_rows,
    )


def _logit(form: Form, scored: int) -> int:
    """Bytes of one logit: as the product gave it, and its gradient takes its place; or that stands beside it with, in bf16, its
    wide form and, where there are more than exist at once, the gradient of those before."""
    if form.compiled:
        return form.narrow
    own = WIDE if form.narrow == WIDE else 2 * WIDE
    return form.narrow + own + form.narrow * (scored > LOGIT_ROWS)


def _kept(model: Shapes, form: Form) -> tuple[int, int]:
    """Bytes that a layer keeps for a token as a key, and for a token whose output is computed (`_Saved` of the stack), but for what
    attention keeps by blocks (`kept_by_head`), where it is computed so."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    # Beside a product without dropout stand the adapters' inner values, which are kept by themselves as well.
    beside_keys = form.ranks("k_proj", "v_proj") * (not form.dropout)
    beside_gate = form.ranks("gate_proj", "up_proj") * (not form.dropout)
    # Normed input, 1 / rms and inner values; keys and values as the product gave them, for the values; the turned keys.
    narrow_keys = hidden + form.ranks("k_proj", "v_proj") + 2 * keys + beside_keys + keys
    wide_keys = 1
    # Inner values of all, what attention gives, the MLP's normed input and 1 / rms, gate and up, and their product.
    narrow_rows = form.ranks("q_proj") + queries + form.ranks("o_proj") + hidden
    narrow_rows += 3 * inner + beside_gate + form.ranks("gate_proj", "up_proj") + form.ranks("down_proj")
    wide_rows = 1
    if form.tiles:
        # Queries, and the logarithm of each sum.
        narrow_rows += queries
        wide_rows += model.heads
    if model.architecture == "qwen3":
        wide_keys += keys + model.kv_heads
        wide_rows += queries + model.heads
    return form.narrow * narrow_keys + WIDE * wide_keys, form.narrow * narrow_rows + WIDE * wide_rows


def _backward(model: Shapes, form: Form) -> tuple[int, int]:
    """Bytes for each token while attention goes backward, its batches aside, and at the end of a layer's way backward: all its
    gradients live until it is done."""
    hidden, queries, keys, inner = model.hidden, model.queries, model.keys, model.intermediate
    bf16 = form.narrow < WIDE
    narrow = inner + form.ranks("down_proj") + 2 * inner + hidden + form.ranks("gate_proj", "up_proj")
    narrow += queries + form.ranks("o_proj") + queries
    # Of the stream, and of keys and values.
    attending = form.narrow * narrow + WIDE * (hidden + 2 * keys)
    # Turned back, or as wide ones in front of norms of their own; what their projections give, and the sum of both.
    narrow += queries + 2 * keys + hidden + form.ranks("q_proj") + hidden
    # A mask, and the gradient that goes through it.
    narrow += 2 * hidden if form.dropout else 0
    # Of the stream, and of keys and values.
    wide = hidden + 2 * keys
    # A sum and its first part, or the norm's product with, in bf16, both of its factors widened.
    summed = form.narrow * (hidden + form.ranks("k_proj", "v_proj"))
    within = 0 if form.compiled else WIDE * hidden * (3 if bf16 else 1)
    return attending, form.narrow * narrow + WIDE * wide + max(summed, within)


def unfit(config: Mapping[str, Any], recipe: Recipe) -> str | None:
    """Why the fused step does not train this recipe on a CPU, as `engine.fused.choice` has it; None where it does."""
    kind, method = str(config.get("model_type")), recipe.method
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = scaling.get("rope_type") or scaling.get("type") or "default"
    windowed = config.get("sliding_window", 4096 if kind == "mistral" else None) is not None
    reasons = {
        f"the trainer is {recipe.trainer}": recipe.trainer != "native",
        "weights lie in shards over the ranks": recipe.train.shard,
        "the base is quantised": method.quantised,
        "layers are computed again": recipe.train.recompute,
        f"{kind} is not written out": kind not in ARCHITECTURES,
        f"the gate is {config.get('hidden_act')}": config.get("hidden_act", "silu") != "silu",
        "the MLP has biases": bool(config.get("mlp_bias")),
        "attention has a window": windowed and bool(config.get("use_sliding_window", not kind.startswith("qwen"))),
        f"positions are of type {rope}": rope not in ("default", "llama3", "linear"),
        "the base has attention dropout": bool(config.get("attention_dropout")),
        "other layers are trained": method.kind != "full"
        and method.targets != "all-linear"
        and not LAYERS.issuperset(method.targets),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def form_of(model: Shapes, setting: Setting) -> Form:
    """A setting in the fused step's own terms."""
    layers = () if setting.full else adapted(model, setting.targets)
    names = frozenset(linear.name.rpartition(".")[2] for linear in layers)
    tiles = in_tiles(model, setting.precision, compiled=setting.compiled, has_tiles=setting.has_tiles)
    steps = COMPILED if setting.compiles_products else PLAIN
    return Form(
        BYTES[setting.precision], setting.rank, names, setting.full, setting.dropout, setting.compiled, tiles, steps
    )


def terms(model: Shapes, setting: Setting) -> tuple[MemoryTerm, ...]:
    """The fused step's part of a plan's terms."""
    form = form_of(model, setting)
    pack = Pack(setting.pack_tokens, setting.pack_supervised, setting.pack_weights, setting.pack_batch)
    found = held(model, form, pack)
    matrices = f"{model.num_layers} layers, weights and adapters side by side: (out + ranks) x (in + ranks) x {form.narrow} bytes"
    if form.full:
        matrices = f"weights of {model.num_layers} layers as products read them x {form.narrow} bytes"
        matrices += ", and the head" if form.narrow < WIDE else ""
    kept = (
        f"{setting.pack_tokens:,} tokens x {model.num_layers} layers x {found.each:,} bytes, in the last layer for "
        f"{setting.pack_supervised:,} scored ones"
    )
    if not form.tiles:
        kept += f"; {setting.pack_weights:,} queries and weights of attention a head"
    working = {
        found.attention: f"gradients of one layer while its attention goes backward, of which {setting.pack_batch:,} numbers x "
        f"{form.narrow} bytes in batches",
        found.backward: "gradients of one layer at the end of its way backward",
        found.end: "gradients of one layer's weights in their own order",
        found.logits: f"logits of {LOGIT_ROWS} positions x {model.vocab:,} words x {_logit(form, setting.pack_supervised)} bytes",
    }[found.beside]
    compiled = products(setting.kernels if setting.compiles_products else 0, setting.has_tiles)
    kept_by_libraries = LIBRARY_BYTES + buffers_of_threads(setting)
    libraries = (
        f"{kept_by_libraries:,} bytes that torch's libraries keep after their first products, and {compiled.formula}"
    )
    return (
        MemoryTerm(name="step's matrices", num_bytes=matrix_bytes(model, form), formula=matrices),
        MemoryTerm(name="activations", num_bytes=found.kept, formula=kept),
        MemoryTerm(name="working set", num_bytes=found.beside, formula=working),
        _holes(found.kept),
        MemoryTerm(name="libraries", num_bytes=kept_by_libraries + compiled.num_bytes, formula=libraries),
    )


def _holes(kept: int) -> MemoryTerm:
    """Freed memory that stays with the process (`engine.devices.keep_freed_memory`) and that nothing is put into. kept: bytes of
    the activations."""
    formula = f"holes of freed memory that nothing fits into: {HOLES_SHARE:g} x the activations, measured"
    return MemoryTerm(name="heap", num_bytes=int(kept * HOLES_SHARE), formula=formula)


def buffers_of_threads(setting: Setting) -> int:
    """Bytes that products keep for more threads than one."""
    return BUFFER_BYTES if setting.threads > 1 and setting.precision == "fp32" else 0

"""Memory of training, term by term, each with the arithmetic that gave it.

    training(model, counted, Setting(pack_tokens=4096, ...)) -> (MemoryTerm("weights", 538060032, "134,515,008 x 4 bytes"), ...)

What is counted is what the native engine's reference step keeps: all weights, adapters with gradient and two AdamW moments, what
autograd saves for the backward pass of one pack, the working set of one layer's backward pass, and the logits of one chunk of
supervised positions. Terms are bytes. Shapes: T tokens of the largest pack, H hidden, Q all query heads, I inner width of the MLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lathe.plan.architecture import Shapes
from lathe.plan.parameters import Targets, adapted
from lathe.records import Interval, MemoryTerm, Parameters

Storage = Literal["fp32", "bf16", "nf4"]
BYTES = {"fp32": 4, "bf16": 2}

PROCESS_BYTES = 400_000_000
"""Python with torch, transformers, peft and a run's own data: 390 to 410 MB measured with torch 2.13 on Linux, CPU build."""
LOGIT_ROWS = 512
"""Supervised positions whose logits exist at once: a constant of the engine's loss."""
LOGIT_COPIES = 3
"""Logits, their softmax, and the chunk before, which is freed one product too late."""
HEAP_SHARE = {"fp32": 1.0, "bf16": 1.2, "full": 0.45}
"""Freed temporaries that the C allocator cannot give back, as a share of the activations between which they lie.

Measured with glibc on packs of differing row lengths: 0.86 to 1.14 in fp32 (llama and qwen3 shapes of 5 to 135 M parameters,
512 to 4,096 tokens), 1.28 in bf16 and 0.42 in full training (5 M). With every block in a mapping of its own
(MALLOC_MMAP_THRESHOLD_=65536) the term is gone and a step takes twice the time, so the engine leaves the allocator alone.
"""
DOUBT = (0.9, 1.1)
"""Interval of the peak around its estimate; those runs lay between 0.94 and 1.02 of it."""


@dataclass(frozen=True)
class Setting:
    """What decides memory besides the model. pack_tokens: tokens of the largest pack of the run."""

    pack_tokens: int
    pack_supervised: int
    """Most supervised tokens in one pack."""
    precision: Literal["fp32", "bf16"]
    full: bool
    """Whether all weights are trained."""
    rank: int
    targets: Targets
    stored_bytes: int
    """Size of the weights on disk, which are mapped while they are read."""


def weight_bytes(model: Shapes, counted: Parameters, storage: Storage) -> int:
    """Bytes of a base's weights.

    nf4: the matrices inside the layers take half a byte an element, one byte of scale for 64 elements and 4 bytes for 256 such
    scales (double quantisation, Dettmers et al. 2023, arXiv 2305.14314); embedding, head, norms and biases stay bf16.
    """
    if storage != "nf4":
        return counted.total * BYTES[storage]
    matrices = model.num_layers * sum(linear.fan_in * linear.fan_out for linear in model.layer)
    return matrices // 2 + matrices // 64 + matrices // (64 * 256) * 4 + (counted.total - matrices) * 2


def training(model: Shapes, counted: Parameters, setting: Setting) -> tuple[MemoryTerm, ...]:
    """The terms of the peak; their sum is the estimate."""
    storage: Literal["fp32", "bf16"] = "fp32" if setting.full else setting.precision
    weights = weight_bytes(model, counted, storage)
    trained = counted.trainable
    terms = [
        MemoryTerm(name="process", num_bytes=PROCESS_BYTES, formula="Python, torch, transformers and peft, measured"),
        MemoryTerm(
            name="weights",
            num_bytes=weights,
            formula=f"{counted.total:,} parameters x {BYTES[storage]} bytes ({storage})",
        ),
    ]
    if not setting.full:
        terms.append(
            MemoryTerm(name="adapter", num_bytes=trained * 4, formula=f"{trained:,} parameters x 4 bytes (fp32)")
        )
    kept = activations(model, setting)
    share = HEAP_SHARE["full" if setting.full else setting.precision]
    terms += [
        MemoryTerm(name="gradients", num_bytes=trained * 4, formula=f"{trained:,} trained parameters x 4 bytes"),
        MemoryTerm(
            name="optimiser",
            num_bytes=trained * 8,
            formula=f"{trained:,} trained parameters x 2 AdamW moments x 4 bytes",
        ),
        kept,
        MemoryTerm(
            name="heap",
            num_bytes=int(kept.num_bytes * share),
            formula=f"{share:g} x the activations: freed memory that the C allocator keeps between them, measured",
        ),
        working_set(model, setting),
        logits(model, setting, BYTES[storage]),
    ]
    peak = sum(term.num_bytes for term in terms)
    loading = PROCESS_BYTES + weights + setting.stored_bytes
    if loading > peak:
        formula = (
            f"{setting.stored_bytes:,} bytes of files mapped while the weights are read, beyond what training needs"
        )
        terms.append(MemoryTerm(name="reading the weights", num_bytes=loading - peak, formula=formula))
    return tuple(terms)


def peak(terms: Sequence[MemoryTerm]) -> Interval:
    """The sum of the terms with its doubt."""
    total = sum(term.num_bytes for term in terms)
    return Interval(low=total * DOUBT[0], value=float(total), high=total * DOUBT[1])


def activations(model: Shapes, setting: Setting) -> MemoryTerm:
    """What autograd keeps of one pack until its backward pass.

    For each layer and token, in elements: what each norm reads (2 H; 4 H with norms behind attention and MLP as well; Q + K more
    with norms on queries and keys); the norms' outputs where a trained layer reads them (H each); queries, keys and values as
    attention reads them, its output, and the copy that o_proj reads (up to 5 Q); gate, its activation, up, and the product that
    down_proj reads (up to 4 I); the adapters' inner values (rank each). Within 3 % of what torch's saved_tensors_hooks count.
    """
    trains = _trains(model, setting)
    wide = 0  # float32 in either precision
    narrow = 0  # products' inputs and outputs: bf16 under bf16
    wide += _normed(model)
    if setting.full:
        wide += _normed(model)  # the normalised values, for the gradient of the norms' own weights
    reads_norm = [name for name in ("q_proj", "k_proj", "v_proj", "qkv_proj") if name in trains]
    reads_mlp = [name for name in ("gate_proj", "up_proj", "gate_up_proj") if name in trains]
    # Under autocast each reader keeps a cast copy of its own; in fp32 all share one.
    copies = len if setting.precision == "bf16" else (lambda readers: min(1, len(readers)))
    narrow += model.hidden * (copies(reads_norm) + copies(reads_mlp))
    narrow += 4 * model.queries + (model.queries if "o_proj" in trains else 0)
    narrow += 3 * model.intermediate + (model.intermediate if "down_proj" in trains else 0)
    narrow += 0 if setting.full else setting.rank * len(trains)
    each = wide * 4 + narrow * BYTES[setting.precision]
    total = setting.pack_tokens * model.num_layers * each
    formula = f"{setting.pack_tokens:,} tokens x {model.num_layers} layers x {each:,} bytes that autograd keeps"
    return MemoryTerm(name="activations", num_bytes=total, formula=formula)


def working_set(model: Shapes, setting: Setting) -> MemoryTerm:
    """Temporary values while one layer's backward pass runs: some gradients of inner width and of the stream at once."""
    each = (4 * model.intermediate + 4 * model.hidden) * 4
    return MemoryTerm(
        name="working set",
        num_bytes=setting.pack_tokens * each,
        formula=f"{setting.pack_tokens:,} tokens x {each:,} bytes (4 H + 4 I in fp32)",
    )


def logits(model: Shapes, setting: Setting, head_bytes: int) -> MemoryTerm:
    """Logits of one chunk of supervised positions; full logits never exist."""
    rows = min(LOGIT_ROWS, setting.pack_supervised)
    copies = LOGIT_COPIES if setting.pack_supervised > LOGIT_ROWS else LOGIT_COPIES - 1
    total = rows * model.vocab * 4 * copies
    formula = f"{rows:,} supervised positions x {model.vocab:,} words x 4 bytes x {copies} copies"
    if setting.full:
        total += model.vocab * model.hidden * 4
        formula += f", and the head's gradient {model.vocab:,} x {model.hidden:,} x 4"
    elif head_bytes == 2:
        total += rows * model.vocab * 2
        formula += ", and one copy in bf16"
    return MemoryTerm(name="logits", num_bytes=total, formula=formula)


def _normed(model: Shapes) -> int:
    """Elements that the norms of one layer read for each token: as many as norm weights, once a head where they are a head's."""
    if model.architecture == "gemma3_text":
        return 4 * model.hidden + model.queries + model.keys
    if model.architecture == "olmo2":
        return 4 * model.hidden + model.queries + model.keys
    if model.architecture == "qwen3":
        return 2 * model.hidden + model.queries + model.keys
    return 2 * model.hidden


def _trains(model: Shapes, setting: Setting) -> list[str]:
    """Last names of the layers of one decoder layer that are trained."""
    if setting.full:
        return [linear.name.rpartition(".")[2] for linear in model.layer]
    names = {linear.name.rpartition(".")[2] for linear in adapted(model, setting.targets)}
    return [linear.name.rpartition(".")[2] for linear in model.layer if linear.name.rpartition(".")[2] in names]

"""Memory of training, term by term, each with the arithmetic that gave it.

    training(model, counted, Setting(pack_tokens=4096, ...)) -> (MemoryTerm("weights", 538060032, "134,515,008 x 4 bytes"), ...)

What is counted is what the native engine's reference step keeps: all weights, adapters with gradient and two AdamW moments, what
autograd saves for the backward pass of one pack, the working set of one layer's backward pass, and the logits of one chunk of
supervised positions. Terms are bytes. Shapes: T tokens of the largest pack, H hidden, Q all query heads, I inner width of the MLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
CONTEXT_BYTES = 600_000_000
"""CUDA context, kernels and workspaces of a process with torch; no GPU was at hand to measure it."""
RESERVED_SHARE = 0.15
"""What torch's CUDA allocator reserves beyond what is used, as a share of the activations; not measured."""
GENERATED_AT_ONCE = 64
"""Most answers that the engine writes at once."""
UNMEASURED_DOUBT = (0.75, 1.25)
"""Interval of a peak on a machine where none was measured yet."""
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
    quantised: bool = False
    """Whether the frozen weights are NF4."""
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def storage(self) -> Storage:
        """In what the base's weights are kept."""
        return "fp32" if self.full else "nf4" if self.quantised else self.precision


def weight_bytes(model: Shapes, counted: Parameters, storage: Storage) -> int:
    """Bytes of a base's weights.

    nf4: the matrices inside the layers take half a byte an element, one byte of scale for 64 elements and 4 bytes for 256 such
    scales (double quantisation, Dettmers et al. 2023, arXiv 2305.14314); embedding, head, norms and biases stay bf16.
    """
    if storage != "nf4":
        return counted.total * BYTES[storage]
    matrices = model.num_layers * sum(linear.fan_in * linear.fan_out for linear in model.layer)
    return matrices // 2 + matrices // 64 + matrices // (64 * 256) * 4 + (counted.total - matrices) * 2


def weights(model: Shapes, counted: Parameters, storage: Storage) -> MemoryTerm:
    """The term of the base's weights."""
    size = weight_bytes(model, counted, storage)
    if storage == "nf4":
        formula = (
            f"{size:,} bytes: matrices of the layers in NF4, {8 * size / counted.total:.2f} bits a parameter over all"
        )
    else:
        formula = f"{counted.total:,} parameters x {BYTES[storage]} bytes ({storage})"
    return MemoryTerm(name="weights", num_bytes=size, formula=formula)


def process(device: Literal["cpu", "cuda"]) -> MemoryTerm:
    """What is taken before anything is loaded."""
    if device == "cuda":
        return MemoryTerm(name="context", num_bytes=CONTEXT_BYTES, formula="CUDA context and libraries, an estimate")
    return MemoryTerm(name="process", num_bytes=PROCESS_BYTES, formula="Python, torch, transformers and peft, measured")


def training(model: Shapes, counted: Parameters, setting: Setting) -> tuple[MemoryTerm, ...]:
    """The terms of the peak; their sum is the estimate."""
    trained = counted.trainable
    terms = [process(setting.device), weights(model, counted, setting.storage)]
    if not setting.full:
        terms.append(_adapter(trained))
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
        _kept_by_allocator(kept, share, setting.device),
        working_set(model, setting),
        logits(model, setting, BYTES[setting.precision]),
    ]
    peak = sum(term.num_bytes for term in terms)
    loading = sum(term.num_bytes for term in terms[:2]) + setting.stored_bytes
    if loading > peak and setting.device == "cpu":
        formula = (
            f"{setting.stored_bytes:,} bytes of files mapped while the weights are read, beyond what training needs"
        )
        terms.append(MemoryTerm(name="reading the weights", num_bytes=loading - peak, formula=formula))
    return tuple(terms)


def _kept_by_allocator(kept: MemoryTerm, share: float, device: Literal["cpu", "cuda"]) -> MemoryTerm:
    if device == "cuda":
        size = int(kept.num_bytes * RESERVED_SHARE)
        formula = f"{RESERVED_SHARE:g} x the activations: reserved by torch's allocator and not used, an estimate"
        return MemoryTerm(name="reserved", num_bytes=size, formula=formula)
    formula = f"{share:g} x the activations: freed memory that the C allocator keeps between them, measured"
    return MemoryTerm(name="heap", num_bytes=int(kept.num_bytes * share), formula=formula)


def peak(terms: Sequence[MemoryTerm], device: Literal["cpu", "cuda"] = "cpu") -> Interval:
    """The sum of the terms with its doubt."""
    total = sum(term.num_bytes for term in terms)
    low, high = DOUBT if device == "cpu" else UNMEASURED_DOUBT
    return Interval(low=total * low, value=float(total), high=total * high)


def largest(terms: Sequence[MemoryTerm]) -> MemoryTerm:
    """The term to look at first."""
    return max(terms, key=lambda term: term.num_bytes)


def evaluation(model: Shapes, counted: Parameters, setting: Setting, cache_tokens: int) -> tuple[MemoryTerm, ...]:
    """The terms of the peak while answers are generated. cache_tokens: most tokens whose keys and values are held at once."""
    each = model.num_layers * 2 * model.keys * BYTES[setting.precision]
    slots = min(GENERATED_AT_ONCE, cache_tokens)
    storage = setting.precision if setting.full else setting.storage
    return (
        process(setting.device),
        weights(model, counted, storage),
        *(() if setting.full else (_adapter(counted.trainable),)),
        MemoryTerm(
            name="key-value cache",
            num_bytes=cache_tokens * each,
            formula=f"{cache_tokens:,} tokens x {each:,} bytes: {model.num_layers} layers x 2 x {model.keys} ({setting.precision})",
        ),
        MemoryTerm(
            name="logits",
            num_bytes=slots * model.vocab * 4,
            formula=f"{slots} answers at once x {model.vocab:,} words x 4 bytes",
        ),
    )


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


def padded(
    model: Shapes, counted: Parameters, setting: Setting, batch: int, positions: int, checkpointing: bool = True
) -> tuple[MemoryTerm, ...]:
    """An estimate, for comparison: what a trainer needs that pads a batch to `positions` and scores every position.

    That is what the trainers of transformers and TRL do where no fused loss is switched on: logits, their log-softmax, its gradient
    and the gradient of the logits, 4 copies in fp32. checkpointing: TRL's default; each layer then keeps its input alone, and one
    layer at a time what `activations` counts.
    """
    kept = activations(model, replace(setting, pack_tokens=batch * positions))
    if checkpointing:
        inputs = batch * positions * model.num_layers * model.hidden * BYTES[setting.precision]
        size = inputs + kept.num_bytes // model.num_layers
        formula = f"inputs of {model.num_layers} layers at {batch * positions:,} positions, and all of one layer (checkpointing)"
        kept = MemoryTerm(name="activations", num_bytes=size, formula=formula)
    trained = counted.trainable
    terms = (
        process(setting.device),
        weights(model, counted, setting.storage),
        *(() if setting.full else (_adapter(trained),)),
        MemoryTerm(name="gradients", num_bytes=trained * 4, formula=f"{trained:,} trained parameters x 4 bytes"),
        MemoryTerm(name="optimiser", num_bytes=trained * 8, formula=f"{trained:,} x 2 AdamW moments x 4 bytes"),
        kept,
        MemoryTerm(
            name="logits",
            num_bytes=batch * positions * model.vocab * 16,
            formula=f"{batch} rows x {positions:,} positions, padding included, x {model.vocab:,} words x 4 bytes x 4 copies",
        ),
    )
    return tuple(term.model_copy(update={"formula": f"estimate: {term.formula}"}) for term in terms)


def _adapter(trained: int) -> MemoryTerm:
    return MemoryTerm(name="adapter", num_bytes=trained * 4, formula=f"{trained:,} parameters x 4 bytes (fp32)")


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

"""What the engine's reference step holds of one pack: transformers under autograd.

    activations(model, setting), working_set(model, setting), logits(model, setting)        terms in bytes

Shapes: T tokens of the largest pack, H hidden, Q all query heads, I inner width of the MLP.
"""

from __future__ import annotations

from dataclasses import replace

from lathe.plan.architecture import Shapes
from lathe.plan.parameters import adapted
from lathe.plan.setting import BYTES, Setting
from lathe.records import MemoryTerm, Parameters

LOGIT_ROWS = 512
"""Supervised positions whose logits exist at once: a constant of the engine's loss."""
LOGIT_COPIES = 3
"""Logits, their softmax, and the chunk before, which is freed one product too late."""
FREED_BYTES_A_PACK, FREED_BYTES_A_LAYER = 15_000_000, 8_000_000
MOST_FREED_BYTES, MOST_FREED_SHARE = {"fp32": 256_000_000, "bf16": 215_000_000}, 1.2
"""Freed memory that stands between layers that are computed again, whose packs differ in length, until the engine gives it back
(engine/recompute.py). In fp32 so much for each pack, at most so much times what all layers of a pack free: 63 to 126 MB measured
after 5 packs, 89 after 12, 236 after 17. In bf16, where oneDNN's own temporaries lie among the tensors, so much for each layer of
each pack: 13 MB measured after 2 layers of 4 packs, 150 to 290 from 5 layers of 6 on."""
KERNELS, KERNELS_A_PACK, KERNEL_BYTES = 256, 20, 900_000
"""Compiled products that oneDNN keeps at most, by the command line's setting; new ones that a pack of another length needs, at
least; bytes of one: 0.6 to 0.9 MB measured."""


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
    kept = MemoryTerm(name="activations", num_bytes=total, formula=formula)
    return recomputed(model, setting, kept) if setting.recompute else kept


def recomputed(model: Shapes, setting: Setting, kept: MemoryTerm) -> MemoryTerm:
    """`kept`, where each layer keeps its input alone, and all that it needs for one layer at a time."""
    inputs = setting.pack_tokens * model.num_layers * model.hidden * BYTES[setting.precision]
    size = inputs + kept.num_bytes // model.num_layers
    formula = f"inputs of {model.num_layers} layers at {setting.pack_tokens:,} positions, and all of one layer (checkpointing)"
    return MemoryTerm(name="activations", num_bytes=size, formula=formula)


def between_layers(model: Shapes, setting: Setting) -> tuple[MemoryTerm, ...]:
    """What stands on a CPU beside layers that are computed again: freed memory that no tensor is put into, oneDNN's kernels."""
    packs, most = setting.num_packs, MOST_FREED_BYTES[setting.precision]
    freed = f"freed memory between layers over {packs:,} packs, given back from time to time, measured"
    if setting.precision == "fp32":
        every = activations(model, replace(setting, recompute=False)).num_bytes
        size = min(most, FREED_BYTES_A_PACK * packs, int(MOST_FREED_SHARE * every))
        return (MemoryTerm(name="heap", num_bytes=size, formula=freed),)
    size = min(most, FREED_BYTES_A_LAYER * model.num_layers * packs)
    return (MemoryTerm(name="heap", num_bytes=size, formula=freed), kernels(setting))


def kernels(setting: Setting) -> MemoryTerm:
    """Products in bf16 that oneDNN compiled for lengths of packs that it met."""
    count = min(KERNELS, KERNELS_A_PACK * setting.num_packs)
    formula = f"{count} compiled products of oneDNN x {KERNEL_BYTES:,} bytes, measured"
    return MemoryTerm(name="kernels", num_bytes=count * KERNEL_BYTES, formula=formula)


def casts(counted: Parameters) -> MemoryTerm:
    """Weights that are trained lie in fp32; autocast makes a copy of each for its product, and autograd keeps that for the gradient
    of the product's input."""
    formula = f"{counted.total:,} trained parameters x 2 bytes: their copies in bf16, kept until the backward pass"
    return MemoryTerm(name="casts", num_bytes=counted.total * 2, formula=formula)


def working_set(model: Shapes, setting: Setting) -> MemoryTerm:
    """Temporary values while one layer's backward pass runs: some gradients of inner width and of the stream at once."""
    each = (4 * model.intermediate + 4 * model.hidden) * 4
    return MemoryTerm(
        name="working set",
        num_bytes=setting.pack_tokens * each,
        formula=f"{setting.pack_tokens:,} tokens x {each:,} bytes (4 H + 4 I in fp32)",
    )


def logits(model: Shapes, setting: Setting) -> MemoryTerm:
    """Logits of one chunk of supervised positions; full logits never exist."""
    rows = min(LOGIT_ROWS, setting.pack_supervised)
    copies = LOGIT_COPIES if setting.pack_supervised > LOGIT_ROWS else LOGIT_COPIES - 1
    total = rows * model.vocab * 4 * copies
    formula = f"{rows:,} supervised positions x {model.vocab:,} words x 4 bytes x {copies} copies"
    if setting.full:
        total += model.vocab * model.hidden * 4
        formula += f", and the head's gradient {model.vocab:,} x {model.hidden:,} x 4"
    if setting.precision == "bf16":
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

"""What the engine's reference step holds of one pack: transformers under autograd.

    of_a_pack(model, setting)           what is kept of it, and what stands beside that at the worst moment: terms in bytes
    freed(model, setting)               what was freed and stays with the process

A test holds the first to what torch's own profiler says of a step.

Shapes: T tokens of the largest pack, H hidden, Q all query heads, I inner width of the MLP, V words.
"""

from __future__ import annotations

from lathe.plan import fused_step
from lathe.plan.architecture import Shapes
from lathe.plan.compiled_products import products
from lathe.plan.fused_attention import rounded_up
from lathe.plan.parameters import adapted
from lathe.plan.setting import BYTES, Setting
from lathe.records import MemoryTerm, Parameters

LOGIT_ROWS = 512
"""Supervised positions whose logits exist at once: a constant of the engine's loss."""
END_NORM = {"lora": 3, "full": 5}
"""Numbers of a token's width that stand while the loss is formed: what the last norm reads and gives, and the gradient of that; and
the normalised values where its weights are trained, the table's among them."""
MAPPED_BYTES = 32 * 1024 * 1024
"""Blocks above this size glibc maps by themselves, and gives back whole; smaller ones lie in the heap and leave holes there."""
HEAP_PACKS = 5
"""Where layers are kept each pack has other lengths and finds fewer holes that fit: after p packs the heap has
p / (p + HEAP_PACKS) of what it has after many."""
FULL_HEAP_SHARE = 0.65
"""Freed temporaries in fp32 where all weights are trained, as a share of the activations between which they lie: eight trainings
were within 11 % of their peaks by this (glibc 2.36, one thread).

With every block in a mapping of its own (MALLOC_MMAP_THRESHOLD_=65536) there are none, with adapters too, and a step takes twice
the time.
"""
HEAP_BYTES, HEAP_OF_KEPT, HEAP_OF_STREAM = 21_000_000, 1.03, 5.25
"""In fp32 so much, and that many times the activations and, for each token and layer, its width: of 13 to 20 temporaries of that
width a layer keeps four to six (torch's profiler, six families). Fitted to 16 trainings of mistral, gemma3, phi3, olmo2, granite
and smollm3 whose heap was left to grow: 2 to 12 layers of width 96 to 512, 4 to 63 packs of 512 to 2,048 tokens, one thread, glibc
2.36, torch 2.13."""
HEAP_OF_BF16, HEAP_OF_A_LAYER, HEAP_OF_THREADS = 60_000_000, 9_500_000, 60_000_000
"""In bf16 so much, for each layer, and where several threads share the products and layers are kept: of 17 trainings of those
families, 2 to 12 layers, one thread and two, with adapters and with all weights, each within 11 % of its peak; and four with layers
computed again within 5 %."""
KEPT_BYTES = 256_000_000
"""What may be freed before the engine gives it back between layers (engine/between_layers.py)."""
FREED_OF_A_LAYER = 1.5
"""It looks before each layer: by the next look that one is kept, and half as much was freed. Eight trainings in fp32 had 200 to 400
MB in the heap by this, within 5 % of their peaks (glibc 2.36)."""
FREED_BYTES_A_PACK, FREED_SHARE = 40_000_000, 1.2
"""In fp32 such layers free so much for each pack, or half of what a large one keeps, at most so much times what all of a pack
keep: 63 to 230 MB after 4 and 5 packs, and 0.5 to 1.9 times after 9 to 60, measured."""
LIBRARY_BYTES = {"fp32": 30_000_000, "bf16": 55_000_000}
"""What torch's libraries take with their first products, kernels aside: 20 MB of code in fp32 and 42 to 49 in bf16, and 7 to 15 MB
of buffers. Measured with torch 2.13 on Linux."""
KERNELS_A_PACK, KERNELS_A_LENGTH = {"lora": 20, "full": 15}, 6
"""Compiled products that a pack of another length needs of oneDNN: each weight's width forward, and for the gradients of input and
weight; with adapters at least so many. And those of attention for each other length of a row, which are rounded up
(`engine.attention.ROUNDED`)."""
ROUNDED = 64
"""What lengths of rows are multiples of for attention in bf16."""


def of_a_pack(model: Shapes, setting: Setting) -> tuple[MemoryTerm, MemoryTerm]:
    """What one pack needs: kept until it goes backward, and beside it. The logits are gone before the first layer goes backward."""
    moments = (working_set(model, setting), logits(model, setting))
    return activations(model, setting), max(moments, key=lambda term: term.num_bytes)


def activations(model: Shapes, setting: Setting) -> MemoryTerm:
    """What autograd keeps of one pack until its backward pass: of layers that are computed again their inputs alone."""
    tokens = setting.pack_tokens
    each = (
        model.hidden * (4 if setting.full else BYTES[setting.precision]) if setting.recompute else layer(model, setting)
    )
    kept = "of a layer's input" if setting.recompute else "that autograd keeps"
    formula = f"{tokens:,} tokens x {model.num_layers} layers x {each:,} bytes {kept}"
    return MemoryTerm(name="activations", num_bytes=tokens * model.num_layers * each, formula=formula)


def layer(model: Shapes, setting: Setting) -> int:
    """Bytes that autograd keeps of one token in one layer.

    In elements: what each norm reads (2 H; 4 H with norms in front of attention and MLP and behind; Q + K more
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
    return wide * 4 + narrow * BYTES[setting.precision]


def freed(model: Shapes, setting: Setting) -> MemoryTerm:
    """Freed memory on a CPU that no tensor is put into, until it has grown so far that the engine gives it back."""
    if setting.precision == "bf16":
        size, formula = _in_bf16(model, setting)
    elif setting.recompute:
        size, formula = _between_layers(model, setting)
    else:
        size, formula = _beside_weights(model, setting) if setting.full else _beside_adapters(model, setting)
    most = KEPT_BYTES + int(FREED_OF_A_LAYER * setting.pack_tokens * layer(model, setting))
    if size > most:
        size, formula = most, f"{KEPT_BYTES:,} bytes, after which it goes back, and {FREED_OF_A_LAYER:g} x a layer"
    return MemoryTerm(name="heap", num_bytes=size, formula=formula)


def _in_bf16(model: Shapes, setting: Setting) -> tuple[int, str]:
    """Bytes that products in bf16 leave between what they keep, where nothing is given back, and how they come about."""
    of_threads = HEAP_OF_THREADS if setting.threads > 1 and not setting.recompute else 0
    size = HEAP_OF_BF16 + model.num_layers * HEAP_OF_A_LAYER + of_threads
    return size, f"{HEAP_OF_BF16 + of_threads:,} bytes and {model.num_layers} layers x {HEAP_OF_A_LAYER:,}, measured"


def _beside_adapters(model: Shapes, setting: Setting) -> tuple[int, str]:
    """The same in fp32 between what is kept of layers that have adapters."""
    stream = setting.pack_tokens * model.num_layers * model.hidden * 4
    share = _share_of_packs(setting)
    size = HEAP_BYTES + share * (HEAP_OF_KEPT * activations(model, setting).num_bytes + HEAP_OF_STREAM * stream)
    formula = (
        f"{HEAP_BYTES:,} bytes, and after {setting.num_packs:,} packs {share:.2f} of {HEAP_OF_KEPT:g} x the activations and "
        f"{HEAP_OF_STREAM:g} x {stream:,} bytes of layers' inputs, measured"
    )
    return int(size), formula


def _beside_weights(model: Shapes, setting: Setting) -> tuple[int, str]:
    """The same between layers whose weights are trained."""
    share, holes = _share_of_packs(setting) * FULL_HEAP_SHARE, _holes(model, setting)
    formula = (
        f"{share:.2f} x the activations, between which it lies after {setting.num_packs:,} packs, measured, and {holes:,} bytes of "
        "holes that the head left"
    )
    return int(share * activations(model, setting).num_bytes) + holes, formula


def _share_of_packs(setting: Setting) -> float:
    """Of what the heap has after many packs."""
    return setting.num_packs / (setting.num_packs + HEAP_PACKS)


def _between_layers(model: Shapes, setting: Setting) -> tuple[int, str]:
    """The same beside layers that are computed again."""
    one = setting.pack_tokens * layer(model, setting)
    most = int(FREED_SHARE * model.num_layers * one)
    size = min(most, setting.num_packs * max(FREED_BYTES_A_PACK, one // 2))
    return size, f"freed memory between layers over {setting.num_packs:,} packs, measured"


def _holes(model: Shapes, setting: Setting) -> int:
    """Bytes of holes that large blocks of a head that learns leave in the heap.

    An aligned block takes no hole of its own size in glibc 2.36 (its bug 30723), and what is kept of a pack lies between them. Two
    blocks of logits live at once, one beside the other, and leave one hole. The head's gradient takes four blocks in turn, the sum
    over chunks, a chunk's own, the scaled one and the embedding's, of which two live at once.
    """
    scored, head = min(LOGIT_ROWS, setting.pack_supervised) * model.vocab * 4, _head(model)
    return scored * (scored < MAPPED_BYTES) + 2 * head * (head < MAPPED_BYTES)


def libraries(setting: Setting) -> MemoryTerm:
    """What the products' libraries take in this process."""
    formula = "torch's libraries after their first products, kernels aside, measured"
    num_bytes = LIBRARY_BYTES[setting.precision] + fused_step.buffers_of_threads(setting)
    return MemoryTerm(name="libraries", num_bytes=num_bytes, formula=formula)


def kernels(setting: Setting) -> MemoryTerm:
    """Products in bf16 that oneDNN compiled for lengths of packs that it met."""
    lengths = min(setting.row_lengths, rounded_up(setting.longest_row, ROUNDED) // ROUNDED)
    met = KERNELS_A_PACK["full" if setting.full else "lora"] * setting.num_packs + KERNELS_A_LENGTH * lengths
    compiled = products(met, setting.has_tiles)
    return MemoryTerm(name="kernels", num_bytes=compiled.num_bytes, formula=compiled.formula)


def casts(counted: Parameters) -> MemoryTerm:
    """Weights that are trained lie in fp32; autocast makes a copy of each for its product, and autograd keeps that for the gradient
    of the product's input."""
    formula = f"{counted.total:,} trained parameters x 2 bytes: their copies in bf16, kept until the backward pass"
    return MemoryTerm(name="casts", num_bytes=counted.total * 2, formula=formula)


def working_set(model: Shapes, setting: Setting) -> MemoryTerm:
    """What a layer's backward pass needs beside what is kept: two gradients of inner width and one of the stream; where layers are
    computed again all that this one keeps; and the head's gradient, where it waits for that of the embedding, the same weights."""
    narrow = BYTES[setting.precision] if setting.full else 4  # adapters compute in fp32
    each = 2 * model.intermediate * narrow + model.hidden * 4
    formula = f"{setting.pack_tokens:,} tokens x {each:,} bytes: gradients of one layer (2 I and H)"
    total = setting.pack_tokens * each
    if setting.recompute:
        own = layer(model, setting)
        total += setting.pack_tokens * own
        formula += f", and {own:,} bytes that the layer keeps (checkpointing)"
    if setting.full and model.tied:
        total += _head(model)
        formula += f", and the head's gradient, {_head(model):,} bytes"
    return MemoryTerm(name="working set", num_bytes=total, formula=formula)


def logits(model: Shapes, setting: Setting) -> MemoryTerm:
    """What the loss needs beside what is kept. Logits of one chunk of supervised positions and their softmax; those of the chunk
    before are freed one product too late. Full logits never exist. Where the head learns, its gradient in two blocks: the sum, and
    what a chunk adds to it."""
    scored, vocab = setting.pack_supervised, model.vocab
    rows, late = min(LOGIT_ROWS, scored), min(LOGIT_ROWS, max(0, scored - LOGIT_ROWS))
    first, second = 2 * rows * 4, (2 * rows + late) * 4
    formula = f"{rows:,} supervised positions x {vocab:,} words x 4 bytes x 2 copies"
    if late:
        formula += f", and {late:,} of the chunk after"
    if setting.full:
        # The chunk's own part of the head's gradient is gone before the next chunk's logits are formed.
        total = max(first * vocab + 2 * _head(model), second * vocab + _head(model))
        formula += f", and the head's gradient {vocab:,} x {model.hidden:,} x 4, up to twice"
    else:
        total = second * vocab
        if setting.precision == "bf16":
            total += (rows + late) * vocab * 2
            formula += ", and one copy in bf16"
    wide = END_NORM["full" if setting.full else "lora"] * model.hidden * 4
    total += setting.pack_tokens * wide + rows * model.hidden * 4
    formula += f", and {setting.pack_tokens:,} tokens x {wide:,} bytes around the last norm"
    return MemoryTerm(name="logits", num_bytes=total, formula=formula)


def _head(model: Shapes) -> int:
    """Bytes of the head's gradient."""
    return model.vocab * model.hidden * 4


def _normed(model: Shapes) -> int:
    """Elements that the norms of one layer read for each token: as many as norm weights, once a head where they are a head's."""
    if model.architecture == "gemma3_text":
        return 4 * model.hidden + model.queries + model.keys
    if model.architecture in ("qwen3", "olmo2"):
        return 2 * model.hidden + model.queries + model.keys
    return 2 * model.hidden


def _trains(model: Shapes, setting: Setting) -> list[str]:
    """Last names of the layers of one decoder layer that are trained."""
    if setting.full:
        return [linear.name.rpartition(".")[2] for linear in model.layer]
    names = {linear.name.rpartition(".")[2] for linear in adapted(model, setting.targets)}
    return [linear.name.rpartition(".")[2] for linear in model.layer if linear.name.rpartition(".")[2] in names]

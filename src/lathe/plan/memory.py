"""Memory of training, term by term, each with the arithmetic that gave it.

    training(model, counted, Setting(pack_tokens=4096, ...)) -> (MemoryTerm("weights", 538060032, "134,515,008 x 4 bytes"), ...)

All weights, adapters with gradient and two AdamW moments; then what the step that will run holds of one pack: `fused_step` where
the engine's own step applies, `reference_step` elsewhere; and what the process and its libraries take. Terms are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from lathe.plan import fused_step, reference_step, shards
from lathe.plan.architecture import Shapes
from lathe.plan.compiled_products import products
from lathe.plan.fused_attention import rounded_up
from lathe.plan.parameters import matrices
from lathe.plan.setting import BYTES, Setting, Storage
from lathe.records import Interval, MemoryTerm, Parameters
from lathe.records.results import AnswerPrecision

PROCESS_BYTES = 380_000_000
"""Python with torch, transformers and peft before a product is formed: 373 to 380 MB with torch 2.13 on Linux, CPU build."""
BITSANDBYTES = MemoryTerm(name="bitsandbytes", num_bytes=46_000_000, formula="bitsandbytes and accelerate, measured")
"""bitsandbytes 0.50 and accelerate, loaded beside those, without a GPU."""
CONTEXT_BYTES = 600_000_000
"""CUDA context, kernels and workspaces of a process with torch; no GPU was at hand to measure it."""
RESERVED_SHARE = 0.15
"""What torch's CUDA allocator reserves beyond what is used, as a share of the activations; not measured."""
IN_8_BITS = 4096
"""Numbers from which on bitsandbytes keeps a parameter's moments in 8 bits."""
UNPACKED = "unpacked"
"""Term of the one matrix of a base in 4 bits that is computed with."""
CACHE = "key-value cache"
"""Term of the keys and values that are held while answers are generated."""
GENERATED_AT_ONCE = 64
"""Most answers that the engine writes at once."""
SMALL_MODEL, FEWEST_PROMPTS = 30_000_000, 64
"""Parameters below which a process answers for each thread, and prompts that each of them has at least."""
KERNELS_OF_ANSWERS = 43 * 5
"""Compiled products of bf16 answers: the decoder fills rows up to 43 numbers of them up to 512, and each has five, four of a layer
and the head's. The bundled base took 0.09 to 0.12 GB for 79 answers, and 0.11 GB for 200 answered twice, the other terms taken off
(torch 2.13, Xeon with AMX)."""
RENDERING = MemoryTerm(
    name="rendering", num_bytes=22_000_000, formula="the process that renders chat templates, measured"
)
"""It stays while its prompts are answered: 21.5 MB with Python 3.11."""
GONE_BETWEEN_STEPS = ("activations", "casts", "working set", "logits", "gradients")
"""Terms of a pack that are given back before validation rows are answered; what the allocator keeps is not among them."""
STAND_ALREADY = ("process", "context", "libraries", "kernels")
"""Terms of answers that a process which trains has anyway."""
HELPERS = "helpers"
"""Term of the processes beside the first."""
UNMEASURED_DOUBT = (0.75, 1.25)
"""Interval of a peak on a GPU: none was measured yet."""
AGAIN_DOUBT = (0.8, 1.1)
"""The same for checkpointing on a CPU, where up to half of the estimate is what allocator and oneDNN keep: 0.80 to 1.09 of it was
measured, in 42 trainings of small shapes."""
DOUBT = (0.9, 1.1)
"""Interval of the peak around its estimate; of 15 trainings of all weights one lay above it, at 1.102."""
REFERENCE_HIGH = 1.2
"""Its upper end for the reference step, whose freed memory is known less well: of 52 trainings in fp32 and bf16, to some of which
it was fitted, one took 1.16 of its plan and the others at most 1.10."""


def weight_bytes(model: Shapes, counted: Parameters, storage: Storage, rest: Literal["fp32", "bf16"] = "bf16") -> int:
    """Bytes of a base's weights.

    nf4: each matrix inside the layers takes half a byte an element, one byte of scale for 64 elements and 4 bytes for 256 such
    scales (double quantisation, Dettmers et al. 2023, arXiv 2305.14314). rest: format of embedding, head, norms and biases there.
    """
    if storage != "nf4":
        return counted.total * BYTES[storage]
    sizes = [linear.fan_in * linear.fan_out for linear in model.layer]
    packed = sum(
        rounded_up(size, 2) // 2 + rounded_up(size, 64) // 64 + rounded_up(size, 64 * 256) // (64 * 256) * 4
        for size in sizes
    )
    return model.num_layers * packed + (counted.total - model.num_layers * sum(sizes)) * BYTES[rest]


def weights(model: Shapes, counted: Parameters, storage: Storage, precision: Literal["fp32", "bf16"]) -> MemoryTerm:
    """The term of the base's weights. precision: of the computation, in which what is not quantised is held."""
    size = weight_bytes(model, counted, storage, precision)
    if storage == "nf4":
        bits = 8 * size / counted.total
        formula = f"{size:,} bytes: matrices of the layers in NF4, the rest in {precision}; {bits:.2f} bits a parameter"
    else:
        formula = f"{counted.total:,} parameters x {BYTES[storage]} bytes ({storage})"
    return MemoryTerm(name="weights", num_bytes=size, formula=formula)


def _few_bits(model: Shapes, setting: Setting) -> tuple[MemoryTerm, ...]:
    """What weights and moments of few bits need beside them: bitsandbytes, and the one matrix that is unpacked at a time."""
    found = (BITSANDBYTES,) if setting.loads_bitsandbytes and setting.device == "cpu" else ()
    if not setting.quantised:
        return found
    largest = max(linear.fan_in * linear.fan_out for linear in model.layer)
    unpacked = f"the largest matrix of a layer, {largest:,} x {BYTES[setting.precision]} bytes ({setting.precision})"
    return (*found, MemoryTerm(name=UNPACKED, num_bytes=largest * BYTES[setting.precision], formula=unpacked))


def process(device: Literal["cpu", "cuda"]) -> MemoryTerm:
    """What is taken before anything is loaded."""
    if device == "cuda":
        return MemoryTerm(name="context", num_bytes=CONTEXT_BYTES, formula="CUDA context and libraries, an estimate")
    return MemoryTerm(name="process", num_bytes=PROCESS_BYTES, formula="Python, torch, transformers and peft, measured")


def training(model: Shapes, counted: Parameters, setting: Setting) -> tuple[MemoryTerm, ...]:
    """The terms of the peak; their sum is the estimate."""
    trained = counted.trainable
    started, base = process(setting.device), weights(model, counted, setting.storage, setting.precision)
    terms = [started, base, *_few_bits(model, setting)]
    if not setting.full:
        terms.append(_adapter(trained))
    terms += [
        MemoryTerm(name="gradients", num_bytes=trained * 4, formula=f"{trained:,} trained parameters x 4 bytes"),
        _moments(model, trained, setting),
        *(_fused(model, setting) if setting.step == "fused" else _reference(model, counted, setting)),
    ]
    loading = started.num_bytes + base.num_bytes + setting.stored_bytes
    if setting.shards > 1:
        terms = [*shards.in_parts(terms, model, counted, setting)]
        # The first rank reads the base whole before it deals it out.
        loading += next(term.num_bytes for term in terms if term.name == base.name)
    peak = sum(term.num_bytes for term in terms)
    if loading > peak and setting.device == "cpu":
        formula = (
            f"{setting.stored_bytes:,} bytes of files mapped while the weights are read, beyond what training needs"
        )
        terms.append(MemoryTerm(name="reading the weights", num_bytes=loading - peak, formula=formula))
    if setting.processes > 1:
        alone = "reading the weights" if setting.shards > 1 else "optimiser"
        each = sum(term.num_bytes for term in terms if term.name not in (alone, "trial"))
        formula = f"{setting.processes - 1} more x {each:,} bytes: everything above but {alone} and trial"
        terms.append(MemoryTerm(name=HELPERS, num_bytes=(setting.processes - 1) * each, formula=formula))
        if setting.shards == 1 and setting.device == "cpu":
            terms.append(_exchanged(trained, setting.processes))
    return (*terms, *_validation(terms, setting))


def _exchanged(trained: int, processes: int) -> MemoryTerm:
    """Memory that all processes see: the trained weights, and each helper's gradient. It counts in each process that looks at it:
    the first sees all of it, a helper the weights and its own gradient. Ranks that torchrun started need less, some at a time."""
    rows = processes + 2 * (processes - 1)
    formula = (
        f"{trained:,} trained parameters x 4 bytes x {rows}: weights and helpers' gradients in memory that each sees"
    )
    return MemoryTerm(name="exchange", num_bytes=trained * 4 * rows, formula=formula)


def _moments(model: Shapes, trained: int, setting: Setting) -> MemoryTerm:
    """The two moments of AdamW. In 8 bits each has besides a float32 scale for every block of 256 numbers of a matrix; what is no
    matrix, or a small one, keeps 32."""
    if setting.optimiser == "adamw":
        formula = f"{trained:,} trained parameters x 2 AdamW moments x 4 bytes"
        return MemoryTerm(name="optimiser", num_bytes=trained * 8, formula=formula)
    large = [
        size for size in matrices(model, None if setting.full else setting.rank, setting.targets) if size >= IN_8_BITS
    ]
    scales = 2 * sum(rounded_up(size, 256) // 256 for size in large)
    rest = trained - sum(large)
    formula = (
        f"{sum(large):,} parameters x 2 AdamW moments x 1 byte, {scales:,} scales x 4 bytes, {rest:,} others x 8 bytes"
    )
    return MemoryTerm(name="optimiser", num_bytes=2 * sum(large) + 4 * scales + 8 * rest, formula=formula)


def _validation(terms: Sequence[MemoryTerm], setting: Setting) -> Iterator[MemoryTerm]:
    """What answering validation rows needs beyond a pack, which is gone by then."""
    needs = setting.answering_bytes
    beyond = needs - sum(term.num_bytes for term in terms if term.name in GONE_BETWEEN_STEPS)
    if needs and beyond > 0:
        formula = (
            f"{needs:,} bytes of a second base, its adapter and the cache of its answers, beyond what a step needs"
        )
        yield MemoryTerm(name="validation", num_bytes=beyond, formula=formula)


def answering(terms: Sequence[MemoryTerm]) -> int:
    """Bytes of the terms of `evaluation` that stand beside training while validation rows are answered."""
    return sum(term.num_bytes for term in terms if term.name not in STAND_ALREADY)


def _reference(model: Shapes, counted: Parameters, setting: Setting) -> tuple[MemoryTerm, ...]:
    """What one pack needs under autograd."""
    kept, beside = reference_step.of_a_pack(model, setting)
    if setting.device == "cuda":
        return (kept, _reserved(kept), beside)
    return (
        kept,
        reference_step.freed(model, setting),
        *_in_bf16(model, counted, setting),
        beside,
        reference_step.libraries(setting),
    )


def _in_bf16(model: Shapes, counted: Parameters, setting: Setting) -> tuple[MemoryTerm, ...]:
    """What bf16 needs on a CPU beside what autograd keeps of a pack. With checkpointing the copies of weights that are trained go
    with each layer."""
    if setting.precision != "bf16":
        return ()
    kernels = (reference_step.kernels(setting),) if setting.compiles_products else ()
    return (reference_step.casts(counted), *kernels) if setting.full and not setting.recompute else kernels


def _fused(model: Shapes, setting: Setting) -> tuple[MemoryTerm, ...]:
    """What the fused step needs: its matrices, one pack, what the libraries keep; and the trial before the first step."""
    terms = fused_step.terms(model, setting)
    trial = replace(setting, pack_tokens=setting.sample_tokens, pack_supervised=setting.sample_supervised)
    needs = sum(term.num_bytes for term in reference_step.of_a_pack(model, trial))
    beyond = needs - sum(term.num_bytes for term in terms if term.name in fused_step.OF_A_PACK)
    if beyond <= 0:
        return terms
    tried = f"{setting.sample_tokens:,} tokens on which the step is tried"
    formula = f"{needs:,} bytes of autograd for {tried}, beyond what training needs"
    return (*terms, MemoryTerm(name="trial", num_bytes=beyond, formula=formula))


def _reserved(kept: MemoryTerm) -> MemoryTerm:
    formula = f"{RESERVED_SHARE:g} x the activations: reserved by torch's allocator and not used, an estimate"
    return MemoryTerm(name="reserved", num_bytes=int(kept.num_bytes * RESERVED_SHARE), formula=formula)


def doubt(setting: Setting) -> tuple[float, float]:
    """The ends of a peak's interval, as shares of the estimate."""
    if setting.device == "cuda":
        return UNMEASURED_DOUBT
    low, high = AGAIN_DOUBT if setting.recompute else DOUBT
    return low, REFERENCE_HIGH if setting.step == "reference" else high


def peak(terms: Sequence[MemoryTerm], setting: Setting) -> Interval:
    """The sum of the terms with its doubt."""
    total = sum(term.num_bytes for term in terms)
    low, high = doubt(setting)
    return Interval(low=total * low, value=float(total), high=total * high)


def largest(terms: Sequence[MemoryTerm]) -> MemoryTerm:
    """The term to look at first."""
    return max(terms, key=lambda term: term.num_bytes)


def evaluation(
    model: Shapes,
    counted: Parameters,
    setting: Setting,
    precision: AnswerPrecision,
    cache_tokens: int,
    processes: int = 1,
) -> tuple[MemoryTerm, ...]:
    """The terms of the peak while answers are generated. precision: of the answers; cache_tokens: most tokens whose keys and values
    a process holds at once; processes: that share the answers.

    Weights that are not in 4 bits count in fp32 whatever the answers are computed in: an adapter is folded into them before they
    are rounded.
    """
    held: Literal["fp32", "bf16"] = "bf16" if precision == "bf16" else "fp32"
    each = model.num_layers * 2 * model.keys * BYTES[held]
    slots = min(GENERATED_AT_ONCE, cache_tokens)
    storage = setting.precision if setting.full else setting.storage
    terms = (
        process(setting.device),
        weights(model, counted, storage, held),
        *_few_bits(model, setting),
        *(() if setting.full else (_adapter(counted.trainable),)),
        *_second_head(model, setting, held),
        MemoryTerm(
            name=CACHE,
            num_bytes=cache_tokens * each,
            formula=f"{cache_tokens:,} tokens x {each:,} bytes: {model.num_layers} layers x 2 x {model.keys} ({held})",
        ),
        MemoryTerm(
            name="logits",
            num_bytes=slots * model.vocab * 4,
            formula=f"{slots} answers at once x {model.vocab:,} words x 4 bytes",
        ),
        *_of_products(held, setting),
    )
    if setting.device == "cuda":
        return terms
    if processes == 1:
        return (*terms, RENDERING)
    each = sum(term.num_bytes for term in terms)
    formula = f"{processes - 1} more x {each:,} bytes: everything above"
    return (*terms, MemoryTerm(name=HELPERS, num_bytes=(processes - 1) * each, formula=formula), RENDERING)


def answer_processes(counted: Parameters, rows: int, threads: int) -> int:
    """How many processes share the answers to so many rows (`engine.generate_in_processes`)."""
    return 1 if counted.total >= SMALL_MODEL else max(1, min(threads, rows // FEWEST_PROMPTS))


def _of_products(held: Literal["fp32", "bf16"], setting: Setting) -> Iterator[MemoryTerm]:
    """What a CPU's products leave in the process that forms them."""
    if setting.device == "cuda":
        return
    formula = "torch's libraries after their first products, kernels aside, measured"
    yield MemoryTerm(name="libraries", num_bytes=reference_step.LIBRARY_BYTES[held], formula=formula)
    if held == "bf16" and setting.has_avx512:
        compiled = products(KERNELS_OF_ANSWERS, setting.has_tiles)
        yield MemoryTerm(name="kernels", num_bytes=compiled.num_bytes, formula=compiled.formula)


def _second_head(model: Shapes, setting: Setting, held: Literal["fp32", "bf16"]) -> Iterator[MemoryTerm]:
    """The output head where it is the embedding too: on a CPU the decoder holds it once as each of them is read."""
    if setting.device == "cpu" and model.tied and model.architecture in fused_step.ARCHITECTURES:
        formula = f"{model.vocab:,} x {model.hidden:,} x {BYTES[held]} bytes: the embedding once more, as products read it fastest"
        yield MemoryTerm(name="output head", num_bytes=model.vocab * model.hidden * BYTES[held], formula=formula)


def padded(
    model: Shapes, counted: Parameters, setting: Setting, batch: int, positions: int, checkpointing: bool = True
) -> tuple[MemoryTerm, ...]:
    """An estimate, for comparison: what a trainer needs that pads a batch to `positions` and scores every position.

    That is what the trainers of transformers and TRL do where no fused loss is switched on: logits, their log-softmax, its gradient
    and the gradient of the logits, 4 copies in fp32. checkpointing: TRL's default; each layer then keeps its input alone, and
    the logits are gone before one is computed again.
    """
    kept = reference_step.activations(model, replace(setting, pack_tokens=batch * positions, recompute=checkpointing))
    trained = counted.trainable
    terms = (
        process(setting.device),
        weights(model, counted, setting.storage, setting.precision),
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

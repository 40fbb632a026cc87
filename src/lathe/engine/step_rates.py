"""How fast this machine trains: what `lathe doctor --probe` asks in a child process (`lathe.engine.probe`).

    measured(lines)
    {"device": "cpu", "threads": 2, "rank": 16, "helpers": 1, "exchange_seconds": 3.1e-09,
     "move_seconds": 1.7e-09,
     "steps": [{"config": {...}, "step": "fused", "precision": "bf16", "full": false, "threads": 2,
                "packs": {"mixed": {"lengths": [89, ...], "supervised": [22, ...]}, ...},
                "seconds": {"empty": 0.001, "mixed": 0.08, ...}}, ...]}

Real steps of the engine on models of a few layers with random weights, for each of WIDTHS: the rates of single matrix products
would say little of a small model, which spends much of its time between them. Each is taken with no pack and with packs that
differ in what they have most of, so that it can be told apart what products, attention and a pack cost (`plan.pack_work`). The
median of some rounds counts: training meets what slows a round too. A step of one thread is timed as it is used: shared by as many
processes as there are cores, each with a pack of that kind. What processes exchange grows with what is trained, as does what the
optimiser does, so both are timed by themselves.

Time goes where it tells something. Weights are drawn once for each width, while helpers load. A first round does not count where it
takes longer than others. With bf16 the fused step's took 1.8 to 2.6 times as long with packs of a new size, for whose products
oneDNN compiles; with others 0.93 to 1.07 times where attention is in tiles. With fp32 the first of all took 1.06 to 1.13 times as
long, that of each pack after it 0.98 to 1.08 times: those count, and the first of all is the shortest pack's. At a middle width the
reference step, the dearest, is not taken at all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from lathe.engine import model, step
from lathe.engine.devices import Precision, computes_bf16, threads
from lathe.engine.fused.choice import step_of
from lathe.engine.fused.tiles import usable
from lathe.engine.optim import adamw, clip_global_norm
from lathe.engine.packs import Pack, build_pack
from lathe.engine.step_in_processes import Helpers, StepInProcesses, at_lines, forget
from lathe.processes import usable_cores
from lathe.records import Method
from lathe.text.render import Encoded

WIDTHS = {"cpu": {256: (2, 3), 576: (3, 3), 960: (5, 2)}, "cuda": {960: (5, 2), 2048: (8, 2), 4096: (8, 2)}}
"""Hidden widths with key-value heads and layers: of the bundled base, of SmolLM2-135M and -360M; on a GPU of models up to 7 B.
The last layer does less than the others, and of narrow models the head would be much of two layers."""
ALONE = 576
"""Widest model that is also tried with one thread: processes that share a step, each with a thread, are for small models."""
BETWEEN = 576
"""Width at which the reference step is not taken: what was measured there was 3 and 4 % below what its neighbours foretell. The
fused step's kinds were 10 and 18 % below."""
HEAD, VOCABULARY, RANK = 64, 4096, 16
LENGTHS: Mapping[str, tuple[int, ...]] = {
    "short": (89, 149),
    "mixed": (89, 149, 211, 271, 300),
    "long": (1023,),
    "even": (64,) * 16,
}
"""Tokens of the rows of each pack: few; as rows mostly are; and as many tokens with most and with least attention."""
SIZES = ("short", "mixed")
"""One pack of each number of tokens, rounded up as the fused step does it: what is timed at every width. The others tell what
attention costs. An operation of it and a group took as long at one width as at another, within what two probes differ by."""
TOLD_APART = 256
"""Widest model that has all packs on a CPU, with an adapter: there attention is much of a layer."""
HALVES: Mapping[str, tuple[int, ...]] = {"short": (119,), "mixed": (89, 149, 271), "long": (511,), "even": (64,) * 8}
"""Half as many, for the fused step in fp32, which took half of the time. With those for the reference step too, packs of 4,096
tokens that are computed again on the way back were foretold 20 % too low, with whole ones 16 %."""
SCORED = 4
"""One of so many tokens carries loss."""
FULL_AT = 256
"""Width at which all weights are trained as well. By what an operation costs with an adapter, whose small products are much of a
narrow layer, they were foretold 16 to 30 % too high there, and 5 % at the next width."""


@dataclass(frozen=True)
class Kind:
    """A kind of step. full: all weights are trained, else an adapter."""

    step: Literal["fused", "reference"]
    precision: Precision
    full: bool = False

    def taken_at(self, width: int, device: str) -> bool:
        """Whether it is timed at that width. A CPU that emulates bf16 is not asked for it, for `auto` never takes it there; all
        weights are trained in what it takes."""
        in_bf16 = device != "cpu" or computes_bf16()
        if self.precision == "bf16" and not in_bf16:
            return False
        if self.full and (width != FULL_AT or self.precision != ("bf16" if in_bf16 else "fp32")):
            return False
        return (self.step, width) != ("reference", BETWEEN) if device == "cpu" else self.step == "reference"

    def rows(self, width: int, device: str) -> Mapping[str, tuple[int, ...]]:
        """Tokens of the rows of its packs there."""
        rows = HALVES if (self.step, self.precision) == ("fused", "fp32") else LENGTHS
        if device != "cpu" or (width <= TOLD_APART and not self.full):
            return rows
        return {name: rows[name] for name in SIZES}


KINDS = (
    Kind("fused", "bf16"), Kind("fused", "bf16", full=True), Kind("fused", "fp32"), Kind("fused", "fp32", full=True),
    Kind("reference", "fp32"),
)  # fmt: skip
ROUNDS, SECONDS = 1, 0.1
"""Rounds that count at least, and the time in which more are made."""
EMPTY_SECONDS = 0.02
"""The same time for steps without a pack, of a millisecond or less."""
EXCHANGED = 4_000_000
"""Numbers by which the exchange between processes and the optimiser are timed: as many as the bundled base has."""


def configuration(width: int, key_heads: int, layers: int) -> LlamaConfig:
    """A Llama of that width."""
    return LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=8 * width // 3 // HEAD * HEAD, num_hidden_layers=layers,
        num_attention_heads=width // HEAD, num_key_value_heads=key_heads, head_dim=HEAD, tie_word_embeddings=True,
    )  # fmt: skip


def typical(work: Callable[[], object], device: torch.device, seconds: float, *, warm_up: bool = True) -> float:
    """Median seconds of a round. warm_up: whether the first one does not count."""
    if warm_up:
        work()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < ROUNDS or time.perf_counter() < end:
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def timed(
    width: int, key_heads: int, layers: int, device: torch.device, helpers: Helpers, seconds: float = SECONDS
) -> Iterator[dict[str, Any]]:
    """Seconds of each kind of step at a width: with all threads, and of the fused ones of small models with one as well, which the
    helpers share."""
    shape = width, key_heads, layers
    for kind in KINDS:
        if not kind.taken_at(width, device.type):
            continue
        shared = kind.step == "fused" and width <= ALONE and helpers.count > 0
        if shared:  # while this process does the same
            helpers.build(partial(_alone, shape, kind))
        take, named = _built(shape, kind, device)
        rows = kind.rows(width, device.type)
        packs = {name: build_pack(_rows(lengths), device) for name, lengths in rows.items()}
        of_packs = partial(
            _of_packs, packs=packs, named=named, cold=_cold(kind, device), device=device, seconds=seconds
        )
        said = {"config": configuration(*shape).to_dict(), **asdict(kind), "packs": _described(rows)}
        # First, for helpers that still load their libraries would disturb what all threads take.
        if shared:
            with threads(1):
                yield {
                    **said,
                    "threads": 1,
                    "seconds": of_packs(StepInProcesses(take, named, helpers), 1 + helpers.count),
                }
        with threads(None) as all_threads:
            yield {**said, "threads": all_threads, "seconds": of_packs(take, 1)}


def _of_packs(
    take: step.Step,
    count: int,
    *,
    packs: Mapping[str, Pack],
    named: Mapping[str, nn.Parameter],
    cold: Set[str],
    device: torch.device,
    seconds: float,
) -> dict[str, float]:
    """Seconds of a step without a pack and with each of them, for each of `count` processes."""
    none = typical(partial(_whole, take, [], named), device, min(seconds, EMPTY_SECONDS))
    return {"empty": none} | {
        name: typical(partial(_whole, take, [pack] * count, named), device, seconds, warm_up=name in cold)
        for name, pack in packs.items()
    }


def _cold(kind: Kind, device: torch.device) -> Set[str]:
    """The packs whose first round takes longer than others."""
    if device.type != "cpu":
        return LENGTHS.keys()
    if kind.precision == "fp32":
        return frozenset(islice(LENGTHS, 1))
    return frozenset(SIZES) if usable(torch.bfloat16, HEAD) else LENGTHS.keys()


def _whole(take: step.Step, packs: list[Pack], parameters: Mapping[str, nn.Parameter]) -> None:
    """A step but for the optimiser's part."""
    take(packs, sum(len(pack.targets_S) for pack in packs))
    forget(parameters.values())


def _rows(lengths: tuple[int, ...]) -> list[Encoded]:
    """Rows of drawn tokens."""
    draw = np.random.default_rng(0)
    return [
        Encoded(
            draw.integers(4, VOCABULARY, length).astype(np.int32), np.arange(length) >= length - scored, length - scored
        )
        for length, scored in ((length, length // SCORED) for length in lengths)
    ]


def _described(rows: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The packs as the plan counts their work."""
    return {
        name: {"lengths": lengths, "supervised": [length // SCORED for length in lengths]}
        for name, lengths in rows.items()
    }


def draw(device: torch.device) -> None:
    """The random weights of every width, ahead of time: while helpers load."""
    for width, (key_heads, layers) in WIDTHS[device.type].items():
        _drawn(width, key_heads, layers)


@cache
def _drawn(width: int, key_heads: int, layers: int) -> PreTrainedModel:
    """A model with random weights in float32."""
    step.register_attention()
    return AutoModelForCausalLM.from_config(configuration(width, key_heads, layers), attn_implementation=step.ATTENTION)


def _built(shape: tuple[int, int, int], kind: Kind, device: torch.device) -> tuple[step.Step, dict[str, nn.Parameter]]:
    """A kind of step on a model of random weights, drawn once for each shape, and what it trains."""
    base = deepcopy(_drawn(*shape)).requires_grad_(False)
    if kind.precision == "bf16" and not kind.full:
        for weight in base.parameters():
            weight.data = weight.data.to(torch.bfloat16)
    net = model.attach(base.to(device), Method(kind="full") if kind.full else Method(rank=RANK), seed=0)
    return step_of(net, kind.step, kind.precision), model.trainable(net)


def _alone(shape: tuple[int, int, int], kind: Kind) -> tuple[step.Step, dict[str, nn.Parameter]]:
    """The same in a helper, which has one thread."""
    torch.set_num_threads(1)
    return _built(shape, kind, torch.device("cpu"))


def _exchange_seconds(helpers: Helpers) -> float:
    """Of a step that computes nothing, for each number that is trained and each helper."""
    helpers.build(_nothing_but_numbers)
    take, named = _nothing_but_numbers()
    packs = [build_pack(_rows((1,)), torch.device("cpu"))] * (1 + helpers.count)
    work = partial(_whole, StepInProcesses(take, named, helpers), packs, named)
    with threads(1):
        return typical(work, torch.device("cpu"), SECONDS) / (EXCHANGED * helpers.count)


def _move_seconds(device: torch.device) -> float:
    """Of a step of one thread for each number that is trained: its gradient is clipped, and it is moved."""
    trained = nn.Parameter(torch.zeros(EXCHANGED, device=device))
    gradient = torch.ones_like(trained)
    optimiser = adamw([("trained", trained)], learning_rate=1e-3)

    def move() -> None:
        trained.grad = gradient
        clip_global_norm([trained], 1.0)
        optimiser.step()

    with threads(1):
        return typical(move, device, SECONDS) / EXCHANGED


def _nothing_but_numbers() -> tuple[step.Step, dict[str, nn.Parameter]]:
    """A step whose gradient is there already."""
    torch.set_num_threads(1)
    trained = nn.Parameter(torch.zeros(EXCHANGED))
    gradient = torch.zeros(EXCHANGED)

    def take(packs: Iterable[Pack], supervised: float) -> float:
        trained.grad = gradient
        return 0.0

    return take, {"trained": trained}


def measured(device: torch.device, lines: Sequence[Connection]) -> dict[str, Any]:
    """Everything, as JSON. lines: to processes that serve as helpers; none beside a GPU."""
    helpers = at_lines(lines)
    found = [
        step
        for width, (heads, layers) in WIDTHS[device.type].items()
        for step in timed(width, heads, layers, device, helpers)
    ]
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu"
    exchange = _exchange_seconds(helpers) if helpers.count else 0.0
    return {
        "device": name, "threads": usable_cores(), "rank": RANK, "helpers": helpers.count, "exchange_seconds": exchange,
        "move_seconds": _move_seconds(device), "steps": found,
    }  # fmt: skip

"""What decides the memory of training, beside the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lathe.plan.compiled_products import compiles
from lathe.plan.parameters import Targets

Storage = Literal["fp32", "bf16", "nf4"]
StepKind = Literal["fused", "reference"]
Device = Literal["cpu", "cuda"]
BYTES = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True)
class Setting:
    """One way to train. pack_tokens: tokens of the pack that needs most."""

    pack_tokens: int
    pack_supervised: int
    """Supervised tokens of that pack, or the most of any where that says more."""
    precision: Literal["fp32", "bf16"]
    full: bool
    """Whether all weights are trained."""
    rank: int
    targets: Targets
    stored_bytes: int
    """Size of the weights on disk, which are mapped while they are read."""
    quantised: bool = False
    """Whether the frozen weights are NF4."""
    optimiser: Literal["adamw", "adamw8bit"] = "adamw"
    """Which keeps its moments in 32 or 8 bits."""
    has_bitsandbytes: bool = False
    """Whether the package is installed: peft then loads it, whatever is trained."""
    recompute: bool = False
    """Whether a layer keeps its input alone and is computed again in the backward pass."""
    device: Device = "cpu"
    step: StepKind = "reference"
    """Which of the engine's steps forms the gradients."""
    compiled: bool = False
    """Whether the fused step's element-wise parts are compiled."""
    has_avx512: bool = True
    """Whether the processor has AVX-512."""
    has_tiles: bool = False
    """Whether it multiplies bf16 in tiles (AMX)."""
    pack_weights: int = 0
    """Numbers of one head that the fused step's attention keeps of that pack over all layers (`fused_attention.kept_by_head`)."""
    pack_batch: int = 0
    """Numbers that its batches of attention hold at once on their way backward (`fused_attention.alive_in_batches`)."""
    kernels: int = 0
    """Shapes of products that the fused step meets over the run."""
    longest_row: int = 0
    """Tokens of the longest row."""
    row_lengths: int = 64
    """Rows of other lengths that are met over the run."""
    num_packs: int = 16
    """Packs over the run: the more there are, the more of what comes together only now and then is met."""
    sample_tokens: int = 0
    """Tokens of the pack on which the fused step is held against the reference before the first step."""
    sample_supervised: int = 0
    dropout: bool = False
    """Whether numbers are dropped in front of the adapters."""
    threads: int = 1
    """Threads of each process."""
    processes: int = 1
    """Processes that share a step, each with the frozen weights and packs of its own."""
    shards: int = 1
    """Ranks over which weights, gradients and moments lie in parts; 1 = each process holds its own whole."""
    answering_bytes: int = 0
    """What the weights and the cache take that answer validation rows between steps; 0 = none are answered."""

    @property
    def loads_bitsandbytes(self) -> bool:
        """Whether the package takes memory."""
        return self.has_bitsandbytes or self.quantised or self.optimiser == "adamw8bit"

    @property
    def compiles_products(self) -> bool:
        """Whether oneDNN makes code for each shape of a product."""
        return compiles(self.precision, has_avx512=self.has_avx512, has_tiles=self.has_tiles)

    @property
    def storage(self) -> Storage:
        """In what the base's weights are kept."""
        return "fp32" if self.full else "nf4" if self.quantised else self.precision

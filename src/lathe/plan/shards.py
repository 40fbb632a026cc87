"""Memory of training whose weights, gradients and moments lie in parts over ranks (`train.shard`): the terms of one rank.

    in_parts(terms, model, counted, setting)        # of the terms of a process that holds all of it

`bench/shards_memory.py` prints what the ranks of a small model really took.
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.plan.architecture import Shapes
from lathe.plan.reference_step import KEPT_BYTES
from lathe.plan.setting import Setting
from lathe.records import MemoryTerm, Parameters

IN_PARTS = ("weights", "gradients", "optimiser")
OF_A_LAYER = 4
"""Copies of a layer while it is gathered or its gradient summed: weights and gradient, each as it travels and as it is used."""


def in_parts(
    terms: Sequence[MemoryTerm], model: Shapes, counted: Parameters, setting: Setting
) -> tuple[MemoryTerm, ...]:
    """What each rank holds of these, and what it gathers meanwhile."""
    layers = model.body_linear + model.num_layers * model.norms_per_layer
    outside, layer = counted.total - layers, layers // model.num_layers
    gathered = MemoryTerm(
        name="gathered",
        num_bytes=4 * (2 * outside + OF_A_LAYER * layer),
        formula=f"{outside:,} parameters outside the layers and their gradients, a layer's {layer:,} x {OF_A_LAYER}, x 4 bytes",
    )
    return (*(_of_one(term, setting) for term in terms), gathered)


def _of_one(term: MemoryTerm, setting: Setting) -> MemoryTerm:
    if term.name in IN_PARTS:
        formula = f"{term.formula}, in parts over {setting.shards} ranks"
        return MemoryTerm(name=term.name, num_bytes=-(-term.num_bytes // setting.shards), formula=formula)
    if term.name == "heap":
        formula = "freed memory of gathered layers, given back once it has grown to this"
        return MemoryTerm(name=term.name, num_bytes=KEPT_BYTES, formula=formula)
    return term

"""Exact parameter counts, total and trainable, from shapes.

    from_config(config, rank=16, targets="all-linear").total, .trainable

LoRA adds to a layer of fan_in x fan_out two matrices, rank x fan_in and fan_out x rank: rank x (fan_in + fan_out) parameters
(Hu et al. 2021, arXiv 2106.09685). DoRA adds a magnitude for each output, fan_out parameters (Liu et al. 2024, arXiv 2402.09353).
A module to save is trained as a whole, as a copy. The counts equal those of transformers and peft on the meta device; tests hold
them to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lathe.errors import InputError, did_you_mean
from lathe.plan.architecture import Linear, Shapes, shapes
from lathe.records import Parameters

Targets = Sequence[str] | Literal["all-linear"]


@dataclass(frozen=True)
class Adapter:
    """What is trained where not all is: matrices of that rank on the targets, and whole modules beside them."""

    rank: int
    targets: Targets = "all-linear"
    dora: bool = False
    modules_to_save: tuple[str, ...] = ()


def from_config(config: Mapping[str, Any], rank: int | None, targets: Targets = "all-linear") -> Parameters:
    """Counts for a config.json. rank: LoRA rank; None = full training, where every parameter is trainable.

    Raises InputError on an unknown architecture and on a target that matches no layer.
    """
    return count(shapes(config), rank, targets)


def count(model: Shapes, rank: int | None, targets: Targets = "all-linear") -> Parameters:
    """Counts for shapes; see `from_config`."""
    return of(model, None if rank is None else Adapter(rank, targets))


def of(model: Shapes, adapter: Adapter | None) -> Parameters:
    """Counts for shapes; adapter None = full training. Raises InputError on a target or module that matches nothing."""
    embedding = model.vocab * model.hidden
    groups = {
        "embedding": embedding,
        "attention": model.num_layers * _sum(model, "self_attn."),
        "mlp": model.num_layers * _sum(model, "mlp."),
        "norm": model.num_layers * model.norms_per_layer + model.hidden,
        "head": 0 if model.tied else embedding,
    }
    total = sum(groups.values())
    if adapter is None:
        return Parameters(total=total, trainable=total, by_group=groups)
    whole = saved(model, adapter.modules_to_save)
    names = {linear.name for linear in whole}
    layers = [linear for linear in adapted(model, adapter.targets) if linear.name not in names]
    trained = sum(adapter.rank * (linear.fan_in + linear.fan_out) for linear in layers)
    if adapter.dora:
        trained += sum(linear.fan_out for linear in layers)
    trained += sum(linear.parameters for linear in whole)
    return Parameters(total=total, trainable=trained, by_group={**groups, "adapter": trained})


EMBEDDING = "model.embed_tokens"
HEAD = "lm_head"


def saves_known(model: Shapes, modules: Sequence[str]) -> bool:
    """Whether every module to save is one that `saved` finds; norms and others are left to transformers."""
    names = [linear.name for linear in _everything(model)]
    return all(any(name.endswith(module) for name in names) for module in modules)


def saved(model: Shapes, modules: Sequence[str]) -> list[Linear]:
    """Every layer that is trained as a whole beside the adapters, by peft's rule: the path ends in the name.

    Raises InputError on a name that matches no linear layer, embedding or head.
    """
    everything = _everything(model)
    for module in modules:
        if not any(linear.name.endswith(module) for linear in everything):
            names = sorted({linear.name.rpartition(".")[2] for linear in everything})
            raise InputError(
                f"the module to save {module!r} is no linear layer, embedding or head of this {model.architecture} model",
                hint=did_you_mean(module, names),
            )
    return [linear for linear in everything if any(linear.name.endswith(module) for module in modules)]


def adapted(model: Shapes, targets: Targets) -> list[Linear]:
    """Every layer of the whole model that gets an adapter, by peft's rule: a target is a path's end, at a dot.

    all-linear, also as the only name of a list: every linear layer but the head. Raises InputError, with the nearest name,
    on a target that matches nothing.
    """
    everything = _everything(model)
    if targets == "all-linear" or list(targets) == ["all-linear"]:
        return everything[:-2]
    for target in targets:
        if not any(_matches(linear.name, target) for linear in everything):
            names = sorted({linear.name.rpartition(".")[2] for linear in everything})
            raise InputError(
                f"the adapter target {target!r} matches no layer of this {model.architecture} model",
                hint=did_you_mean(target, (*names, "all-linear")),
            )
    return [linear for linear in everything if any(_matches(linear.name, target) for target in targets)]


def matrices(model: Shapes, rank: int | None, targets: Targets = "all-linear") -> list[int]:
    """Numbers in each matrix that is trained: the two of every adapted layer, or with rank None all of the model. Norms and biases
    are left out."""
    if rank is not None:
        return [rank * fan for linear in adapted(model, targets) for fan in (linear.fan_in, linear.fan_out)]
    everything = _everything(model)
    return [linear.fan_in * linear.fan_out for linear in (everything[:-1] if model.tied else everything)]


def without_layer(model: Shapes, targets: Targets) -> tuple[str, ...]:
    """Those targets that match no layer; peft passes over them as long as another one matches."""
    if targets == "all-linear" or list(targets) == ["all-linear"]:
        return ()
    everything = _everything(model)
    return tuple(target for target in targets if not any(_matches(linear.name, target) for linear in everything))


def _everything(model: Shapes) -> list[Linear]:
    """Every linear layer, then embedding and head."""
    layers = [_placed(linear, number) for number in range(model.num_layers) for linear in model.layer]
    return [*layers, Linear(EMBEDDING, model.vocab, model.hidden), Linear(HEAD, model.hidden, model.vocab)]


def bare(config: Mapping[str, Any], rank: int | None, targets: Targets = "all-linear") -> dict[str, int]:
    """The two numbers of a config.json that `lathe plan --config config.json` prints first."""
    counted = from_config(config, rank, targets)
    return {"parameters_total": counted.total, "parameters_trainable": counted.trainable}


def _placed(linear: Linear, number: int) -> Linear:
    return Linear(f"model.layers.{number}.{linear.name}", linear.fan_in, linear.fan_out, linear.bias)


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _sum(model: Shapes, prefix: str) -> int:
    return sum(linear.parameters for linear in model.layer if linear.name.startswith(prefix))

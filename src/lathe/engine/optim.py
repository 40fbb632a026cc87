"""What moves the weights: parameter groups, AdamW in 32 and 8 bits, Muon for matrices, learning-rate schedules and clipping.

    factor = rise(done=10, warmup=5) * between(1.0, 0.2, share=0.5)     # 0.6; times the base learning rate
    optimisers = muon_and_adamw(named_parameters, muon_learning_rate=0.02, adamw_learning_rate=3e-3)

Schedules are pure functions of the step, so a resumed run needs no scheduler state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from lathe.engine.quantised import INSTALL, without_hub_kernels
from lathe.errors import Unavailable


def rise(done: float, warmup: float) -> float:
    """Factor after `done` units (steps or tokens): from a hundredth linearly to 1 over the first `warmup`."""
    return 1.0 if done >= warmup else max(done / warmup, 0.01)


def between(start: float, end: float, share: float) -> float:
    """The factor after a share of a stretch (0 to 1) that begins at `start` and falls or rises linearly to `end`.

    A plateau that falls linearly to near zero at the end: Hu et al. 2024 (MiniCPM), Hägele et al. 2024. Raised once more, a
    decayed run goes on learning: Ibrahim et al. 2024, "Simple and scalable strategies to continually pre-train large
    language models".
    """
    return start + (end - start) * min(share, 1.0)


def parameter_groups(named: Iterable[tuple[str, Parameter]], weight_decay: float) -> list[dict[str, object]]:
    """Two AdamW groups: matrices with `weight_decay`, vectors (norm gains, biases) without."""
    matrices: list[Parameter] = []
    vectors: list[Parameter] = []
    for _, parameter in named:
        if parameter.requires_grad:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    groups: list[dict[str, object]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def adamw(
    named: Iterable[tuple[str, Parameter]],
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.95),
) -> AdamW:
    """AdamW over two groups (see `parameter_groups`); one fused kernel a step where the device has it."""
    return AdamW(parameter_groups(named, weight_decay), lr=learning_rate, betas=betas, eps=1e-8, fused=True)


def adamw8bit(
    named: Iterable[tuple[str, Parameter]],
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.95),
) -> Optimizer:
    """The same with both moments in 8 bits, in blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861), on CPU and CUDA.

    Parameters of fewer than 4,096 numbers keep moments in float32. Raises Unavailable without bitsandbytes.
    """
    if find_spec("bitsandbytes") is None:
        raise Unavailable("train.optimiser: adamw8bit needs bitsandbytes, which is not installed", hint=INSTALL)
    with without_hub_kernels():
        from bitsandbytes.optim import AdamW8bit
    eight: Optimizer = AdamW8bit(parameter_groups(named, weight_decay), lr=learning_rate, betas=betas, eps=1e-8)
    return eight


OPTIMISERS = {"adamw": adamw, "adamw8bit": adamw8bit}
"""Those that a recipe can name."""

TABLES = {"qmap1": "dynamic", "qmap2": "udynamic"}
"""What 8-bit moments stand for, by key of a parameter's state: constants of the optimiser, which no checkpoint holds."""


def put_tables(optimizer: Optimizer) -> None:
    """Gives a state that was read from a checkpoint its tables again."""
    for parameter, state in optimizer.state.items():
        if "state1" in state and state["state1"].dtype == torch.uint8:
            for key, name in TABLES.items():
                state[key] = optimizer.name2qmap[name].to(parameter.device)


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon should move it: a matrix that is neither an embedding nor the output head (Jordan et al. 2024)."""
    return parameter.ndim == 2 and "embed" not in name and "lm_head" not in name


def muon_and_adamw(
    named: Iterable[tuple[str, Parameter]],
    *,
    muon_learning_rate: float,
    adamw_learning_rate: float,
    weight_decay: float = 0.0,
) -> list[Optimizer]:
    """Muon for the hidden matrices, AdamW for the rest (embeddings and norm gains, without decay).

    Muon steps along the nearest orthogonal matrix of the momentum, so its learning rate is the size of the step
    itself: 0.02 here means the same for every matrix, and weight decay acts as learning_rate * weight_decay a step.
    """
    parameters = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    hidden = [parameter for name, parameter in parameters if is_hidden_matrix(name, parameter)]
    rest = [(name, parameter) for name, parameter in parameters if not is_hidden_matrix(name, parameter)]
    optimisers: list[Optimizer] = []
    if hidden:
        optimisers.append(Muon(hidden, lr=muon_learning_rate, weight_decay=weight_decay, momentum=0.95, nesterov=True))
    if rest:
        optimisers.append(adamw(rest, adamw_learning_rate))
    return optimisers


def set_learning_rate(optimisers: Iterable[Optimizer], factor: float) -> None:
    """Set every group's learning rate to `factor` times what it was built with."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("base_lr", group["lr"]) * factor


def clip_global_norm(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients so that their joint 2-norm is at most `max_norm`; returns the norm before (inf or nan
    where a gradient is)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return 0.0
    norm = float(
        torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients]))
    )
    if math.isfinite(norm) and norm > max_norm:
        torch._foreach_mul_(gradients, max_norm / norm)
    return norm

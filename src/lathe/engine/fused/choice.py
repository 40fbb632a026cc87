"""Which step trains a model: the fused one where it applies and agrees with the reference here and now, else the reference.

    step, kind = choose(net, rows, precision)
    loss = step(packs, supervised)              # .grad now holds the step's gradient
    is_fused(kind)                              # kind: "fused, compiled", "fused, eager: why", or "reference: why"

Only the fused step takes packs whose rows share what they begin with; the check holds such a pack against the reference on whole
rows. It costs two small steps. Adapters start with B = 0, which would hide mistakes in A's gradients, so during the check B holds
random numbers of a fixed seed; they are taken out again. The outcome depends on the model, the sample and the machine alone, so
a run that continues chooses as it did before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lathe.engine.adapters import LoraLinear, PeftModel
from lathe.engine.decoding.weights import can_decode
from lathe.engine.devices import Precision, give_back_memory, keep_freed_memory
from lathe.engine.dropout import RowDropout
from lathe.engine.fused.elementwise import best, named
from lathe.engine.fused.projection import ADAPTER
from lathe.engine.fused.stack import FusedStep, narrow
from lathe.engine.model import causal, trainable
from lathe.engine.packs import build_pack
from lathe.engine.quantised import is_quantised
from lathe.engine.step import Step, gradients
from lathe.text.render import Encoded

_FUSED = "fused"
LOSS_TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2}
"""Largest difference from the reference's loss, as a share of it or in nats a token. The smaller a loss is, the larger is the share
of it that bf16's rounding makes: of the demo's first 24 rows, one by one, it is up to 0.03, and 0.009 nats."""
GRADIENT_TOLERANCE = {"fp32": 1e-3, "bf16": 0.5}
"""Largest difference from the reference's gradient of any one matrix, as a share of its length. On those rows both steps in
bf16 are 0.02 to 0.1 off float32's over all; the matrix that differs most differs by 0.04 to 0.13, once by 0.34. A forgotten one
differs by 1."""
_SMALL = 1e-2
"""Of the length of all gradients together: a matrix whose own is shorter is held against this."""


def choose(net: nn.Module, sample: Sequence[Encoded], precision: Precision) -> tuple[Step, str]:
    """The step for a model that is ready for training, and what to call it. sample: a few of the run's own rows."""
    reference = partial(gradients, net, precision=precision)
    reason = unfit(net)
    if reason is None:
        ops, how = best(narrow(net, precision))
        fused = FusedStep(net, precision, ops)
        reason = disagreement(net, fused.gradients, reference, sample, precision)
        give_back_memory()
        if reason is None:
            keep_freed_memory()
            return fused.gradients, f"{_FUSED}, {how}"
    return reference, f"reference: {reason}"


def step_of(net: nn.Module, kind: str, precision: Precision) -> Step:
    """The step of a kind that was chosen before; of "fused" alone, the fused one that is best here."""
    if not is_fused(kind):
        return partial(gradients, net, precision=precision)
    _, _, how = kind.partition(", ")
    dtype = narrow(net, precision)
    ops = named(how, dtype) if how else best(dtype)[0]
    keep_freed_memory()
    return FusedStep(net, precision, ops).gradients


def is_fused(kind: str) -> bool:
    """Whether a kind that was chosen is the fused step."""
    return kind.startswith(_FUSED)


def unfit(net: nn.Module) -> str | None:
    """Why the fused step does not apply to a model; None where it does."""
    model = causal(net)
    if is_quantised(model):
        return "the base is quantised"
    if any(getattr(part, "gradient_checkpointing", False) for part in model.modules()):
        return "layers are computed again"
    if model.device.type != "cpu":
        return f"the fused step is not measured on {model.device.type}"
    if not can_decode(model):
        return f"{model.config.model_type} with these options is not written out"
    if getattr(model.config, "attention_dropout", 0.0):
        return "the base has attention dropout"
    if isinstance(net, PeftModel) and set(net.peft_config) != {ADAPTER}:
        return "there is more than one adapter"
    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLinear):
            continue
        if not isinstance(layer.lora_dropout[ADAPTER], (nn.Identity, RowDropout)):
            return f"the dropout of {name} draws other numbers in every pass"
        if layer.lora_variant or layer.lora_bias[ADAPTER] or layer.merged:
            return f"the adapter of {name} is more than a product of two matrices"
    formed = {id(parameter) for parameter in FusedStep(net).trained()}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad != (id(parameter) in formed):
            return f"{name} is {'' if parameter.requires_grad else 'not '}trained"
    return None


def disagreement(
    net: nn.Module, fused: Step, reference: Step, sample: Sequence[Encoded], precision: Precision
) -> str | None:
    """How the fused step differs from the reference on a few rows beyond rounding; None where it does not."""
    whole, shared = build_pack(sample), build_pack(sample, shared=True)
    supervised = whole.targets_S.numel()
    if supervised == 0:
        return "the sample has nothing to learn from"
    parameters = trainable(net)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items() if "lora_B" in name}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in before:
            parameters[name].normal_(std=0.02, generator=generator)
    try:
        expected_loss, expected = reference([whole], supervised), _taken(parameters)
        give_back_memory()  # autograd needs several times what the fused step does
        loss, found = fused([shared], supervised), _taken(parameters)
    finally:
        with torch.no_grad():
            for name, values in before.items():
                parameters[name].copy_(values)
    tolerance = LOSS_TOLERANCE[precision]
    if not math.isclose(loss, expected_loss, rel_tol=tolerance, abs_tol=tolerance):
        return f"the fused step's loss is {loss:.6g} where it should be {expected_loss:.6g}"
    floor = _SMALL * float(torch.stack([gradient.norm() for gradient in expected.values()]).norm())
    for name, gradient in expected.items():
        error = float((found[name] - gradient).norm()) / max(float(gradient.norm()), floor)
        if not error <= GRADIENT_TOLERANCE[precision]:
            return f"the fused step's gradient of {name} is {error:.1e} off"
    return None


def _taken(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """All gradients by name; `.grad` is None afterwards."""
    taken = {}
    for name, parameter in parameters.items():
        taken[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = None
    return taken

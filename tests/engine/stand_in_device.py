"""A device that computes on the CPU and, as a GPU does, refuses to compute with tensors that lie elsewhere.

    values = torch.ones(3, device=DEVICE)
    values + torch.ones(3)                      # RuntimeError: aten::add got tensors of two devices

It takes torch's key for backends from outside (PrivateUse1) and changes the process that imports it for good: torch then knows of
an accelerator. So it is imported in a process of its own (`on_both_devices`). Autocast is not there, so bf16 is not tried.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "stand_in"
BETWEEN_DEVICES = {"aten::_to_copy", "aten::copy_"}
DECOMPOSED = "CompositeImplicitAutograd"


class Backend(_DummyBackendModule):
    """What torch asks of an accelerator's module; seeds go nowhere, for random numbers are the CPU's."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
DEVICE = torch.device(NAME, 0)


class Lying(torch.Tensor):
    """A tensor on the device; its numbers are in `held`, a tensor on the CPU."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    __slots__: ClassVar[list[str]] = []

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Lying:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # In inference mode operations come whole that otherwise come as their parts.
        if torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), DECOMPOSED):
            return op.decompose(*args, **(kwargs or {}))
        return computed(op, *args, **(kwargs or {}))

    def tolist(self) -> Any:
        return self.held.tolist()


def computed(op: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation, done on the CPU. Raises RuntimeError where its tensors lie on two devices; single numbers may."""
    name = op._schema.name
    tensors = [one for one in pytree.arg_tree_leaves(*args, **kwargs) if isinstance(one, torch.Tensor)]
    here = [one for one in tensors if isinstance(one, Lying)]
    if name == "aten::_has_compatible_shallow_copy_type":
        return False
    if name == "aten::_fused_sdp_choice":
        return 0  # attention in plain products
    if name not in BETWEEN_DEVICES and any(one.dim() and not isinstance(one, Lying) for one in tensors):
        raise RuntimeError(f"{name} got tensors of two devices")
    asked = kwargs.get("device")
    if asked is not None:
        kwargs["device"] = torch.device("cpu")
    args, kwargs = pytree.tree_map_only(Lying, lambda one: one.held, (args, kwargs))
    with torch.inference_mode(False), torch.no_grad():
        found = op(*args, **kwargs)
        stays = bool(here) if asked is None else torch.device(asked).type == NAME
        if name == "aten::_local_scalar_dense" or not stays:
            return found
        # What was changed in place is the tensor that it was.
        known = {id(one.held): one for one in here}
        return pytree.tree_map_only(torch.Tensor, lambda one: known[id(one)] if id(one) in known else Lying(one), found)


def copied(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """The numbers of one tensor put into another, on whichever device."""
    source, into = (one.held if isinstance(one, Lying) else one for one in (source, target))
    into.copy_(source)
    return target


_ALL = torch.library.Library("_", "IMPL")
_ALL.fallback(computed, "PrivateUse1")
# Without these torch would make an empty tensor here and change its size, which `Lying` cannot follow, or copy by the fallback.
_ATEN = torch.library.Library("aten", "IMPL")
for _name in ("empty.memory_format", "empty_strided", "arange", "arange.start", "arange.start_step"):
    _packet, _, _overload = _name.partition(".")
    _op = getattr(getattr(torch.ops.aten, _packet), _overload or "default")
    _ATEN.impl(_name, lambda *args, _op=_op, **kwargs: computed(_op, *args, **kwargs), "PrivateUse1")
_ATEN.impl("_copy_from", copied, "PrivateUse1")

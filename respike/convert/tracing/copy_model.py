"""A private copy of the user's model: detached from its training, in float32, in eval mode, on the CPU.

A graph is the same wherever its model lies: on a GPU the tracer would ask how large a batch the device's convolutions
can take, and they would round to fewer digits than what checks the passes allows.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.overrides import TorchFunctionMode

from ..errors import ConversionError
from .fake_quantize import freeze_fake_quantizers

CPU = torch.device("cpu")


def prepare(model: nn.Module, device: torch.device = CPU) -> nn.Module:
    """A private copy of the model to trace: unwrapped, in eval mode, float32, without gradients.

    Args:
        model: Anywhere.
        device: Where the copy is wanted.

    Raises:
        ConversionError: not a module, a scripted module, or one that cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise ConversionError(f"from_torch takes a torch.nn.Module, got {type(model).__name__}")
    model = unwrapped(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise ConversionError("a scripted model has lost its Python code; convert the nn.Module it was made from")
    for path, part in model.named_modules():
        if isinstance(part, LazyModuleMixin) and part.has_uninitialized_params():  # type: ignore[misc]
            raise ConversionError(
                f"{path or type(model).__name__} is a lazy module without weights yet; run the model once before "
                "converting it"
            )
    try:
        with _Detaching():
            copies: dict[int, Any] = {}
            twin = copy.deepcopy(model, copies)
    except Exception as error:  # user code: __deepcopy__, generators, open files, ...
        raise ConversionError(
            f"{type(model).__name__} cannot be copied, and conversion works on a copy: {error}. "
            "Take the attribute that cannot be copied out of the module"
        ) from error
    freeze_fake_quantizers(twin)
    for part in twin.modules():  # they watch gradients, and there are none
        part._backward_hooks.clear()
        part._backward_pre_hooks.clear()
    tensors = [x for x in copies.values() if isinstance(x, Tensor)]
    for tensor in tensors:
        if tensor.device != device:
            tensor.data = tensor.data.to(device)
    if _to_float32(tensors):
        twin.forward = _in_float32(twin.forward)
    return twin.eval().requires_grad_(False)


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside ``DataParallel``, ``DistributedDataParallel`` and what ``torch.compile`` returns."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


class _Detaching(TorchFunctionMode):
    """Copies tensors that have a history, which PyTorch refuses to: as values, without it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__:
            tensor, copies = args
            if not tensor.is_leaf:
                copies[id(tensor)] = tensor.detach().clone()
                return copies[id(tensor)]
        return func(*args, **(kwargs or {}))


def _to_float32(tensors: list[Tensor]) -> bool:
    """Make these tensors float32 wherever in the module they are; whether one of them was not."""
    found = False
    for tensor in tensors:
        tensor.requires_grad_(False)
        if tensor.is_floating_point() and tensor.dtype is not torch.float32:
            tensor.data = tensor.data.float()
            found = True
    return found


class _Float32(TorchFunctionMode):
    """Computes in float32 what asks for another precision."""

    CASTS = (Tensor.double, Tensor.half, Tensor.bfloat16)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.CASTS:
            return Tensor.float(args[0])
        return func(*map(_float32, args), **{key: _float32(value) for key, value in (kwargs or {}).items()})


def _float32(arg: Any) -> Any:
    return torch.float32 if isinstance(arg, torch.dtype) and arg.is_floating_point else arg


def _in_float32(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a model of another precision, which may cast its input to it."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _Float32():
            return forward(*args, **kwargs)

    return run

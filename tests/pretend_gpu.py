"""A device that is not there: tensors that say they lie on a GPU, and refuse to meet those of the CPU as a GPU's do.

They hold ordinary numbers, so that everything runs where there is no GPU, with torch's own operations in place of the
kernels. What a GPU computes otherwise, and how fast, only a GPU tells: ``convert/test_on_a_gpu.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils import _pytree as pytree

from respike.layers import kernels

GPU = torch.device("cuda")
FREE = 8 * 2**30
"""Bytes that it says are free."""


MOVE = ("to", "cpu", "cuda", "copy_", "type_as")
MAKE = ("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm")
MAKE += ("scalar_tensor", "tensor", "zeros")


class There(Tensor):
    """A tensor that says it is on the GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __deepcopy__(self, memo: dict[int, Any]) -> There:
        with torch._C.DisableTorchFunctionSubclass():
            copied = self.detach().clone().as_subclass(There).requires_grad_(self.requires_grad)
        if isinstance(self, nn.Parameter):
            copied._is_param = True
        memo[id(self)] = copied
        return copied

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = resolve_name(func) or getattr(func, "__name__", str(func))
        last = name.rsplit(".", 1)[-1]
        if name.endswith("data.__set__"):
            return _set_data(*args)
        if last in MOVE:
            return _moved(last, args, kwargs)
        if last not in ("__get__", "__set__"):
            _meet(name, last, args, kwargs)
        found = super().__torch_function__(func, types, args, kwargs)
        return _there(found) if name.endswith("grad.__get__") else found


def _plain(x: Any) -> Any:
    return x.as_subclass(Tensor) if isinstance(x, There) else x


def _there(x: Any) -> Any:
    return x.as_subclass(There) if isinstance(x, Tensor) else x


def _set_data(tensor: Tensor, value: Tensor) -> None:
    with torch._C.DisableTorchFunctionSubclass():
        tensor.data = value
        now, was = isinstance(value, There), isinstance(tensor, There)
        if now != was:
            kind = nn.Parameter if isinstance(tensor, nn.Parameter) else Tensor
            tensor.__class__ = There if now else kind


def _moved(last: str, args: Any, kwargs: Any) -> Any:
    """What goes from one device to the other: ``to`` and its relatives, and ``copy_``."""
    tensor, *rest = args
    given = [*rest, *kwargs.values()]
    devices = [torch.device(x) for x in given if isinstance(x, (torch.device, str))]
    devices += [_device(x) for x in given if isinstance(x, Tensor) and last != "copy_"]
    if last in ("cpu", "cuda"):
        devices = [torch.device(last)]
    target = devices[0] if devices else _device(tensor)
    with torch._C.DisableTorchFunctionSubclass():
        if last == "copy_":
            return tensor.copy_(*rest, **kwargs)
        kinds = [x for x in given if isinstance(x, torch.dtype)]
        kinds += [x.dtype for x in given if isinstance(x, Tensor)]
        found = tensor.to(kinds[0]) if kinds else tensor
        copied = kwargs.get("copy", False) or (target != _device(tensor) and found is tensor)
        if "memory_format" in kwargs or copied:
            found = found.clone(memory_format=kwargs.get("memory_format", torch.preserve_format))
    return _there(found) if target.type == "cuda" else _plain(found)


def _device(tensor: Tensor) -> torch.device:
    return GPU if isinstance(tensor, There) else torch.device("cpu")


MAY_INDEX = ("__getitem__", "__setitem__", "index", "index_put_", "index_put")


def _meet(name: str, last: str, args: Any, kwargs: Any) -> None:
    """Refuse what a GPU refuses: tensors of both devices in one operation, single numbers of the CPU apart."""
    leaves = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    if last == "_has_compatible_shallow_copy_type":
        return
    if last in MAY_INDEX and isinstance(args[0], There):
        return  # the places may be told by the CPU
    strangers = [x for x in leaves if not isinstance(x, There) and x.dim()]
    if strangers and any(isinstance(x, There) for x in leaves):
        shapes = ", ".join(f"{tuple(x.shape)} on the {'GPU' if isinstance(x, There) else 'CPU'}" for x in leaves)
        raise RuntimeError(f"Expected all tensors to be on the same device: {name} of {shapes}")


class _Device(TorchFunctionMode):
    """Moves what never was there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if any(issubclass(kind, There) for kind in types):
            return func(*args, **kwargs)
        last = getattr(func, "__name__", "")
        if last in MOVE and args and isinstance(args[0], Tensor):
            return _moved(last, args, kwargs)
        if "data" in (resolve_name(func) or "") and last == "__set__":
            return _set_data(*args)
        return func(*args, **kwargs)


def _made(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same function, which knows the device."""

    def made(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        if device is not None and torch.device(device).type == "cuda":
            return _there(function(*args, **kwargs))
        return function(*args, device=device, **kwargs)

    return made


@contextmanager
def pretending(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While it lasts, ``torch.device("cuda")`` can be used."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (FREE, FREE))
    for name in MAKE:
        monkeypatch.setattr(torch, name, _made(getattr(torch, name)))
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    kernels.use("eager")
    try:
        with _Device():
            yield
    finally:
        kernels.use(None)
        torch.__future__.set_overwrite_module_params_on_conversion(before)

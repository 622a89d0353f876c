"""Fake quantisation, which ``torch.export`` cannot follow, written as the operations that it is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class FakeQuantizeWrittenOut(TorchFunctionMode):
    """While it lasts, x is quantised as (clip(⌊x/s⌉ + z, low, high) − z)·s, as PyTorch documents it."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.fake_quantize_per_tensor_affine:
            return _quantised(*args, **(kwargs or {}))
        if function is torch.fake_quantize_per_channel_affine:
            return _by_channel(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _quantised(input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Tensor:  # noqa: A002
    steps = (torch.round(input / scale) + zero_point).clamp(quant_min, quant_max)
    return (steps - zero_point) * scale  # type: ignore[no-any-return]


def _by_channel(
    input: Tensor,  # noqa: A002
    scale: Tensor,
    zero_point: Tensor,
    axis: int,
    quant_min: int,
    quant_max: int,
) -> Tensor:
    shape = [-1 if k == axis % input.dim() else 1 for k in range(input.dim())]
    return _quantised(input, scale.reshape(shape), zero_point.reshape(shape), quant_min, quant_max)


class _Frozen(nn.Module):
    """A ``FakeQuantize`` of ``torch.ao.quantization`` as it is now: it looks at no values any more."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.register_buffer("scale", module.scale.clone())
        self.register_buffer("zero_point", module.zero_point.clone())
        self.axis = module.ch_axis if module.is_per_channel else None
        self.low, self.high = int(module.quant_min), int(module.quant_max)

    def forward(self, x: Tensor) -> Tensor:
        if self.axis is None:
            return _quantised(x, self.scale, self.zero_point, self.low, self.high)
        return _by_channel(x, self.scale, self.zero_point, self.axis, self.low, self.high)  # type: ignore[arg-type]


def freeze_fake_quantizers(model: nn.Module) -> None:
    """Put what they compute in the places of ``FakeQuantize`` modules, which decide in Python whether to quantise."""
    loaded = sys.modules.get("torch.ao.quantization.fake_quantize")  # whoever has such a module has loaded it
    if loaded is None:
        return
    for path, module in list(model.named_modules()):
        if path and isinstance(module, loaded.FakeQuantize):
            parent, _, name = path.rpartition(".")
            frozen = _Frozen(module) if module.fake_quant_enabled[0] else nn.Identity()
            setattr(model.get_submodule(parent), name, frozen)

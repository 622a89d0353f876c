"""What kernels are compared on: neurons, currents in several types and orders in memory, and how to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from respike.layers.kernels import Drive, Rule, Send, eager

RULES = {
    "binary": Rule(),
    "burst": Rule(3),
    "unlimited": Rule(None),
    "leaky": Rule(alpha=0.87),
    "leaky burst": Rule(3, alpha=0.9),
    "leaky unlimited": Rule(None, alpha=0.9),
    "signed": Rule(1, signed=True),
    "signed burst": Rule(3, signed=True),
    "signed leaky": Rule(2, signed=True, alpha=0.9),
    "two levels": Rule(1, signed=True, levels=2),
    "four levels": Rule(1, signed=True, levels=4),
    "floor": Rule(floor=-1.0),
    "leaky burst with a floor": Rule(3, alpha=0.9, floor=-0.3),
    "signed with a floor": Rule(2, signed=True, floor=0.0),
    "eight levels": Rule(1, signed=True, levels=8),
    "two-sided": Rule(1, signed=True, two_sided=True),
    "two-sided burst": Rule(3, signed=True, two_sided=True),
    "two-sided leaky": Rule(2, signed=True, alpha=0.9, two_sided=True),
    "two-sided four levels": Rule(1, signed=True, levels=4, two_sided=True),
}

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": Tensor.contiguous,
    "channels last": lambda x: x.movedim(2, -1).contiguous().movedim(-1, 2),
    "height and width swapped": lambda x: x.mT.contiguous().mT,
    "batch before time": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every second number": lambda x: x.repeat_interleave(2, -1)[..., ::2],
}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Currents that make neurons of threshold one spike now and then; whole numbers for int8."""
    x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.4
    return x.round().clamp(-100, 100).to(dtype) if dtype == torch.int8 else x.to(dtype)


def per_channel(channels: int, seed: int = 1) -> Tensor:
    """Positive numbers ``(C, 1, 1)``."""
    return torch.rand(channels, 1, 1, generator=torch.Generator().manual_seed(seed)) + 0.3


def start(rule: Rule, threshold: Tensor) -> tuple[Tensor, ...]:
    """The state before the first step."""
    return (threshold / 2, torch.zeros(())) if rule.counts else (threshold / 2,)


def to(device: str, parts: Any) -> Any:
    """A Drive or Send with all tensors on a device."""
    values = {f.name: getattr(parts, f.name) for f in fields(parts)}
    return replace(parts, **{k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)})


def assert_same_scan(
    compiled: tuple[ModuleType, str],
    rule: Rule,
    drive: Drive,
    threshold: Tensor,
    send: Send = Send(),  # noqa: B008 (frozen)
    state: tuple[Tensor, ...] | None = None,
    fires: bool = True,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Compare with ``eager``, spikes and states, and return them."""
    module, device = compiled
    state = start(rule, threshold) if state is None else state
    expected, last = eager.scan(rule, drive, threshold, state, send)
    found, left = module.scan(
        rule, to(device, drive), threshold.to(device), tuple(s.to(device) for s in state), to(device, send)
    )
    assert found.dtype == expected.dtype and found.device.type == device
    if fires:
        assert 0 < expected.count_nonzero() < expected.numel()
    assert torch.equal(found.cpu(), expected)
    assert len(left) == len(last)
    for a, b in zip(left, last, strict=True):
        assert torch.equal(a.cpu(), b.expand(a.shape))
    return found, left

"""The tensors of a graph as a module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class Weights(nn.Module):
    """A network's tensors, as buffers: they move with ``to(device)`` and are in the ``state_dict``."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, value in tensors.items():
            # A copy, as one tensor under two names would count as one buffer; laid out as a file would give it back.
            self.register_buffer(name, value.clone(memory_format=torch.contiguous_format))

    def extra_repr(self) -> str:
        tensors = dict(self.named_buffers())
        return f"{sum(t.numel() for t in tensors.values()):,} numbers in {len(tensors)} tensors"


def versions(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Which tensors these are, and how often each was changed in place, as far as that is counted."""
    return [(id(t), 0 if t.is_inference() else t._version) for t in tensors]

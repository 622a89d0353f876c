"""Assertions on values: they hold for the samples that a model is traced with, and are not part of the network.

``torch.export`` knows no values, so a condition on one stops it. What a condition of an assertion (``assert``, or an
``if`` that does nothing but raise) came to on real samples is noted, and told again while the model is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .user_lines import asserting

_ASKED = {
    Tensor.__bool__,
    Tensor.__int__,
    Tensor.__float__,
    Tensor.item,
    Tensor.tolist,
    Tensor.is_nonzero,
    Tensor.equal,
    Tensor.allclose,
    torch.equal,
    torch.allclose,
    torch.is_nonzero,
}
"""What turns tensors into a number of Python's."""


class Assertions(TorchFunctionMode):
    """The numbers that the assertions of a model ask for, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Any] = []
        self.left: Iterator[Any] | None = None

    @contextmanager
    def told_again(self) -> Iterator[None]:
        """Trace the model: each assertion sees what was noted."""
        self.left = iter(self.answers)
        with self:
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._assert:
            self.answers.append(None)
            return None
        if func in _ASKED and asserting(sys._getframe(1), sys.modules[f"{__package__}.trace"].__file__ or ""):
            if self.left is not None:
                for answer in self.left:
                    return answer
            answer = func(*args, **(kwargs or {}))
            self.answers.append(answer)
            return answer
        return func(*args, **(kwargs or {}))

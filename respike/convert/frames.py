"""Calibration data that differ in every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .checks import names
from .data import Told, argument_names
from .errors import ConversionError


@dataclass(frozen=True)
class Frames(Told):
    """Calibration data that differ in every step: each sample is a frame for each timestep, ``(T, ...)``.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> snn = respike.from_torch(model, respike.Frames(torch.rand(64, 8, 4)), timesteps=8)
    >>> snn(torch.rand(5, 8, 4)).shape
    torch.Size([5, 2])

    Attributes:
        data: As for ``respike.from_torch``, inputs ``(N, T, ...)``.
        inputs: Names of the arguments of ``forward`` that move, the others hold still; True: all of real numbers.
    """

    inputs: Sequence[str] | Literal[True] = True

    def __post_init__(self) -> None:
        if self.inputs is not True:
            names("inputs", self.inputs)

    def moving(self, args: tuple[Any, ...], model: nn.Module) -> tuple[Any, ...]:
        """For each value among the arguments of a batch, whether it moves, in the same structure.

        Raises:
            ConversionError: an unknown name.
        """
        known = argument_names(model)
        known += [f"{known[-1] if known else 'input'}[{k}]" for k in range(len(known), len(args))]
        chosen = known if self.inputs is True else names("inputs", self.inputs)
        for name in chosen:
            if name not in known:
                raise ConversionError(f"inputs: forward has no argument {name!r}; it has {', '.join(map(repr, known))}")

        def moves(x: Any) -> bool:
            return isinstance(x, Tensor) and (self.inputs is not True or len(args) == 1 or x.is_floating_point())

        return tuple(
            pytree.tree_map(moves if name in chosen else lambda _: False, x)
            for name, x in zip(known, args, strict=False)
        )

    def shown(self, args: tuple[Any, ...], moving: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the model is shown of a batch: the mean over time of what moves.

        Raises:
            ConversionError: a batch without a time axis.
        """

        def mean(x: Any, moves: bool) -> Any:
            if not moves:
                return x
            if x.dim() < 2 or not x.shape[1]:
                raise ConversionError(f"Frames are (N, T, ...), one frame for each timestep; got {tuple(x.shape)}")
            return x.float().mean(1)

        return pytree.tree_map(mean, args, moving)  # type: ignore[no-any-return]

"""What conversion says when it will not or cannot do as asked."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Refusal:
    """One node that cannot become spiking.

    Attributes:
        where: The node's place in the user's model, say ``features.3 (LSTM)``.
        why: What is in the way.
        todo: What the user can do about it.
    """

    where: str
    why: str
    todo: str


class ConversionError(InputError):
    """The network cannot be converted as it is. Nothing was converted, and the model is unchanged.

    >>> model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2))
    >>> try:
    ...     respike.from_torch(model, torch.rand(8, 4), neuron="iaf")  # whose spikes have one sign
    ... except respike.ConversionError as error:
    ...     print(error.refusals[0].where)
    3 (GELU)

    Attributes:
        refusals: Every node in the way, each with its name, the reason and what to do; empty when the
            whole network, the data or an option is at fault.
    """

    def __init__(self, message: str, refusals: Sequence[Refusal] = ()) -> None:
        self.refusals = tuple(refusals)
        groups: dict[tuple[str, str], list[str]] = {}
        for refusal in self.refusals:
            groups.setdefault((refusal.why, refusal.todo), []).append(refusal.where)
        lines = [
            f"  {why}:\n    {', '.join(dict.fromkeys(places))}\n    -> {todo}" for (why, todo), places in groups.items()
        ]
        super().__init__("\n".join([message, *lines]))


class ConversionWarning(UserWarning):
    """A conversion that works but that you should check, for example because a layer never fires."""


def warn(message: str) -> None:
    """A ``ConversionWarning`` at the user's line: the nearest one that is not respike's or one of its libraries'.

    Of several processes the first one warns.
    """
    from ..ranks import speaks  # torch is slow to import, and help need not wait for it

    if not speaks():
        return
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _OURS.match(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, ConversionWarning, stacklevel=level)


_OURS = re.compile(r"(respike|torch|contextlib)(\.|$)")


class FormatError(ConversionError):
    """A file that is not a network that can be loaded, or a network that cannot be saved."""

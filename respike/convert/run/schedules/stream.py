"""A simulation that goes on from call to call."""

from __future__ import annotations

from collections.abc import Mapping

from ....errors import InputError
from ..arithmetic import Arithmetic
from ..neurons import SpikingReLU
from ..recording import Recorder
from .synchronous import Synchronous


class Stream:
    """The state that the last call left, and what it belongs to.

    Args:
        neurons: By node name.
        batch: Samples that it began with.
        precision: Of the network when it began.
    """

    def __init__(self, neurons: Mapping[str, SpikingReLU], batch: int, precision: str) -> None:
        self.mode, self.of = Synchronous(neurons), (f"{batch} samples", precision)

    def go_on(self, batch: int, precision: str, recorder: Recorder | None, arithmetic: Arithmetic) -> Synchronous:
        """The mode that goes on.

        Raises:
            ValueError: with another batch size or precision.
        """
        for held, given in zip(self.of, (f"{batch} samples", precision), strict=True):
            if held != given:
                raise InputError(f"the stream holds {held} and got {given}; call reset() between streams")
        self.mode.recorder, self.mode.arithmetic = recorder, arithmetic
        return self.mode

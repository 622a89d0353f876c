"""How close a network came to the ANN when it was converted, and what to try if that is not close."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..text import shown
from . import checks
from .errors import warn
from .options import MSE, NeuronName, NeuronOptions, Options
from .run.arithmetic import holds

AGREEMENT = 0.9
"""Share of decisions below which a network has lost answers."""
ERROR = 0.3
"""Relative error above which outputs are far from the ANN's."""
Z = 1.959964
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Closeness:
    """How close a network came to the ANN when it was converted, on samples that were held back from calibration.

    Attributes:
        agreement: Share of decisions in which SNN and ANN agree; None where decisions say nothing: of several outputs,
            of numbers that are no scores, and where one answer alone would agree on nine samples in ten.
        error: Relative error of the outputs, see ``output_judging``; None for class numbers, for outputs that are the
            same for all samples, or not finite, and from fewer than 8 samples.
        samples: How many samples judged it.
        timesteps: T of the run.
        output: Of several outputs, the place of the one with the largest error, which is ``error``.

    Raises:
        ConversionError: a value out of range, or neither agreement nor error.
    """

    agreement: float | None
    error: float | None
    samples: int
    timesteps: int
    output: str | None = None

    def __post_init__(self) -> None:
        checks.whole("samples", self.samples, 1, 2**31 - 1)
        checks.whole("timesteps", self.timesteps, 1, checks.STEPS)
        if self.agreement is not None or self.error is None:
            checks.number("agreement", self.agreement, " from 0 to 1", low=0, most=1)
        if self.error is not None:
            checks.number("error", self.error, ", 0 or more", low=0)

    @property
    def by(self) -> Literal["decision", "error"]:
        """What counts: decisions wherever they say something, else errors."""
        return "error" if self.agreement is None else "decision"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between which shares the agreement on all samples lies with a probability of 95 %; None without one.

        Wilson's score interval (Wilson, JASA 1927).
        """
        if self.agreement is None:
            return None
        p, n, z2 = self.agreement, self.samples, Z**2
        half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
        low, high = ((p + z2 / (2 * n) + side * half) / (1 + z2 / n) for side in (-1, 1))
        return max(0.0, low), min(1.0, high)

    @property
    def poor(self) -> bool:
        """Whether answers were lost: the whole interval of the agreement is below 90 %, or the error is above 30 %."""
        if self.interval is not None:
            return self.interval[1] < AGREEMENT
        return self.error is not None and self.error > ERROR

    def __str__(self) -> str:
        samples = f"{self.samples} samples that did not calibrate it"
        error = "" if self.error is None else f"relative error {100 * self.error:.1f} %"
        if self.agreement is not None:
            found = f"decided as the ANN on {100 * self.agreement:.1f} % of {samples}"
            return f"{found}, {error}" if error else found
        return f"{error}{'' if self.output is None else f' of {shown(self.output)}'} on {samples}"

    def as_dict(self) -> dict[str, Any]:
        """All of it, in what JSON can hold."""
        return {**asdict(self), "by": self.by, "poor": self.poor}


def warn_if_poor(closeness: Closeness, options: Options, moves: bool = False) -> None:
    """Say that a network is far from the ANN, and what to try, in the order in which it is likely to help.

    Args:
        closeness: How close it came.
        options: How it was converted.
        moves: Whether each timestep takes a frame.
    """
    if not closeness.poor:
        return
    held = f"on {closeness.samples} calibration samples that were held back"
    if closeness.agreement is not None:
        found = f"{held} it decides as the ANN on {100 * closeness.agreement:.1f} %"
    else:
        named = "its outputs have" if closeness.output is None else f"{shown(closeness.output)} has"
        found = f"{held} {named} a relative error of {100 * (closeness.error or 0):.1f} %"
    *rest, last = remedies(options, moves)
    tries = f"{', '.join(rest)} or {last}" if rest else last
    warn(f"this network is far from the ANN: {found}. Try {tries}; respike.diagnose shows which layer is at fault")


def remedies(options: Options, moves: bool = False) -> list[str]:
    """What to convert with instead, as users write it: more timesteps, other neurons, other repairs.

    Where nothing is left to change but T, that is all.
    """
    own, found = options.neurons, []
    if options.timesteps < checks.STEPS:
        more = f"timesteps={min(2 * options.timesteps, checks.STEPS)}"
        found.append(f"{more} with as many frames a sample" if moves else more)
    better: list[NeuronName] = []
    if own.neuron != "multi_threshold":
        if own.max_spikes == 1 and holds(options.precision, NeuronOptions("multi_threshold")):
            better.append("multi_threshold")
        if own.neuron != "signed" and options.schedule != "layerwise":  # in which there is nothing to take back
            better.append("signed")
    found += [f"neuron={name!r}" for name in better]
    if not isinstance(options.threshold, MSE):
        found.append("threshold='mse'")
    if options.correction != "ridge":
        found.append("correction='ridge'")
    return found or ["more samples to calibrate with"]

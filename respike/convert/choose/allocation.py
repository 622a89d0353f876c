"""Which layers were given more spikes a step, and what that costs."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """One spiking layer.

    Attributes:
        where: Its place in the user's model.
        max_spikes: Most spikes per timestep.
        spikes: Spikes per sample.
        plain_spikes: Spikes per sample in the plain network.
    """

    where: str
    max_spikes: int
    spikes: float
    plain_spikes: float


@dataclass(frozen=True)
class Allocation:
    """How the spikes of a network were allocated, held against the plain network: same T, code and options.

    Attributes:
        budget: Times the synaptic operations of the plain network that were allowed.
        synops: Synaptic operations per sample.
        plain_synops: Those of the plain network.
        error: Mean squared error of the output, before any head, in units of the ANN's variance.
        plain_error: That of the plain network.
        samples: How many calibration samples these were measured on.
        layers: In the order of the network.
    """

    budget: float
    synops: float
    plain_synops: float
    error: float
    plain_error: float
    samples: int
    layers: tuple[Share, ...]

    @property
    def ratio(self) -> float:
        """Times the synaptic operations of the plain network that this one takes."""
        return self.synops / self.plain_synops if self.plain_synops else 1.0

    @property
    def reason(self) -> str:
        """What was spent and what it brought, in a sentence."""
        cost = f"{self.ratio:.2f} times the SynOps of the plain network, for a budget of {self.budget:g}"
        if self.synops == self.plain_synops:
            gain = "no layer is worth more spikes within it"
        else:
            gain = (
                f"the output's mean squared error is {100 * self.error:.2g} % of its variance instead of "
                f"{100 * self.plain_error:.2g} %"
            )
        return f"{cost}; {gain}, on {self.samples:,} calibration samples"

    def __str__(self) -> str:
        rows = [("layer", "max spikes", "spikes", "plain")]
        rows += [(s.where, str(s.max_spikes), f"{s.spikes:,.0f}", f"{s.plain_spikes:,.0f}") for s in self.layers]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            "  ".join([name.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True))])
            for name, *numbers in rows
        ]
        return "\n".join([*lines, textwrap.fill(self.reason, 110)])

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        return {**asdict(self), "ratio": self.ratio, "reason": self.reason}

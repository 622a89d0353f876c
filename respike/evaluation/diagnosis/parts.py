"""The error of a layer, cause by cause: each is the difference that switching it off makes.

From what a layer sends, r, to what the ANN has, a, one cause after another is switched off:

    r  →  r_even  →  clip(z + b)  →  relu(z + b)  →  relu(z_own)  →  a

- r_even: the same neurons on an even current with the mean z that really arrived. What changes is *unevenness*.
- clip: without levels, as for T → ∞: between 0, or the lowest rate of neurons that follow either sign, and the highest.
  What changes is *quantisation* (and what a leak takes in spite of its compensation).
- relu: without a highest rate. What changes is *clipping*.
- z_own: what the ANN's own weights make of what the layers before really send. What changes is the *correction*:
  weights, bias b and V_0, which calibration chose, or somebody changed.
- a: what is left is *propagated*: the error of the layers before.

The differences add up to r − a. V_0 counts as the constant current (V_0 − ½ spike)/T, as half a spike is what makes a
count the rounded one (Bu et al., "Optimal ANN-SNN conversion", ICLR 2022).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...convert.run.neurons import SpikingReLU
from .result import Part

PARTS = ("propagated", "correction", "clipping", "quantisation", "unevenness")
BINS = 20


def constant(neuron: SpikingReLU, timesteps: int) -> Tensor:
    """The constant current that bias and V_0 are worth over T steps, of the threshold's shape."""
    rest = (neuron.start - 0.5) * neuron.threshold * neuron.options.finest / timesteps
    return neuron.bias + rest


def highest(neuron: SpikingReLU) -> Tensor:
    """The highest output: most spikes in every step."""
    return neuron.threshold * neuron.options.max_spikes


def causes(
    neuron: SpikingReLU, timesteps: int, sent: Tensor, arrived: Tensor, own: Tensor, ann: Tensor
) -> tuple[Tensor, ...]:
    """The error of what is sent, in the order of ``PARTS``.

    Args:
        neuron: The layer.
        timesteps: T.
        sent: Mean over time of what it sends, ``(N, ...)``, in the ANN's units.
        arrived: Mean over time of the current that arrived.
        own: What the ANN's weights make of what the layers before send.
        ann: The ANN's current.
    """
    steps = torch.tensor(float(timesteps), device=arrived.device)
    even = neuron.count(arrived + neuron.bias, steps) * neuron.threshold / timesteps
    current = arrived + constant(neuron, timesteps)
    most = highest(neuron)
    clipped = torch.minimum(torch.maximum(current, -most if neuron.two_sided else torch.zeros_like(most)), most)
    reached, wanted, a = (neuron.ann(x) for x in (current, own, ann))
    return wanted - a, reached - wanted, clipped - reached, even - clipped, sent - even


class Added(NamedTuple):
    """What a piece of a batch adds to ``Sums``.

    Attributes:
        numbers: Sums over values, in the order of ``NUMBERS``.
        fired: Which neurons have fired.
        active: Which are active in the ANN.
    """

    numbers: Tensor
    fired: Tensor
    active: Tensor


NUMBERS = {"values": 1, "moments": 5, "with_error": len(PARTS), "squares": len(PARTS), "error": 1, "saturated": 1}
"""How many numbers there are of each; the moments of a and r are Σa, Σr, Σa², Σr², Σar. Behind them come ``BINS``."""


class Sums:
    """What is known of a layer after some batches; takes memory for each neuron, not for each sample.

    Args:
        neuron: The layer.
        timesteps: T.
        shape: Of its output, as in ``graph.Node``: axes without a length tell samples apart, the others neurons.
    """

    def __init__(self, neuron: SpikingReLU, timesteps: int, shape: tuple[int | None, ...]) -> None:
        self.neuron, self.timesteps = neuron, timesteps
        self.over = [axis for axis, n in enumerate(shape) if n is None or n < 0]
        self.numbers = torch.zeros(sum(NUMBERS.values()) + BINS, dtype=torch.float64)
        self.fired = self.active = torch.zeros((), dtype=torch.bool)

    def of(self, sent: Tensor, arrived: Tensor, own: Tensor, ann: Tensor) -> Added:
        """What a piece of a batch adds, as for ``causes``."""
        parts = causes(self.neuron, self.timesteps, sent, arrived, own, ann)
        a, r = self.neuron.ann(ann), sent
        error = r - a
        rate = sent.abs() / highest(self.neuron)
        numbers = [
            torch.tensor([float(r.numel())], dtype=torch.float64),
            _sums([a, r, a * a, r * r, a * r]),
            _sums([p * error for p in parts]),
            _sums([p * p for p in parts]),
            _sums([error * error, rate > 1 - 1e-5]),  # a mean of T float32 values
            torch.histc(rate.clamp(max=1).float().cpu(), BINS, 0, 1).double(),
        ]
        fired, active = (sent != 0).amax(self.over).cpu(), (a != 0).amax(self.over).cpu()
        return Added(torch.cat(numbers), fired, active)

    def add(self, piece: Added) -> None:
        """Add it; pieces come in the order of the samples."""
        self.numbers = self.numbers + piece.numbers
        self.fired, self.active = self.fired | piece.fired, self.active | piece.active

    def _of(self, name: str) -> Tensor:
        start = sum(count for other, count in NUMBERS.items() if list(NUMBERS).index(other) < list(NUMBERS).index(name))
        return self.numbers[start : start + NUMBERS[name]]

    @property
    def values(self) -> int:
        """How many values there were."""
        return int(self._of("values"))

    @property
    def error(self) -> float:
        """The sum of squared errors."""
        return float(self._of("error"))

    @property
    def saturated(self) -> float:
        """Values at the highest rate."""
        return float(self._of("saturated"))

    @property
    def rates(self) -> Tensor:
        """Values by rate, ``(BINS,)``."""
        return self.numbers[-BINS:]

    @property
    def parts(self) -> dict[str, Part]:
        """Each cause."""
        shares = self._of("with_error") / self.error if self.error else self._of("with_error")
        sizes = (self._of("squares") / self.values).sqrt()
        return {name: Part(rms, share) for name, rms, share in zip(PARTS, sizes.tolist(), shares.tolist(), strict=True)}

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean squares of error and ANN's output."""
        return math.sqrt(self.error / self.values), math.sqrt(float(self._of("moments")[2]) / self.values)

    @property
    def pearson(self) -> float | None:
        """Correlation of what SNN and ANN give; None if one of them is constant."""
        a, r, aa, rr, ar = self._of("moments").tolist()
        n = self.values
        spread = (n * aa - a * a) * (n * rr - r * r)
        return (n * ar - a * r) / math.sqrt(spread) if spread > 0 else None

    @property
    def silent(self) -> float:
        """Share of neurons that never fire."""
        return float((~self.fired).double().mean())

    @property
    def dead(self) -> float:
        """Of the neurons that are active in the ANN, the share that never fire."""
        return float((self.active & ~self.fired).sum()) / max(int(self.active.sum()), 1)


def _sums(values: list[Tensor]) -> Tensor:
    return torch.stack([x.sum(dtype=torch.float64) for x in values]).cpu()

"""The error of a layer, cause by cause: each is the difference that switching it off makes.

From what a layer sends, r, to what the ANN has, a, one cause after another is switched off:

    r  →  r_even  →  clip(z + b)  →  relu(z + b)  →  relu(z_own)  →  a

- r_even: the same neurons on an even current with the mean z that really arrived. What changes is *unevenness*.
- clip: without levels, as for T → ∞: between 0 and the highest rate. What changes is *quantisation* (and what a leak
  takes in spite of its compensation).
- relu: without a highest rate. What changes is *clipping*.
- z_own: what the ANN's own weights make of what the layers before really send. What changes is the *correction*:
  weights, bias b and V_0, which calibration chose, or somebody changed.
- a: what is left is *propagated*: the error of the layers before.

The differences add up to r − a. V_0 counts as the constant current (V_0 − ½ spike)/T, as half a spike is what makes a
count the rounded one (Bu et al., "Optimal ANN-SNN conversion", ICLR 2022).
"""

from __future__ import annotations

import math

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
    clipped = torch.minimum(current.clamp(min=0), highest(neuron))
    reached, wanted, a = (neuron.ann(x) for x in (current, own, ann))
    return wanted - a, reached - wanted, clipped - reached, even - clipped, sent - even


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
        self.values = 0
        self.moments = torch.zeros(5, dtype=torch.float64)  # of a and r: Σa, Σr, Σa², Σr², Σar
        self.with_error = torch.zeros(len(PARTS), dtype=torch.float64)
        self.squares = torch.zeros(len(PARTS), dtype=torch.float64)
        self.error = self.saturated = 0.0
        self.rates = torch.zeros(BINS, dtype=torch.float64)
        self.fired = self.active = torch.zeros((), dtype=torch.bool)

    def add(self, sent: Tensor, arrived: Tensor, own: Tensor, ann: Tensor) -> None:
        """A batch, as for ``causes``."""
        parts = causes(self.neuron, self.timesteps, sent, arrived, own, ann)
        a, r = self.neuron.ann(ann), sent
        error = r - a
        self.values += r.numel()
        self.moments += _sums([a, r, a * a, r * r, a * r])
        self.with_error += _sums([p * error for p in parts])
        self.squares += _sums([p * p for p in parts])
        self.error += float((error * error).sum(dtype=torch.float64))
        rate = sent / highest(self.neuron)
        self.saturated += float((rate > 1 - 1e-5).sum())  # a mean of T float32 values
        self.rates += torch.histc(rate.float().cpu(), BINS, 0, 1)
        self.fired = self.fired | (sent != 0).amax(self.over).cpu()
        self.active = self.active | (ann > 0).amax(self.over).cpu()

    @property
    def parts(self) -> dict[str, Part]:
        """Each cause."""
        shares = self.with_error / self.error if self.error else self.with_error
        sizes = (self.squares / self.values).sqrt()
        return {name: Part(rms, share) for name, rms, share in zip(PARTS, sizes.tolist(), shares.tolist(), strict=True)}

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean squares of error and ANN's output."""
        return math.sqrt(self.error / self.values), math.sqrt(float(self.moments[2]) / self.values)

    @property
    def pearson(self) -> float | None:
        """Correlation of what SNN and ANN give; None if one of them is constant."""
        a, r, aa, rr, ar = self.moments.tolist()
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

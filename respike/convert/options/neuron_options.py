"""Which neuron stands in for a ReLU."""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from ..errors import ConversionError
from .values import NeuronName, Value, levels_field, one_of, option, tau_mem_field, whole


@dataclass(frozen=True)
class NeuronOptions(Value):
    """Which neuron stands in for a ReLU, with all that it can be asked.

    Attributes:
        neuron: ``"iaf"``; ``"lif"`` with leak compensation; ``"signed"``, which can take spikes back; or
            ``"multi_threshold"``, whose spikes have one of ``levels`` weights and either sign.
        max_spikes: Most spikes per timestep; 1 is binary.
        tau_mem: Membrane time constant of ``"lif"``, in timesteps.
        levels: Weights θ, θ/2, ... of a spike of ``"multi_threshold"``.
        floor: Lower bound of the potential, in units of θ, as ``SpikingNetwork.with_floor`` sets it; None without one.
    """

    neuron: NeuronName = option(
        "iaf",
        one_of(NeuronName),
        "What takes a ReLU's place; auto is iaf (multi_threshold for smooth activations and products), with -T auto "
        "all but lif are tried.",
    )
    max_spikes: int = option(1, whole(1, checks.STEPS), "Most spikes of a neuron in one timestep.")
    tau_mem: float = tau_mem_field()
    levels: int = levels_field()
    floor: float | None = option(
        None,
        lambda name, x: None if x is None else checks.number(name, x, ", 0 or less (thresholds), or None", most=0),
        "Lower bound of the potential, in thresholds.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neuron == "multi_threshold" and self.max_spikes != 1:
            raise ConversionError("a multi_threshold neuron sends one spike a step; leave max_spikes at 1")

    @property
    def takes_back(self) -> bool:
        """Whether spikes can be negative."""
        return self.neuron in ("signed", "multi_threshold")

    @property
    def finest(self) -> float:
        """The smallest weight of a spike, in units of θ."""
        return 0.5 ** (self.levels - 1) if self.neuron == "multi_threshold" else 1.0

    @property
    def values_per_step(self) -> int:
        """How many values one step can send."""
        if self.neuron == "multi_threshold":
            return 2 * self.levels + 1
        return self.max_spikes * (2 if self.takes_back else 1) + 1

"""What rules judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..convert.network import SpikingNetwork
from ..convert.run.neurons import SpikingReLU
from .layers import Layer, Layout
from .result import Rule
from .targets import Target
from .whole_numbers import Whole

GIVE_SAMPLES = "give samples to run, for example those that calibrated it"
"""What closes a rule that is open."""


@dataclass(frozen=True)
class Subject:
    """A network and a chip.

    Attributes:
        snn: In whole numbers, if it could be.
        layout: The same network as a chip sees it.
        target: The chip.
        whole: Each layer in whole numbers, by name; None for a layer without one unit.
        samples: Inputs; None if there are none.
        ranges: Least and largest potentials, in thresholds, by the neurons' name; None if they are not known.
        unknown: Why not.
    """

    snn: SpikingNetwork
    layout: Layout
    target: Target
    whole: dict[str, Whole | None]
    samples: list[Tensor] | None = None
    ranges: dict[str, tuple[float, float]] | None = None
    unknown: str = ""

    def neuron(self, layer: Layer) -> SpikingReLU | None:
        """The neurons of a layer; None behind a readout."""
        return None if layer.neurons is None else self.snn.layers()[layer.neurons.name]

    def each(
        self,
        name: str,
        limit: str,
        judge: Callable[[Layer], tuple[str, bool | None] | None],
        remedy: str,
        source: str = "",
    ) -> list[Rule]:
        """A rule for each layer that it concerns, or one that passes because it concerns none.

        Args:
            name: Of the rule.
            limit: In words.
            judge: What a layer has and whether it passes; None if the rule does not concern it.
            remedy: What to change where it does not.
            source: Name of the limit in the target's table.
        """
        origin = self.target.sources.get(source, "")
        found = []
        for layer in self.layout.layers:
            judged = judge(layer)
            if judged is not None:
                text, passed = judged
                found.append(Rule(name, layer.where, text, limit, passed, "" if passed else remedy, origin))
        return found or [Rule(name, "", "none", limit, True, source=origin)]

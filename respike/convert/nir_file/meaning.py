"""What an IF node of a NIR file means: NIR leaves reset, spikes a step and the lower bound of V to its readers."""

from __future__ import annotations

from typing import Literal, get_args

from .. import checks
from ..errors import ConversionError
from ..options import NeuronOptions

Reset = Literal["subtract", "zero"]
Spikes = Literal["single", "multiple"]


def neuron_options(reset: str, spikes: str, floor: float | None) -> NeuronOptions:
    """The neurons of respike that do what IF nodes do by these words.

    Raises:
        ConversionError: an unknown word, or neurons that the engine does not have.
    """
    checks.one_of("reset", reset, get_args(Reset))
    checks.one_of("spikes", spikes, get_args(Spikes))
    if reset == "zero":
        raise ConversionError(
            "reset='zero' (hard reset) is not supported: what exceeds the threshold is lost there, so that spike "
            "counts do not follow the current. Train or convert the network for soft reset (reset='subtract')"
        )
    return NeuronOptions("iaf", 1 if spikes == "single" else checks.STEPS, floor=floor)


def neuron_refusal(options: NeuronOptions) -> tuple[str, str]:
    """Why neurons are no IF nodes of the meaning that respike writes, and what to do; empty if they are."""
    if options.neuron != "iaf":
        return f"has {options.neuron} neurons, which NIR does not have", "convert with neuron='iaf'"
    if options.max_spikes != 1:
        return (
            f"sends up to {options.max_spikes} spikes a step, and readers of NIR take an IF node for one a step",
            "convert with max_spikes=1",
        )
    if options.floor is not None:
        return "has a lower bound of the potential, which NIR has no field for", "snn.with_floor(None) takes it away"
    return "", ""

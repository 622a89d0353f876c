"""What potentials really reach while samples run."""

from __future__ import annotations

from torch import Tensor, nn

from ..convert.caller_state import Inference
from ..convert.export.module import ORIGIN
from ..convert.network import SpikingNetwork
from ..convert.run.moving_inputs import over_time
from ..layers import RateNeuron, reset_states

_BATCH = 16


@Inference()
def reached(snn: SpikingNetwork, samples: list[Tensor]) -> dict[str, tuple[float, float]]:
    """The least and the largest potential of each layer of neurons, in thresholds, by node name.

    The least is that after a step, the largest that before its spikes are taken off.

    Args:
        snn: Synchronous.
        samples: The inputs ``(N, ...)``, each given in all ``snn.timesteps`` steps; ``(N, T, ...)`` where they move.

    Raises:
        ConversionError: the network has no form as a module.
    """
    module = snn.to_module()
    layers = {name: _recorded(module.get_submodule(place)) for name, place in module.meta[ORIGIN]["neurons"].items()}
    found = {name: (float("inf"), float("-inf")) for name in layers}
    for part in zip(*(x.split(_BATCH) for x in samples), strict=True):
        reset_states(module)
        module(*over_time(snn.graph, list(part), snn.timesteps))
        for name, (layer, sent) in layers.items():
            units = layer.recordings["v_mem"] / layer.spike_threshold
            lowest, highest = float(units.min()), float((units + sent[-1]).max())
            found[name] = min(found[name][0], lowest), max(found[name][1], highest)
    return found


def _recorded(layer: nn.Module) -> tuple[RateNeuron, list[Tensor]]:
    """A layer that records its potentials, and where the spikes that it sends are noted."""
    assert isinstance(layer, RateNeuron)
    sent: list[Tensor] = []
    layer.record_states = True
    layer.spikes.register_forward_hook(lambda _, given, out: sent.__setitem__(slice(None), [out]))
    return layer, sent


@Inference()
def most_events(snn: SpikingNetwork, samples: list[Tensor]) -> int | None:
    """The most events in a step of an input, encoded or as it is given; None if it is no number of events, 0, 1, ..."""
    most = 0
    for part in zip(*(x.split(_BATCH) for x in samples), strict=True):
        for x in over_time(snn.graph, list(part), snn.timesteps):
            if not bool(((x >= 0) & (x == x.round())).all()):
                return None
            most = max(most, int(x.max()))
    return most

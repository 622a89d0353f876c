"""A spiking network as a NIR file."""

from __future__ import annotations

import os
from dataclasses import replace

from .. import checks
from ..errors import ConversionError, Refusal
from ..graph import Ref
from ..nir_file.contents import FORMAT, NirFile, Value
from ..nir_file.meaning import neuron_refusal
from ..nir_file.write import write
from ..run.simulator import Simulator
from ..variants.normalised import normalise_thresholds
from .nir_lowering import Lowering


def to_nir(snn: Simulator, path: str | os.PathLike[str]) -> None:
    """See ``SpikingNetwork.to_nir``."""
    checks.path("path", path)
    write(nir_of(snn), path)


def nir_of(snn: Simulator) -> NirFile:
    """The network as a NIR graph: unit thresholds, one node for each layer, the output in the ANN's units.

    Raises:
        ConversionError: all that NIR cannot say.
    """
    refused = _settings(snn)
    graph, neurons = normalise_thresholds(snn.held_graph(), snn.layers())
    lowering = Lowering(graph, neurons)
    refused += lowering.run()
    if refused:
        raise ConversionError("this network has parts that NIR, or its readers, cannot say:", refused)
    file = lowering.writing.finish()
    return replace(file, metadata=_metadata(snn))


def _settings(snn: Simulator) -> list[Refusal]:
    found = []
    if snn.schedule != "synchronous":
        found.append(
            Refusal(
                "the network",
                f"has the schedule {snn.schedule!r}, and in NIR all nodes run at once",
                "convert with schedule='synchronous'",
            )
        )
    if snn.precision != "float32":
        found.append(
            Refusal(
                "the network",
                f"computes in {snn.precision}, which NIR does not know",
                "set snn.precision = 'float32'; snn.quantised(8) has whole-number weights that all readers keep",
            )
        )
    if len(snn.graph.inputs) != 1 or len(snn.graph.outputs) != 1 or not isinstance(snn.graph.outputs[0], Ref):
        found.append(
            Refusal(
                "the network",
                f"has {len(snn.graph.inputs)} inputs and {len(snn.graph.outputs)} outputs; readers take one of each",
                "convert a model with one input and one output",
            )
        )
    for neuron in snn.layers().values():
        why, todo = neuron_refusal(neuron.options)
        if why:
            found.append(Refusal(neuron.where, why, todo))
    return found


def _metadata(snn: Simulator) -> dict[str, Value]:
    return {
        "respike_format": FORMAT,
        "timesteps": snn.timesteps,
        "calibrated_timesteps": snn.calibrated_timesteps,
        "fitted": int(snn.fitted),
        "reset": "subtract",
        "spikes": "single",
        "fires": "v >= v_threshold, then v is lowered by v_threshold",
        "start": "v_0 in the metadata of each IF node",
        "decoding": "the mean of the output over the timesteps is the estimate of the ANN's output",
    }

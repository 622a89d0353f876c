"""Rules about how a network is run: neurons, schedule, input and output."""

from __future__ import annotations

from .layers import INPUT, Layer
from .potentials import most_events
from .result import Rule
from .subject import GIVE_SAMPLES, Subject


def neurons(subject: Subject) -> list[Rule]:
    """Codes that cores have."""
    allowed = subject.target.neurons

    def judge(layer: Layer) -> tuple[str, bool] | None:
        neuron = subject.neuron(layer)
        if neuron is None:
            return None
        options = neuron.options
        most = "" if options.max_spikes == 1 else f", up to {options.max_spikes} spikes a step"
        return options.neuron + most, options.neuron in allowed

    remedy = "convert with neuron='iaf': spikes of one sign and one weight, no exponential leak"
    return subject.each("neurons", ", ".join(allowed), judge, remedy, "neurons")


def schedule(subject: Subject) -> list[Rule]:
    """All layers at once, as a chip runs."""
    passed = subject.snn.schedule == "synchronous"
    remedy = "" if passed else "convert with schedule='synchronous'"
    return [Rule("schedule", "", subject.snn.schedule, "synchronous", passed, remedy)]


def events(subject: Subject) -> list[Rule]:
    """What comes to the chip is events."""
    readers = [layer.where for layer in subject.layout.layers if INPUT in layer.sources]
    limit = "events"
    if not readers:
        places = ", ".join(node.where for node in subject.layout.encoders)
        found = f"events of the neurons {places}, which the host runs" if places else "read by no layer"
        return [Rule("input", "", found, limit, True)]
    remedy = (
        "let neurons turn the input into events: convert nn.Sequential(nn.ReLU(), model), whose first neurons the host "
        "runs; or give numbers of events as the input, as respike.Encoded does"
    )
    ways = [way for layer in subject.layout.layers for synapses in layer.synapses for way in synapses.ways]
    if any(way.prepared for way in ways):
        return [Rule("input", readers[0], "numbers that are computed from the input", limit, False, remedy)]
    if subject.samples is None:
        return [Rule("input", readers[0], "not known without samples", limit, None, GIVE_SAMPLES)]
    most = most_events(subject.snn, subject.samples)
    if most is not None:
        return [Rule("input", readers[0], f"up to {most} events of a pixel in each step", limit, True)]
    return [Rule("input", readers[0], "real numbers, the same in each step", limit, False, remedy)]


def readout(subject: Subject) -> list[Rule]:
    """What comes from the chip is events."""
    if subject.layout.spiking_output:
        return [Rule("readout", "", "spikes of the last neurons, counted", "spikes", True)]
    places = [layer.where for layer in subject.layout.layers if layer.neurons is None]
    remedy = (
        "convert nn.Sequential(model, nn.ReLU()), whose output neurons are counted (negative outputs become 0); or "
        "leave the last layer to the host, which reads the spikes before it"
    )
    found = "currents, without neurons to turn them into spikes"
    return [Rule("readout", ", ".join(places), found, "spikes", False, remedy)]

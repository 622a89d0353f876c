"""Rules about the memory of cores."""

from __future__ import annotations

from collections.abc import Sequence

from .cores import Memory, fitting, memory_of, placed
from .layers import Layer
from .result import CoreUse, Rule
from .subject import Subject


def memories(subject: Subject) -> dict[str, Memory]:
    """What each layer takes, by name."""
    return {layer.name: memory_of(layer.main, _biased(subject, layer)) for layer in subject.layout.layers}


def _biased(subject: Subject, layer: Layer) -> bool:
    neuron = subject.neuron(layer)
    own = neuron is not None and bool(neuron.bias.any())
    return own or any(synapses.bias is not None and bool(synapses.bias.any()) for synapses in layer.synapses)


def uses(subject: Subject) -> list[CoreUse]:
    """Which core holds which layer."""
    needed = memories(subject)
    cores = placed([fitting(needed[layer.name], subject.target) for layer in subject.layout.layers])
    found = []
    for layer, core in zip(subject.layout.layers, cores, strict=True):
        memory = needed[layer.name]
        found.append(CoreUse(layer.where, memory.kernel, memory.neurons, memory.biases, core))
    return found


def kernel_memory(subject: Subject) -> list[Rule]:
    """Words for weights."""
    remedy = "use fewer channels or a smaller kernel; sides and channels count as the next power of two"
    return _words(subject, "kernel", subject.target.kernel_memory, remedy)


def neuron_memory(subject: Subject) -> list[Rule]:
    """Words for potentials."""
    remedy = "use fewer channels or a smaller map; height and width count as the next power of two"
    return _words(subject, "neuron", subject.target.neuron_memory, remedy)


def bias_memory(subject: Subject) -> list[Rule]:
    """Words for constant currents, one for each channel."""
    return _words(subject, "bias", subject.target.bias_memory, "use fewer channels")


def _words(subject: Subject, kind: str, have: Sequence[int], remedy: str) -> list[Rule]:
    """That no layer needs more of a memory than the core with most of it has."""
    needed, most = memories(subject), max(have)

    def judge(layer: Layer) -> tuple[str, bool]:
        memory = needed[layer.name]
        words = {"kernel": memory.kernel, "neuron": memory.neurons, "bias": memory.biases}[kind]
        spread = " (groups spread to a dense kernel)" if kind == "kernel" and layer.main.groups > 1 else ""
        return f"{words:,} words{spread}", words <= most

    return subject.each(f"{kind} memory", f"{most:,} words", judge, remedy, f"{kind}_memory")


def cores(subject: Subject) -> list[Rule]:
    """Each layer in a core of its own that holds it."""
    found = uses(subject)
    left = [use.layer for use in found if use.core is None]
    limit = f"{subject.target.cores} cores, each with memory of its own"
    text = f"{len(found)} layers"
    if not left:
        return [Rule("cores", "", text, limit, True, source=subject.target.sources["kernel_memory"])]
    needed = memories(subject)
    alone = [layer.where for layer in subject.layout.layers if not fitting(needed[layer.name], subject.target)]
    if len(found) > subject.target.cores:
        remedy = "use fewer layers"
    elif alone:
        remedy = f"make {', '.join(alone)} smaller: no core has both its kernel memory and its neuron memory"
    else:
        remedy = "make some of these smaller: each fits a core, but several need the same ones"
    text += f", no core left for {', '.join(left)}"
    return [Rule("cores", "", text, limit, False, remedy, subject.target.sources["kernel_memory"])]

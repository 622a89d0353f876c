"""Which core holds which layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .layers import Synapses
from .targets import Target


@dataclass(frozen=True)
class Memory:
    """Words that a layer takes.

    Attributes:
        kernel: For weights.
        neurons: For potentials.
        biases: For biases.
    """

    kernel: int
    neurons: int
    biases: int


def memory_of(synapses: Synapses, biased: bool) -> Memory:
    """What a layer takes in a core, whose addresses round the sides of what they count up to powers of two.

    Kernel: c · 2^(⌈log₂(k_x·k_y)⌉ + ⌈log₂ f⌉) words for c input and f output channels; neurons: f · 2^(⌈log₂ height⌉ +
    ⌈log₂ width⌉); as ``DynapcnnLayer.memory_summary`` of Sinabs has it. Groups are spread to dense kernels.

    Args:
        synapses: Before the neurons.
        biased: Whether neurons get a constant current.
    """
    channels, height, width = synapses.output
    kernel = synapses.shape[0] * _power(synapses.kernel[0] * synapses.kernel[1]) * _power(channels)
    return Memory(kernel, channels * _power(height) * _power(width), channels if biased else 0)


def _power(count: int) -> int:
    """The power of two from ``count`` on."""
    return 1 << max(count - 1, 0).bit_length()


def fitting(memory: Memory, target: Target) -> list[int]:
    """The cores that hold a layer."""
    cores = zip(target.kernel_memory, target.neuron_memory, target.bias_memory, strict=True)
    return [i for i, (k, n, b) in enumerate(cores) if memory.kernel <= k and memory.neurons <= n and memory.biases <= b]


def placed(choices: Sequence[Sequence[int]]) -> list[int | None]:
    """A core for as many layers as possible, each its own; None for those that are left.

    The largest matching of layers and cores, found with augmenting paths: a layer takes a core from another one that
    finds another core for itself.

    Args:
        choices: For each layer the cores that hold it.
    """
    owner: dict[int, int] = {}

    def place(layer: int, asked: set[int]) -> bool:
        for core in choices[layer]:
            if core not in asked:
                asked.add(core)
                if core not in owner or place(owner[core], asked):
                    owner[core] = layer
                    return True
        return False

    for layer in range(len(choices)):
        place(layer, set())
    core_of = {layer: core for core, layer in owner.items()}
    return [core_of.get(layer) for layer in range(len(choices))]

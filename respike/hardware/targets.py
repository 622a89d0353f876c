"""Limits of chips, from the table ``targets.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..convert.checks import one_of


@dataclass(frozen=True)
class Target:
    """What a chip holds.

    Attributes:
        name: Of the table.
        title: Of the chip.
        kernel_memory: Words for weights of each core.
        neuron_memory: Words for potentials of each core.
        bias_memory: Words for biases of each core.
        kernel: Longest side of a kernel.
        strides: Those that there are.
        padding: The most.
        dilation: The most.
        pools: Sides of the sums over space behind neurons that there are.
        channels: The most of a layer.
        input_side: Longest side of the map that a layer reads.
        output_side: Longest side of the map of its neurons.
        destinations: The most layers that read one layer.
        synapses: The most layers of weights before one layer of neurons.
        weight_bits: Of a weight, sign included.
        bias_bits: Of a bias.
        state_bits: Of a potential.
        neurons: Codes that its neurons can have.
        sources: Where each limit is from, by its name.
    """

    name: str
    title: str
    kernel_memory: tuple[int, ...]
    neuron_memory: tuple[int, ...]
    bias_memory: tuple[int, ...]
    kernel: int
    strides: tuple[int, ...]
    padding: int
    dilation: int
    pools: tuple[int, ...]
    channels: int
    input_side: int
    output_side: int
    destinations: int
    synapses: int
    weight_bits: int
    bias_bits: int
    state_bits: int
    neurons: tuple[str, ...]
    sources: dict[str, str]

    @property
    def cores(self) -> int:
        """How many there are."""
        return len(self.kernel_memory)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("targets.toml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """The chips that there is a table of."""
    return [name for name in _table() if name != "sources"]


def target_named(name: str) -> Target:
    """The limits of a chip.

    Raises:
        ConversionError: there is no table of it.
    """
    table = _table()
    found = table[one_of("target", name, names())]
    values = {key: limit["value"] for key, limit in found["limits"].items()}
    sources = {key: table["sources"][limit["source"]] for key, limit in found["limits"].items()}
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Target(name, found["title"], **lists, sources=sources)

"""Rules about whole numbers: weights, biases, thresholds and potentials."""

from __future__ import annotations

import math

from .layers import Layer
from .result import Rule
from .subject import GIVE_SAMPLES, Subject


def _bounds(bits: int) -> tuple[int, int]:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _inside(span: tuple[int, int], bits: int) -> bool:
    low, high = _bounds(bits)
    return low <= span[0] and span[1] <= high


def scales(subject: Subject) -> list[Rule]:
    """One scale for the weights of a layer, in which they have few enough bits, and so one threshold."""
    bits = subject.target.weight_bits

    def judge(layer: Layer) -> tuple[str, bool]:
        whole = subject.whole[layer.name]
        if whole is None:
            return "no one scale in which all are whole", False
        return f"whole numbers from {whole.weights[0]} to {whole.weights[1]}", _inside(whole.weights, bits)

    low, high = _bounds(bits)
    taken = f'snn.quantised({bits}, scale="layer", bias_bits={subject.target.bias_bits})'
    remedy = f"take {taken} of the network that this one was made from"
    return subject.each("weights", f"{low} to {high}, one scale a layer", judge, remedy, "weight_bits")


def biases(subject: Subject) -> list[Rule]:
    """In the unit of the weights."""
    bits = subject.target.bias_bits
    low, high = _bounds(bits)

    def judge(layer: Layer) -> tuple[str, bool] | None:
        whole = subject.whole[layer.name]
        if whole is None or layer.neurons is None:  # the host adds them to what it reads
            return None
        return f"{whole.biases[0]} to {whole.biases[1]}", _inside(whole.biases, bits)

    remedy = f'take snn.quantised({subject.target.weight_bits}, scale="layer", bias_bits={bits}), or correction="none"'
    return subject.each("biases", f"{low} to {high}, in the weights' unit", judge, remedy, "bias_bits")


def thresholds(subject: Subject) -> list[Rule]:
    """In the unit of the weights."""
    bits = subject.target.state_bits
    high = _bounds(bits)[1]

    def judge(layer: Layer) -> tuple[str, bool] | None:
        whole = subject.whole[layer.name]
        return None if whole is None or layer.neurons is None else (f"{whole.threshold:,}", whole.threshold <= high)

    remedy = f'take snn.quantised(..., scale="layer") with fewer than {subject.target.weight_bits} bits'
    return subject.each("thresholds", f"up to {high:,}", judge, remedy, "state_bits")


def potentials(subject: Subject) -> list[Rule]:
    """What they reached on the samples, and what they begin with, in the unit of the weights."""
    bits, ranges = subject.target.state_bits, subject.ranges

    def judge(layer: Layer) -> tuple[str, bool | None] | None:
        whole = subject.whole[layer.name]
        if whole is None or layer.neurons is None:
            return None
        if ranges is None:
            return subject.unknown, None
        low, high = ranges[layer.neurons.name]
        thetas = f"{low:.1f} to {high:.1f} thresholds"
        if not math.isfinite(high - low):
            return thetas, False
        span = round(low * whole.threshold), round(high * whole.threshold)
        return f"{span[0]:,} to {span[1]:,} ({thetas})", _inside(span, bits) and _inside(whole.start, bits)

    low, high = _bounds(bits)
    remedy = (
        "take snn.with_floor(-1), which keeps potentials from sinking further" if ranges is not None else GIVE_SAMPLES
    )
    return subject.each("potentials", f"{low:,} to {high:,}", judge, remedy, "state_bits")

"""From an evaluation's counts to traffic and energy."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...convert.count.arithmetic_work import Work
from ..layer_activity import Curve, LayerActivity
from .cost import QUANTISED, Baseline, Cost, LayerCost, Traffic
from .energy import WEIGHT_BITS, EnergyModel


class Counted(Protocol):
    """What an evaluation has counted, see ``Evaluation``."""

    @property
    def samples(self) -> int: ...
    @property
    def schedule(self) -> str: ...
    @property
    def timesteps(self) -> int: ...
    @property
    def synops(self) -> Curve: ...
    @property
    def layers(self) -> tuple[LayerActivity, ...]: ...
    @property
    def ann_macs(self) -> int: ...
    @property
    def ann_needed_macs(self) -> float | None: ...
    @property
    def input_macs(self) -> float: ...
    @property
    def input_work(self) -> Work: ...
    @property
    def step_work(self) -> Work: ...
    @property
    def ann_work(self) -> Work: ...


def cost_of(result: Counted, model: EnergyModel) -> Cost:
    """What the evaluated network takes, beside its ANN.

    Traffic is what it would be if nothing were kept at hand, for the spiking network and for the ANN alike: a synaptic
    operation fetches a weight, reads a membrane and writes it; an update of a neuron, and an addition of a spike
    without a synapse, reads and writes one; a multiply-accumulate fetches a weight and reads a value; a sum of
    multiply-accumulates is written once (after Lemaire et al., "An analytical estimation of spiking neural networks
    energy efficiency", ICONIP 2022).

    The quantised ANN is that of Yan et al., "Reconsidering the energy efficiency of spiking neural networks"
    (arXiv 2409.08290): T steps of up to n spikes give n·T + 1 values, which ⌈log2(n·T + 1)⌉ bits can hold.

    Args:
        result: What ``respike.evaluate`` returned; with ``ann=``, so that the ANN's zeros were counted.
        model: Energy of each operation.
    """
    clock = np.arange(1, result.timesteps + 1, dtype=np.float64)
    updates = [_updates(layer, clock) for layer in result.layers]
    synapses, neurons, sums = (np.zeros_like(clock) for _ in range(3))
    layers = []
    for layer, updated in zip(result.layers, updates, strict=True):
        own = (layer.synops * _per_synop(layer, model), _neurons(layer, updated, model), layer.direct * model.addition)
        synapses, neurons, sums = synapses + own[0], neurons + own[1], sums + own[2]
        layers.append(LayerCost(layer.name, layer.where, layer.synops, updated, own[0] + own[1] + own[2]))
    parts = {"synapses": synapses, "neurons": neurons, "sums": sums, "analog": _analog(result, clock, model)}
    traffic = _traffic(result, clock, np.sum(updates, axis=0))
    if model.memory is not None:
        parts["memory"] = _memory(traffic, model, model.bits, model.bits)
    return Cost(
        model=model,
        samples=result.samples,
        schedule=result.schedule,
        synops=result.synops,
        updates=np.sum(updates, axis=0),
        traffic=traffic,
        parts=parts,
        layers=tuple(layers),
        baselines=tuple(_baselines(result, model, clock)),
    )


def _updates(layer: LayerActivity, clock: Curve) -> Curve:
    return layer.neurons * clock if layer.kind == "spike" else 0 * clock


def _per_synop(layer: LayerActivity, model: EnergyModel) -> float:
    """One addition, and what it takes to give the weight the spike's size."""
    sizing = {"spike": 0.0, "power of two": model.shift, "value": model.multiplication}
    return model.addition + sizing[layer.carries]


def _neurons(layer: LayerActivity, updates: Curve, model: EnergyModel) -> Curve:
    update = layer.step_additions * model.addition + layer.step_multiplications * model.scaling
    return updates * update + layer.spikes * layer.spike_additions * model.addition


def _beside(work: Work, model: EnergyModel) -> float:
    """What of some work is no multiply-accumulate."""
    return work.additions * model.addition + work.multiplications * model.scaling


def _analog(result: Counted, clock: Curve, model: EnergyModel) -> Curve:
    once = result.input_macs * model.mac + _beside(result.input_work, model)
    step = result.step_work.macs * model.mac + _beside(result.step_work, model)
    return once + step * clock


def _traffic(result: Counted, clock: Curve, updates: Curve) -> Traffic:
    macs = result.input_macs + result.step_work.macs * clock
    membranes = result.synops + updates + np.sum([layer.direct for layer in result.layers], axis=0)
    written = result.input_work.values + result.step_work.values * clock
    return Traffic(weights=result.synops + macs, reads=membranes + macs, writes=membranes + written)


def _memory(traffic: Traffic, model: EnergyModel, weight_bits: int, read_bits: int | Curve) -> Curve:
    """Energy of the traffic; what is accumulated, a membrane or a sum, has 32 bits."""
    assert model.memory is not None
    words = traffic.weights * weight_bits / 32 + traffic.reads * read_bits / 32 + traffic.writes
    found: Curve = words * model.memory
    return found


def _baselines(result: Counted, model: EnergyModel, clock: Curve) -> list[Baseline]:
    work, every = result.ann_work, np.ones_like(clock)
    beside = _beside(work, model)
    if model.bits < 32:  # each sum becomes a value of so many bits again
        beside += work.values * model.scaling

    def plain(name: str, about: str, macs: float) -> Baseline:
        traffic = _of_macs(macs, work, every)
        energy = (macs * model.mac + beside) * every
        if model.memory is not None:
            energy = energy + _memory(traffic, model, model.bits, model.bits)
        return Baseline(name, about, macs, (model.bits * every).astype(int), traffic, energy)

    found = [plain(f"{model.numbers} ANN", "every multiply-accumulate is computed", float(result.ann_macs))]
    if result.ann_needed_macs is not None:
        about = "only multiply-accumulates whose value, an input or an activation, is not zero are computed"
        found.append(plain("zero-skipping ANN", about, result.ann_needed_macs))
    if model.has_integers:
        found.append(_quantised(result, model, clock))
    return found


def _of_macs(macs: float, work: Work, every: Curve) -> Traffic:
    return Traffic(weights=macs * every, reads=macs * every, writes=work.values * every)


def _quantised(result: Counted, model: EnergyModel, clock: Curve) -> Baseline:
    """Weights and input of 8 bits; activations of as many as the spikes of t steps can tell; sums of 32."""
    assert model.int32_addition is not None
    assert model.int32_multiplication is not None
    levels = max(layer.levels for layer in result.layers)
    bits = np.array([(levels * int(t)).bit_length() for t in clock])
    work, first = result.ann_work, result.input_work.macs
    later = result.ann_macs - first
    energy = np.array([later * model.integer_mac(int(b)) for b in bits])
    energy += first * model.integer_mac(WEIGHT_BITS) + work.additions * model.int32_addition
    energy += (work.multiplications + work.values) * model.int32_multiplication
    traffic = _of_macs(float(result.ann_macs), work, np.ones_like(clock))
    if model.memory is not None:
        mean_bits = (later * bits + first * WEIGHT_BITS) / max(result.ann_macs, 1)
        energy += _memory(traffic, model, WEIGHT_BITS, mean_bits)
    about = (
        f"activations have the bits that tell apart the values that spikes have in t steps; weights and input have "
        f"{WEIGHT_BITS}, sums 32, and each sum is scaled to be an activation"
    )
    return Baseline(QUANTISED, about, float(result.ann_macs), bits, traffic, energy)

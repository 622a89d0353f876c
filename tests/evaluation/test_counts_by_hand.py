"""Spikes and synaptic operations of every code under every schedule, against a count of what was sent.

The count is one's own: what each layer sent, in real numbers, is divided by what one of its spikes carries; synapses
are found by sending one spike from one neuron and looking which weights it meets.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import one_in, slow
from torch import Tensor, nn

import respike
from respike.convert.run.neurons import SpikingReLU
from respike.evaluation.result import LayerActivity

T = 5
CODES: dict[str, dict[str, Any]] = {
    "iaf": {},
    "bursts": {"max_spikes": 4},
    "signed": {"neuron": "signed"},
    "graded": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}


class Maxima(nn.Module):
    """Maxima of two layers, over places and over channels; a concatenation; a residual sum."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.c = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)
        self.d, self.e = nn.Conv2d(12, 6, 1, groups=2), nn.Linear(30, 3)
        with torch.no_grad():
            for parameter in self.a.parameters():
                parameter.mul_(scale)

    def forward(self, x: Tensor) -> Tensor:
        a, c = self.a(x).relu(), self.c(x).relu()
        larger = torch.maximum(a, c)
        pools = F.max_pool2d(a, 2), F.max_pool2d(larger, 2)
        b = self.d(torch.cat([*pools, F.avg_pool2d(c, 2)], 1)) + torch.cat([pools[0], pools[1][:, :2]], 1)
        b = b.relu()
        highest = torch.amax(b, (2, 3)) + F.max_pool2d(b, 2).flatten(1)
        return self.e(torch.cat([highest, b.flatten(1)], 1))


NAMES = ("relu", "relu_1", "maximum", "max_pool2d", "max_pool2d_1", "relu_2", "amax", "max_pool2d_2")


def synapses(model: Maxima) -> dict[str, Tensor]:
    """Synapses behind each output, by sending one spike at a time through layers whose weights are 1.

    In double precision: of single precision, NNPACK rounds even whole numbers.
    """

    def met(size: tuple[int, ...], reach: Callable[[Tensor], Tensor], layer: nn.Module) -> Tensor:
        units = torch.eye(int(np.prod(size))).double().reshape(-1, *size)
        ones = {name: torch.full_like(p, name == "weight", dtype=torch.float64) for name, p in layer.named_parameters()}
        found: Tensor = torch.func.functional_call(layer, ones, (reach(units),))
        return found.flatten(1).sum(1).reshape(size)

    def at(channel: int) -> Callable[[Tensor], Tensor]:
        return lambda x: F.pad(x, (0, 0, 0, 0, channel, 8 - channel))

    def averaged(x: Tensor) -> Tensor:
        return at(8)((F.avg_pool2d(x, 2) != 0).double())

    def placed(first: int) -> Callable[[Tensor], Tensor]:
        return lambda x: F.pad(x.flatten(1), (first, 30 - first - x[0].numel()))

    none = torch.zeros(4, 4, 4)
    return {
        "relu": none,
        "relu_1": met((4, 4, 4), averaged, model.d),
        "maximum": none,
        "max_pool2d": met((4, 2, 2), at(0), model.d),
        "max_pool2d_1": met((4, 2, 2), at(4), model.d),
        "relu_2": met((6, 2, 2), placed(6), model.e),
        "amax": met((6,), placed(0), model.e),
        "max_pool2d_2": met((6, 1, 1), placed(0), model.e),
    }


@cache
def converted(code: str, scale: float, granularity: Any) -> respike.SpikingNetwork:
    options: dict[str, Any] = {"threshold": respike.Max(granularity=granularity), "correction": "none", **CODES[code]}
    return respike.from_torch(Maxima(scale).eval(), images(), T, **options)


def images() -> Tensor:
    return torch.rand(12, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def made(
    code: str, scale: float = 30.0, granularity: str = "channel"
) -> tuple[respike.SpikingNetwork, Tensor, dict[str, Tensor]]:
    snn = copy.deepcopy(converted(code, scale, granularity))
    assert len(snn.fan_out.events) == len(NAMES)
    return snn, images(), synapses(Maxima(scale))


def told(snn: respike.SpikingNetwork, x: Tensor) -> dict[str, Tensor]:
    """What each layer sent, ``(T, N, ...)``: in each step, or in each run on average."""
    found: dict[str, list[Tensor]] = {}
    for _ in snn.blocks([x], recorder=lambda node, events, values: found.setdefault(node.name, []).append(values)):
        pass
    return {name: torch.cat(found[node]).double() for name, node in zip(NAMES, snn.fan_out.events, strict=True)}


def counted(snn: respike.SpikingNetwork, x: Tensor) -> dict[str, LayerActivity]:
    result = respike.evaluate(snn, (x, torch.zeros(len(x), dtype=torch.long)), progress=False)
    return dict(zip(NAMES, result.layers, strict=True))


def carried(snn: respike.SpikingNetwork, name: str) -> Tensor | None:
    """What one spike of a layer carries, None where anything not zero is one."""
    source = {"max_pool2d": "relu", "amax": "relu_2", "max_pool2d_2": "relu_2"}.get(name, name)
    neuron = dict(zip(("relu", "relu_1", "relu_2"), snn.neurons.values(), strict=True)).get(source)
    if not isinstance(neuron, SpikingReLU) or neuron.options.neuron == "multi_threshold":
        return None
    theta = neuron.threshold.double()
    return theta.flatten() if name == "amax" else theta


def by_hand(snn: respike.SpikingNetwork, name: str, sent: Tensor) -> Tensor:
    theta = carried(snn, name)
    return (sent != 0).double() if theta is None else (sent / theta).abs().round()


def sums(events: Tensor, fan: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and synaptic operations per sample."""
    each = events.mean(1).flatten(1)
    return each.sum(1).numpy(), (each @ fan.double().flatten()).numpy()


def check(layer: LayerActivity, spikes: np.ndarray, synops: np.ndarray) -> None:
    np.testing.assert_allclose(layer.spikes, spikes, rtol=1e-9, err_msg=layer.name)
    np.testing.assert_allclose(layer.synops, synops, rtol=1e-9, err_msg=layer.name)
    assert layer.spikes[-1] > 0


@pytest.mark.parametrize("granularity", ["channel", slow("layer")])
@pytest.mark.parametrize("code", one_in(2, CODES))
def test_step_by_step(code: str, granularity: str) -> None:
    snn, x, fans = made(code, granularity=granularity)
    layers = counted(snn, x)
    for name, sent in told(snn, x).items():
        spikes, synops = sums(by_hand(snn, name, sent), fans[name])
        check(layers[name], spikes.cumsum(), synops.cumsum())


@pytest.mark.parametrize("code", one_in(2, CODES))
def test_layer_by_layer(code: str) -> None:
    """A run of t steps a layer; where all spikes are whole ones and none is taken back, the sum tells how many."""
    snn, x, fans = made(code)
    together = {name: sums(by_hand(snn, name, sent), fans[name]) for name, sent in told(snn, x).items()}
    snn.schedule = "layerwise"
    layers = counted(snn, x)
    clock = torch.arange(1, T + 1).reshape(-1, 1, 1, 1, 1)
    for name, sent in told(snn, x).items():
        if name in ("relu", "relu_1"):  # whose current is constant in both schedules
            spikes, synops = (counts.cumsum() for counts in together[name])
        elif code == "graded" and name == "relu_2":
            continue
        else:
            spikes, synops = sums(by_hand(snn, name, sent * clock.reshape(-1, *[1] * (sent.dim() - 1))), fans[name])
        check(layers[name], spikes, synops)


@pytest.mark.parametrize("code", one_in(2, CODES))
def test_pipelined_without_delay_counts_as_synchronous(code: str) -> None:
    snn, x, fans = made(code)
    sent = told(snn, x)
    snn.schedule, snn.delay = "pipelined", 0
    layers = counted(snn, x)
    for name in NAMES:
        spikes, synops = sums(by_hand(snn, name, sent[name]), fans[name])
        check(layers[name], spikes.cumsum(), synops.cumsum())


@pytest.mark.parametrize("code", ["iaf", "bursts", "lif"])
def test_pipelined_spikes_are_what_carries_the_mean(code: str) -> None:
    snn, x, fans = made(code)
    snn.schedule, snn.delay = "pipelined", 2
    layers = counted(snn, x)
    for name, sent in told(snn, x).items():
        if name.startswith("relu"):
            clock = torch.arange(1.0, T + 1).reshape(-1, *[1] * (sent.dim() - 1))
            check(layers[name], *sums(by_hand(snn, name, sent * clock), fans[name]))


@pytest.mark.parametrize("scale", [1.0, 0.01, 100.0])
def test_a_maximum_of_two_layers_sends_one_value_for_each_change(scale: float) -> None:
    """However far apart the thresholds of the two are."""
    snn, x, _ = made("iaf", scale)
    layers = counted(snn, x)
    sent = told(snn, x)
    changed = (sent["relu"] != 0) | (sent["relu_1"] != 0)
    assert not bool((sent["maximum"] != 0)[~changed].any())  # nothing is sent by rounding
    changes = (sent["maximum"] != 0).double().mean(1).flatten(1).sum(1).cumsum(0).numpy()
    check(layers["maximum"], changes, 0 * changes)
    assert {layers[name].carries for name in ("maximum", "max_pool2d_1")} == {"value"}
    assert {layers[name].carries for name in ("max_pool2d", "amax", "max_pool2d_2")} == {"spike"}


class Smoothed(nn.Module):
    """Maxima of means and of sums, where equal sums are reached along many ways."""

    def __init__(self, join: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.join = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(64, 3), join

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.max_pool2d(self.join(self.a(x).relu()), 2).flatten(1))


JOINS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda h: F.avg_pool2d(h, 3, 1, 1),
    "sum": lambda h: h + 0.7 * h.flip(2) + 0.3 * h.flip(3),
}


@pytest.mark.parametrize("schedule", ["synchronous", "layerwise"])
@pytest.mark.parametrize("join", one_in(2, JOINS))
def test_rounding_of_equal_sums_is_no_event(join: str, schedule: Any) -> None:
    """What is counted is what a float64 run of the same spikes sends, where rounding is far below any change."""
    x = torch.rand(16, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    snn = respike.from_torch(Smoothed(JOINS[join]), x, 32, schedule=schedule)
    told: list[tuple[Tensor, Tensor]] = []
    spikes: list[Tensor] = []

    def recorder(node: Any, events: Tensor, values: Tensor) -> None:
        if node.op.startswith("aten.max_pool2d"):
            told.append((events, values))
        else:
            spikes.append(values)

    list(snn.blocks([x], recorder=recorder))
    events, values = (torch.cat(parts) for parts in zip(*told, strict=True))
    assert values[events > 0].abs().min() > 1e-5 * values.abs().max()
    sent = torch.cat(spikes).double()
    wide = F.max_pool2d(JOINS[join]((sent if schedule == "layerwise" else sent.cumsum(0)).flatten(0, 1)), 2)
    wide = wide.unflatten(0, (len(sent), -1))
    changes = wide if schedule == "layerwise" else wide.diff(dim=0, prepend=torch.zeros_like(wide[:1]))
    assert torch.equal(events > 0, changes.abs() > 1e-9)
    layer = next(
        layer
        for layer in respike.evaluate(snn, (x, torch.zeros(16).long()), progress=False).layers
        if "max" in layer.name
    )
    assert layer.spikes[-1] * 16 == pytest.approx(float((events[-1] if schedule == "layerwise" else events).sum()))

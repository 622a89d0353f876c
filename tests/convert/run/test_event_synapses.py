"""Which synapses of a network add up events, and that the network stays the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert.graph import Node
from respike.convert.run import arithmetic, whole_synapses
from respike.convert.run.event_synapses import compact, event_synapses, why_dense
from respike.layers import kernels


class Mixed(nn.Module):
    """Spikes on their way as they are, pooled, padded, joined, added, averaged; and a layer that is too small."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pooled = nn.Conv2d(3, 48, 3, padding=1), nn.Conv2d(48, 48, 3, padding=1)
        self.added, self.joined = nn.Conv2d(48, 48, 3, padding=1), nn.Conv2d(96, 48, 3, padding=1)
        self.small, self.averaged = nn.Conv2d(48, 8, 1), nn.Conv2d(8, 96, 7, padding=3)
        self.last, self.readout = nn.Linear(96 * 9, 96), nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(self.first(x).relu(), 2)
        x = self.pooled(x).relu()
        y = self.added(x).relu()
        z = self.joined(torch.cat([x + y, y], 1)).relu()
        z = nn.functional.avg_pool2d(self.small(z).relu(), 2)
        found: Tensor = self.readout(self.last(self.averaged(z).relu().flatten(1)).relu())
        return found


@pytest.fixture(scope="module")
def network() -> respike.SpikingNetwork:
    torch.manual_seed(0)
    return respike.from_torch(Mixed().eval(), torch.rand(32, 3, 12, 12), 6, correction="none")


def test_large_layers_fed_by_spikes_add_up_events(network: respike.SpikingNetwork) -> None:
    assert {place.split(" ")[0]: how for place, how in network.synapses().items()} == {
        **dict.fromkeys(("pooled", "added", "joined", "last"), "adds up events"),
        "small": "dense: 8 outputs of a group, fewer than 16",
        "averaged": "dense: fed by averages or sums, of which few are 0",
        "readout": "dense: behind the last neurons, fed by means over time, of which few are 0",
    }


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("schedule", ["synchronous", "layerwise"])
@pytest.mark.parametrize("tiles", [False, True])
def test_what_is_told_is_what_runs(precision: Any, schedule: Any, tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(node: Node, *rest: Any) -> Any:
        made.append(node.where)
        return event_synapses(node, *rest)

    for module in (arithmetic, whole_synapses):
        monkeypatch.setattr(module, "event_synapses", noted)
        monkeypatch.setattr(module, "has_tiles", lambda device: tiles)
    torch.manual_seed(0)
    x = torch.rand(32, 3, 12, 12)
    snn = respike.from_torch(Mixed().eval(), x, 4, correction="none", schedule=schedule, precision=precision)
    made.clear()
    copy.deepcopy(snn).simulate(x)  # which makes its weights ready anew
    told = {place for place, how in snn.synapses().items() if how.startswith("adds up events")}
    assert told == set(made)
    assert bool(told) == (schedule == "synchronous" and not (tiles and precision == "bfloat16"))


def test_spikes_that_nobody_else_reads_are_sent_in_eight_bits(network: respike.SpikingNetwork) -> None:
    dense = why_dense(network.graph, dict(network.weights.named_buffers()), network.plan.sparse)
    names = compact(network.graph, {name for name, why in dense.items() if not why})
    read = {user.op.split(".")[1] for name in names for user in network.graph.users[name]}
    assert (len(names), read) == (2, {"max_pool2d", "reshape"})


@pytest.mark.parametrize("neuron", ["iaf", "signed", "multi_threshold", "lif"])
def test_spikes_are_those_of_dense_layers(neuron: Any) -> None:
    """With weights and thresholds of few bits, where no order of additions rounds."""
    torch.manual_seed(0)
    model = Mixed().eval()
    x = (torch.rand(16, 3, 12, 12) * 256).round() / 256
    snn = respike.from_torch(model, x, 5, neuron=neuron, correction="none").quantised(6)
    found = snn.simulate(x)
    kernels.use("eager")
    try:
        wanted = snn.simulate(x)
    finally:
        kernels.use(None)
    if neuron == "lif":  # its decay is no number of few bits
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    else:
        assert torch.equal(found, wanted)


def test_another_schedule_of_the_same_network_sends_otherwise(network: respike.SpikingNetwork) -> None:
    """Layer by layer, means are sent and no spikes in 8 bits."""
    x = torch.rand(4, 3, 12, 12)
    network(x)
    network.schedule = "layerwise"
    found = network(x)
    kernels.use("eager")
    try:
        assert torch.equal(network(x), found)
    finally:
        kernels.use(None)
        network.schedule = "synchronous"


@pytest.mark.parametrize("units", [False, True])
def test_eight_bits_by_events_are_those_of_dense_layers(
    network: respike.SpikingNetwork, units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the processor's 8-bit units, if it has them, and without."""
    if not units:
        monkeypatch.setattr(whole_synapses, "_has_units", lambda device: False)
    network = copy.copy(network)
    network.precision = "int8"
    x = torch.rand(8, 3, 12, 12)
    found = network.simulate(x)
    kernels.use("eager")
    try:
        assert torch.equal(network.simulate(x), found)
    finally:
        kernels.use(None)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_neurons_that_fire_at_the_sums_send_the_same(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images = respike.models.datasets.calibration()[:24]
    snn = respike.from_torch(respike.models.load("fashion_resnet"), images, 4, samples=24, precision=precision)
    assert len(snn.plan.driving) > 8
    found = snn.simulate(images), respike.evaluate(snn, (images, torch.zeros(24).long())).spikes
    monkeypatch.setitem(snn.plan.__dict__, "driving", frozenset())
    wanted = snn.simulate(images), respike.evaluate(snn, (images, torch.zeros(24).long())).spikes
    assert torch.equal(found[0], wanted[0])
    assert (found[1] == wanted[1]).all()


def test_a_downsampling_that_reads_the_same_spikes_adds_them_up_too() -> None:
    snn = respike.from_torch(respike.models.load("fashion_resnet"), respike.models.datasets.calibration()[:16], 2)
    pointed = [name for name, how in snn.synapses().items() if "downsample" in name or "shortcut" in name]
    assert pointed
    assert all(snn.synapses()[name].startswith("adds up events") for name in pointed)

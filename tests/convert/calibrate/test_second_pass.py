"""The second pass uses every sample it is given, at any T and in any memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from held_back import calibrating
from samples import one_in, slow
from torch import Tensor, nn
from torch.utils.data import Dataset

import respike
from respike.convert import ConversionWarning, normal_form
from respike.convert.calibrate import layer_order as route
from respike.convert.calibrate import second_pass as sequential
from respike.convert.calibrate import threshold_trials as trials
from respike.convert.calibrate import thresholds
from respike.convert.calibrate.memory_or_disk import Store
from respike.convert.calibrate.second_pass import Sequential
from respike.convert.caller_state import in_own_types
from respike.convert.graph.rules import Role
from respike.convert.options import NeuronOptions, Options
from respike.convert.run.execution_plan import Plan
from respike.convert.run.neurons import SpikingReLU, channel_axis
from respike.progress import SILENT

LITTLE, PLENTY = {"stream": 2**13, "mixing": 2**9}, 2**30
"""Bytes for calibration; little means blocks of few steps, and most of what is kept in a file."""


class Stream(nn.Module):
    """Residual blocks whose sums no ReLU follows, pooling of both kinds, two maps side by side, two slopes, a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.low = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.up, self.down = (nn.ModuleList(nn.Conv2d(*sizes, 1) for _ in range(3)) for sizes in ((4, 6), (6, 4)))
        self.out = nn.Linear(3 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.into(x).relu(), 2)
        x = nn.functional.max_pool2d(self.low(x), 2)
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(up(x).relu())
        x = torch.cat([nn.functional.leaky_relu(x, 0.25), torch.relu(x) * 0.5, x], 1)
        return self.out(x.mean((2, 3)))


class Mixing(nn.Module):
    """Samples meet: each hears of the mean of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        return self.last((self.second(x) - x.mean(0, keepdim=True)).relu())


NETWORKS = {"stream": (Stream, (2, 8, 8)), "mixing": (Mixing, (4,))}


SETTINGS: dict[str, dict[str, Any]] = {
    "iaf": {},
    "bursts": {"neurons": NeuronOptions(max_spikes=3)},
    "signed": {"neurons": NeuronOptions("signed")},
    "multi_threshold": {"neurons": NeuronOptions("multi_threshold")},
    "long bursts": {"neurons": NeuronOptions(max_spikes=200)},
    "pipelined": {"schedule": "pipelined", "delay": 3},
    "all at once": {"schedule": "pipelined", "delay": 20},
    "layerwise": {"schedule": "layerwise"},
}


def dyadic(name: str) -> tuple[nn.Module, Tensor]:
    """A network and inputs in eighths: all sums are exact in float32, in whatever order they are taken."""
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    model = make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 8).round() / 8)
    return model, torch.randint(-8, 9, (13, *shape)) / 8


@pytest.mark.parametrize("little", [True, slow(False)])
@pytest.mark.parametrize("setting", one_in(2, SETTINGS))
@pytest.mark.parametrize("name", one_in(3, NETWORKS))
def test_what_it_finds_missing_is_what_the_network_misses(name: str, setting: str, little: bool) -> None:
    """Of neurons that are given: the mean over all samples of what the ANN has and the SNN, run by itself, has not."""
    model, x = dyadic(name)
    memory = LITTLE[name] if little else PLENTY
    options = Options(timesteps=12, correction="bias", memory_budget=memory, **SETTINGS[setting])
    graph = normal_form(model, (x,))
    neurons = {}
    for node in graph.nodes:
        if node.role == Role.SPIKE:
            neurons[node.name] = SpikingReLU(node, options.neurons, channel_axis(node, graph))
            neurons[node.name].threshold.fill_(0.5 ** (2 + options.neurons.max_spikes.bit_length()))
    second = Sequential(
        graph, Plan(graph), neurons, options, x.device, SILENT, only=frozenset()
    )  # nothing is calibrated
    parts = [x] if name == "mixing" else x.split([8, 1, 4])
    assert [second.take((part,)) for part in parts] == [True] * len(parts)
    with in_own_types():  # as all of calibration runs
        (missing,) = second.run().values()
    snn = respike.SpikingNetwork(graph, neurons, 12, options.schedule, options.delay)
    # All sums are exact. Rounded are the means over 13 samples, 12 steps and 12 inputs of the readout, each at most
    # once a term: 37 times half a unit in the last place of numbers below 1.
    with torch.no_grad(), in_own_types():
        torch.testing.assert_close(missing[0], (model(x) - snn(x)).mean(0), atol=37 * 2.0**-24, rtol=0)
    assert bool(second.store.spilled) == little
    assert second.store.most <= memory // 2


class Counted(Dataset[Tensor]):
    """Remembers which samples were read."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.read = x, set[int]()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        self.read.add(index)
        return self.x[index]


def stores_of(monkeypatch: pytest.MonkeyPatch) -> list[Store]:
    """The stores that calibration makes."""
    made: list[Store] = []

    class Seen(Store):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(sequential, "Store", Seen)
    return made


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)
    ).eval()


@pytest.mark.parametrize("timesteps", one_in(2, [2, 100]))
def test_every_sample_counts_at_any_t(timesteps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bias of the readout makes the output right on average over exactly those samples that calibrate."""
    stores = stores_of(monkeypatch)
    model, data = small(), Counted(torch.rand(70, 1, 8, 8))
    snn = respike.from_torch(model, data, timesteps, correction="bias", memory_budget=2**18)
    assert data.read == set(range(70))
    kept = calibrating(data.x)
    with torch.no_grad():
        difference = snn(kept) - model(kept)
    assert difference.mean(0).abs().max() < 1e-5
    assert difference.mean(0).abs().max() < 0.1 * difference[:60].mean(0).abs().max()
    assert 0 < stores[0].most <= 2**17
    again = snn.recalibrated(Counted(data.x), "4")
    assert stores[1].budget == 2**17
    with torch.no_grad():
        assert (again(data.x) - model(data.x)).mean(0).abs().max() < 1e-5


@pytest.mark.parametrize(
    "options",
    one_in(3, [{"neuron": "signed", "threshold": respike.MSE(granularity="layer")}, {}, {"schedule": "layerwise"}]),
)
def test_results_do_not_depend_on_the_memory(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the order of sums, which may move a threshold where two are as good."""
    model, x = small(), torch.rand(90, 1, 8, 8)
    found = []
    for memory in (2**30, 2**16):
        stores = stores_of(monkeypatch)
        monkeypatch.setattr(trials, "FEWEST", 4096)  # as many positions are tried out
        found.append(respike.from_torch(model, x, 8, memory_budget=memory, **options))
        assert bool(stores[0].spilled) == (memory == 2**16)
    first, second = (torch.cat([t.flatten() for t in snn.state_dict().values()]) for snn in found)
    off = (first - second).abs() / first.abs().clamp(min=1e-2)
    assert float(off.median()) < 1e-5
    with torch.no_grad():
        wanted = model(x)
        errors = [float((snn(x) - wanted).norm() / wanted.norm()) for snn in found]
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize("correction", [slow("none"), "ridge"])
def test_thresholds_are_tried_out_on_every_sample_of_a_wide_layer(
    granularity: str, correction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels in groups that memory holds give what all at once give: a sample of a linear layer is one position."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3))
    x = torch.rand(300, 6)
    tried: list[tuple[int, int]] = []
    errors = thresholds.trial_errors

    def spy(currents: Tensor, *rest: Any) -> Tensor:
        tried.append((currents.shape[1], currents.shape[2]))
        return errors(currents, *rest)

    monkeypatch.setattr(thresholds, "trial_errors", spy)
    found = []
    for memory in (2**30, 2**20):
        tried.clear()
        threshold = respike.MSE(granularity=granularity)
        snn = respike.from_torch(model, x, 32, threshold=threshold, correction=correction, memory_budget=memory)
        assert {rows for rows, _ in tried} == {len(calibrating(x))}
        assert all(4 * 32 * rows * channels <= memory // 4 + 4 * 32 * rows for rows, channels in tried[-5:])
        found.append(snn.state_dict())
    assert tried[-1][1] < 30
    for name, values in found[0].items():
        torch.testing.assert_close(found[1][name], values, rtol=1e-4, atol=1e-5)


def test_too_little_disk_means_fewer_samples_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "free_on_disk", lambda: 10_000)
    model, data = small(), torch.rand(60, 1, 8, 8)
    with pytest.warns(ConversionWarning, match=r"uses (\d+) of the 53 samples.*GiB.*TMPDIR") as said:
        snn = respike.from_torch(model, data, 32, correction="bias", memory_budget=2**13)
    used = int(str(said[0].message).split("uses ")[1].split()[0])
    assert 1 < used < 53
    kept = calibrating(data)[:used]
    with torch.no_grad():
        assert (snn(kept) - model(kept)).mean(0).abs().max() < 1e-5


@pytest.mark.parametrize("blocks", [4, 32])
def test_work_and_room_do_not_grow_with_depth_squared(blocks: int) -> None:
    """No node is run at more stops than ``AGAIN``, and what is kept at once does not grow with the depth."""
    torch.manual_seed(0)
    model = Stream()
    model.up, model.down = (nn.ModuleList(nn.Conv2d(*sizes, 1) for _ in range(blocks)) for sizes in ((4, 6), (6, 4)))
    graph = normal_form(model.eval(), (torch.rand(4, 2, 8, 8),))
    found = route.Route(graph, set(), set(), Plan(graph).side_by_side)
    runs = [n.name for stop in found.stops for n in stop.nodes]
    assert max(map(runs.count, runs)) <= route.AGAIN
    assert sum(len(stop.making) for stop in found.stops) <= 2 * len(graph.nodes)
    spikes = {n.name: 0.125 for n in graph.nodes if n.role == Role.SPIKE}
    # At most the maps before and behind the first pool, or some values of a block: 4 and 6 maps of 2 x 2.
    assert found.most_alive(spikes, 16) <= (2 + 4 + 4) * 64 * (4 + 16 / 8) + 8 * 6 * 4 * (4 + 4 * 16)


BIG = """
import resource, torch, respike
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.ReLU(),
                      nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5)).eval()
x = torch.rand(12, 3, 128, 128)
respike.from_torch(model, x[:2], 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
respike.from_torch(model, x, 32, correction="bias", memory_budget=2**26)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process took at most is counted in other units elsewhere")
def test_memory_stays_within_the_budget() -> None:
    """12 samples of a layer of 262,144 neurons over 32 steps are 384 MiB of currents; 64 MiB are allowed."""
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Allocators keep what they were given: three times the budget is half of the currents all the same.
    assert float(done.stdout) < 192

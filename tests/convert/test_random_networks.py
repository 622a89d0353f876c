"""Random networks against oracles; more of them: ``python tests/convert/test_random_networks.py FIRST COUNT``."""

from __future__ import annotations

import copy
import random
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import TensorDataset

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from random_networks import RandomNet
from random_oracles import exact, inputs, quantised, synapses_behind

import respike
from respike.convert import pipeline
from respike.convert.graph import Graph, Node
from respike.convert.tracing import normal_form
from respike.layers import kernels

CODES: list[dict[str, Any]] = [
    {},
    {"max_spikes": 3},
    {"neuron": "signed"},
    {"neuron": "signed", "max_spikes": 2},
    {"neuron": respike.MultiThreshold(3)},
]
SCHEDULES: list[dict[str, Any]] = [
    {"schedule": "synchronous"},
    {"schedule": respike.Pipelined(1)},
    {"schedule": "layerwise"},
]


def tensors(tree: Any) -> list[Tensor]:
    return pytree.tree_leaves(tree)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def equal(found: Any, wanted: Any, what: str) -> None:
    for a, b in zip(tensors(found), tensors(wanted), strict=True):
        assert torch.equal(a, b), f"{what}: differs by up to {float((a - b).abs().max())}"


def spikes_of(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Events of each layer and maximum over one run, and its outputs."""
    found: dict[str, Tensor] = {}

    def record(node: Node, events: Tensor, values: Tensor) -> None:
        found[node.name] = found.get(node.name, 0) + events.sum(0)

    (*_, last) = snn.blocks(snn.graph.flatten(args), only_last=True, recorder=record)
    return found, [x[-1] for x in last]


@contextmanager
def traced_once() -> Iterator[None]:
    """Trace the model in its first conversion only: tracing takes most of the time, and gives the same graph again."""
    kept: list[Graph] = []

    def to_graph(twin: nn.Module, args: tuple[Any, ...]) -> Graph:
        if not kept:
            kept.append(normal_form.to_graph(twin, args))
        return copy.deepcopy(kept[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "to_graph", to_graph)
        yield


@traced_once()
def check(seed: int, folder: Path) -> None:
    """All oracles on the network of this seed."""
    net, choose = RandomNet(seed), random.Random(seed)
    args = inputs(net, seed)
    before = copy.deepcopy((args, net.state_dict()))
    steps = choose.choice([1, 2, 4, 8])
    options = {**choose.choice(CODES), **choose.choice(SCHEDULES)}
    threshold = respike.Max(granularity=choose.choice(["channel", "layer"]))
    snn = respike.from_torch(net, TensorDataset(*args), steps, threshold=threshold, correction="none", **options)
    exact(snn)
    layers = list(snn.neurons.values())

    with torch.no_grad():
        wanted = tensors(net(*args))
    with threads(1):
        whole = snn(*args)
        assert [x.shape for x in tensors(whole)] == [x.shape for x in wanted]

        # Each schedule is what it says: layer by layer, the quantised ANN.
        schedule, snn.schedule = snn.schedule, "layerwise"
        if not isinstance(options.get("neuron"), respike.MultiThreshold):
            most = options.get("max_spikes", 1)
            ann = quantised(net, args, layers, steps, most)
            equal(snn(*args), ann, "layerwise and the quantised ANN")
        snn.schedule = schedule

        # Kernels are spellings of the same equations.
        kernels.use("eager")
        try:
            equal(snn(*args), whole, "eager and compiled kernels")
        finally:
            kernels.use(None)

        # A batch in pieces, blocks of time, several threads.
        budget, snn.memory_budget = snn.memory_budget, 1
        equal(snn(*args), whole, "in the smallest pieces and blocks")
        snn.memory_budget = budget
    with threads(2):
        equal(snn(*args), whole, "with two threads")

    # Kept in a file.
    snn.save(folder / "net.respike")
    again = respike.load(folder / "net.respike")
    equal(again(*args), whole, "saved and loaded")
    assert again.as_dict() == snn.as_dict()

    # Events and synaptic operations, by an independent count.
    _count(net, snn, args)

    # With unit thresholds it sends the same.
    equal(snn.normalised()(*args), whole, "normalised")

    # The calibration that people use takes any of them, and gives finite numbers.
    default = respike.from_torch(net, TensorDataset(*args), steps, **options)
    assert all(bool(x.isfinite().all()) for x in tensors(default(*args)))
    equal((args, net.state_dict()), before, "inputs and weights")


def _count(net: RandomNet, snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> None:
    events, outputs = spikes_of(snn, args)
    equal(outputs, tensors(snn(*args)), "recorded and not")
    first = tensors(net(*args))[0]
    single = first.dim() == 2 and len(outputs) == 1
    behind = synapses_behind(net, args)
    if not single or behind is None:
        return
    result = respike.evaluate(snn, [(args, first.argmax(1))], progress=False)
    counted = {layer.name: layer for layer in result.layers}
    assert list(counted) == [name for name in events if name in counted]
    for (name, found), synapses in zip(events.items(), behind, strict=True):
        expected = float(found.sum()) / len(first)
        assert counted[name].spikes[-1] == pytest.approx(expected, rel=1e-12), f"spikes of {name}"
        expected = float((found * synapses).sum()) / len(first)
        assert counted[name].synops[-1] == pytest.approx(expected, rel=1e-9), f"synaptic operations of {name}"


@pytest.mark.filterwarnings("ignore:.*never fires on the calibration data")  # of random weights some do not
@pytest.mark.parametrize("seed", range(40))
def test_random_network(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    print(RandomNet(seed))
    check(seed, tmp_path)


def test_the_oracles_can_fail(tmp_path: Path) -> None:
    """A threshold that differs from the one that the quantised ANN has is noticed."""
    net = RandomNet(0)
    args = inputs(net, 0)
    snn = respike.from_torch(net, TensorDataset(*args), 4, threshold="max", correction="none", schedule="layerwise")
    exact(snn)
    layers = list(snn.neurons.values())
    wanted = quantised(net, args, layers, 4)
    equal(snn(*args), wanted, "layerwise and the quantised ANN")
    layers[-1].threshold *= 2
    with pytest.raises(AssertionError, match="layerwise"):
        equal(snn(*args), wanted, "layerwise and the quantised ANN")


if __name__ == "__main__":
    first, count = (int(x) for x in sys.argv[1:3])
    failed = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(first, first + count):
            try:
                check(number, Path(place))
            except Exception:
                failed.append(number)
                print(f"seed {number} failed\n{RandomNet(number)}\n{traceback.format_exc(limit=-4)}", flush=True)
    print(f"{count - len(failed)} of {count} networks passed; failed: {failed}")
    sys.exit(bool(failed))

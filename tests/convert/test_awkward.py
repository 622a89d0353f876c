"""Every awkward network converts right or is refused; none is silently wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from samples import one_in
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from zoo import CONVERTS, REFUSED, SIGNED, Case

import respike
from respike.convert import normal_form
from respike.convert.calibrate.calibrate import calibrate
from respike.convert.graph import Graph
from respike.convert.options import Max, NeuronOptions, Options


def build(case: Case) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    model = case.build().eval()
    return model, tuple(torch.rand(64, *shape) for shape in case.shapes)


def leaves(tree: Any) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, Tensor)]


def error(found: Any, expected: Any) -> float:
    """Root mean square of the error, relative to that of the value."""
    pairs = zip(leaves(found), leaves(expected), strict=True)
    return max(float((a - b).square().mean().sqrt() / b.square().mean().sqrt()) for a, b in pairs)


def spiking(graph: Graph, inputs: tuple[Tensor, ...], options: Options) -> respike.SpikingNetwork:
    graph, neurons = calibrate(graph, [graph.flatten(inputs)], options, torch.device("cpu"))
    return respike.SpikingNetwork(graph, neurons, options.timesteps)


def run(model: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    with torch.no_grad():
        return model(*(x.clone() for x in inputs))


@pytest.mark.parametrize("name", one_in(6, CONVERTS))
def test_converts_and_approaches_the_ann(name: str) -> None:
    model, inputs = build(CONVERTS[name])
    graph = normal_form(model, inputs)  # traced once for both
    neurons = NeuronOptions("signed" if name in SIGNED else "iaf")
    spiking(graph, inputs, Options(timesteps=2, neurons=neurons))(*inputs)
    snn = spiking(graph, inputs, Options(timesteps=64, threshold=Max(), correction="none", neurons=neurons))
    expected = run(model, inputs)
    steps = snn.simulate(*inputs)
    assert pytree.tree_structure(steps) == pytree.tree_structure(expected)
    at = {t: pytree.tree_map(lambda x, t=t: x[:, t - 1] if isinstance(x, Tensor) else x, steps) for t in (16, 64)}
    for found, wanted in zip(leaves(at[64]), leaves(expected), strict=True):
        assert found.shape == wanted.shape
    # Error falls as c/T: at least threefold from T=16 to T=64, unless it is nothing but rounding already.
    late, early = error(at[64], expected), error(at[16], expected)
    assert late <= max(early / 3, 1e-5)
    assert late < 0.1
    assert error(snn(*inputs), at[64]) < 1e-5
    # Every synapse is counted once: in the ANN, and behind events or on analog values in the SNN.
    assert all((counts >= 0).all() for counts in snn.fan_out.events.values())
    assert snn.fan_out.once.macs + snn.fan_out.every_step.macs <= snn.fan_out.ann.macs


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_a_reason(name: str) -> None:
    model, inputs = build(REFUSED[name])
    with pytest.raises(respike.ConversionError) as caught:
        respike.from_torch(model, inputs[0], 4)
    assert len(str(caught.value)) > 40

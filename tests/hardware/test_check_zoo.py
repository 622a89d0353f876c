"""Awkward networks: a check says what is wrong with them, and does not fail itself."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
import zoo
from samples import one_in

import respike
from respike.convert.errors import ConversionWarning
from respike.convert.graph.rules import Role
from respike.hardware.layers import layout_of
from respike.hardware.ways import WEIGHTED


@pytest.mark.parametrize("name", one_in(7, list(zoo.CONVERTS)[::4]))
def test_every_network_can_be_checked(name: str) -> None:
    case = zoo.CONVERTS[name]
    x = tuple(torch.randn(8, *shape) for shape in case.shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        snn = respike.from_torch(case.build().eval(), [x] if len(x) > 1 else x[0], 2, correction="none")
    found = respike.check(snn, "speck", [x] if len(x) > 1 else x[0], samples=4)
    assert len({rule.name for rule in found.rules}) == 23
    assert all(rule.remedy for rule in [*found.failed, *found.open])
    json.dumps(found.as_dict())
    # Nothing is passed over in silence: all neurons and weights are in the layout, or a rule says that they cannot be.
    graph = found.network.held_graph()
    layout = layout_of(graph)
    seen = {node.name for node in layout.encoders}
    for layer in layout.layers:
        seen |= {synapses.node.name for synapses in layer.synapses}
        seen |= {layer.neurons.name} if layer.neurons is not None else set()
    there = {n.name for n in graph.nodes if n.role == Role.SPIKE or (n.role == Role.LINEAR and n.op in WEIGHTED)}
    if there - seen:
        assert {"operations", "max-pool"} & {rule.name for rule in found.failed}

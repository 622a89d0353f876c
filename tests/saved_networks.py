"""Networks to save, and whether what comes back is the same."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike

SETTINGS: list[dict[str, Any]] = [
    {},
    {"neuron": "signed", "precision": "int8"},
    {"neuron": "lif", "schedule": respike.Pipelined(2)},
    {"neuron": respike.MultiThreshold(3), "precision": "bfloat16"},
    {"max_spikes": 4, "schedule": "layerwise", "threshold": "max"},
    {"neuron": "iaf", "correction": "bias", "threshold": respike.Percentile(granularity="layer")},
]


def small(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    """A network of its own for each caller, and the samples that it was calibrated on."""
    snn, x = _converted(**options)
    return copy.deepcopy(snn), x.clone()


@cache
def _converted(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1))
    x = torch.rand(64, 1, 6, 6)
    return respike.from_torch(model, x, **{"timesteps": 4, "correction": "bias", **options}), x


def again(snn: respike.SpikingNetwork, folder: Path) -> respike.SpikingNetwork:
    path = folder / "net.respike"
    snn.save(path)
    loaded = respike.load(path)
    path.unlink()
    return loaded


def told(snn: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> list[Any]:
    """All spikes of all layers in all steps, what they carry, and all estimates."""
    found: list[Any] = []
    inputs = snn.graph.flatten(args)
    blocks = snn.blocks(inputs, recorder=lambda node, *values: found.extend([node.name, *(v.clone() for v in values)]))
    return [*list(blocks), *found]


def same(a: Any, b: Any) -> bool:
    first, one = pytree.tree_flatten(a)
    second, other = pytree.tree_flatten(b)
    equal = (torch.equal(x, y) if isinstance(x, Tensor) else x == y for x, y in zip(first, second, strict=True))
    return one == other and all(equal)


def assert_same(snn: respike.SpikingNetwork, loaded: respike.SpikingNetwork, args: tuple[Tensor, ...]) -> None:
    assert same(snn(*args), loaded(*args))
    assert same(told(snn, args), told(loaded, args))
    assert loaded.as_dict() == snn.as_dict()
    assert str(loaded) == str(snn)
    assert not loaded.training

"""Activations as exporters and people spell them out: one function of one signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from respike.convert import relative_error
from respike.convert.graph import Graph
from respike.convert.tracing.normal_form import prepare, to_graph

ROOT = math.sqrt(2 / math.pi)
SPELLED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "gelu, as it is exported": (lambda x: x * (torch.erf(x / math.sqrt(2)) + 1) * 0.5, "gelu"),
    "gelu, half of x first": (lambda x: 0.5 * x * (1 + torch.erf(x * 0.70710678)), "gelu"),
    "gelu, with the normal distribution": (lambda x: x * (0.5 + 0.5 * torch.erf(x / 2**0.5)), "gelu"),
    "gelu, three times": (lambda x: 3 * (x * (1 + torch.erf(x / 2**0.5)) / 2), "gelu"),
    "gelu by tanh": (lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**3))), "gelu"),
    "gelu by tanh, of products": (
        lambda x: 0.5 * x * (1 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x))),
        "gelu",
    ),
    "quick gelu": (lambda x: x * torch.sigmoid(1.702 * x), "silu"),
    "silu": (lambda x: torch.sigmoid(x) * x, "silu"),
    "silu by tanh": (lambda x: x * (0.5 * torch.tanh(x / 2) + 0.5), "silu"),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), "mish"),
    "hardswish, MobileNetV3's": (lambda x: x * F.relu6(x + 3) / 6, "hardswish"),
    "hardswish of a hardsigmoid": (lambda x: F.hardsigmoid(x) * x, "hardswish"),
    "hardswish, clipped to 1": (lambda x: x * (x / 6 + 0.5).clamp(0, 1), "hardswish"),
}
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "erf of another width": lambda x: x * (1 + torch.erf(x)),
    "erf and another number": lambda x: x * (2 + torch.erf(x / 2**0.5)),
    "sigmoid beside the middle": lambda x: x * torch.sigmoid(x + 1),
    "tanh of another cube": lambda x: x * (1 + torch.tanh(ROOT * (x + 0.05 * x**3))),
    "clipped elsewhere": lambda x: x * F.relu6(x + 2) / 6,
    "gate of another signal": lambda x: x * torch.sigmoid(x.flip(1)),
    "gate of a sum": lambda x: x * torch.sigmoid(x.mean(1, keepdim=True)),
    "steeper softplus": lambda x: x * torch.tanh(F.softplus(x, beta=2)),
}


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.function = nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(F.relu(self.a(x)) - 1)


def graph_of(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Graph, float]:
    model = Applied(function)
    graph = to_graph(prepare(model), (x,))
    return graph, relative_error(graph, model, (x,))


@pytest.mark.parametrize("name", SPELLED)
def test_what_is_spelled_out_becomes_one_function(name: str) -> None:
    function, short = SPELLED[name]
    graph, error = graph_of(function, 4 * torch.randn(32, 4))
    assert error < 1e-5
    found = [n.op.split(".")[1] for n in graph.nodes if n.op.split(".")[1] not in ("linear", "relu", "add", "sub")]
    assert found in ([short], [short, "mul"], ["mul", short], ["mul", short, "mul"])
    assert all(len([a for a in n.refs if a not in graph.tensors]) == 1 for n in graph.nodes if n.refs)


@pytest.mark.parametrize("name", OTHERS)
def test_what_looks_similar_stays_a_product(name: str) -> None:
    graph, error = graph_of(OTHERS[name], 4 * torch.randn(32, 4))
    assert error < 1e-5
    assert {n.op.split(".")[1] for n in graph.nodes}.isdisjoint({"gelu", "silu", "mish", "hardswish"})

"""Small networks for chips: one that passes every rule, and changes of it that break one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import respike

SIDE = 8


@dataclass
class Case:
    """A network that breaks a rule.

    Attributes:
        build: The model.
        side: Of its input.
        change: What is done to the converted network.
        options: Of the conversion.
        found: Words of what the rule found.
    """

    build: Callable[[], nn.Module]
    found: str
    side: int = SIDE
    change: Callable[[respike.SpikingNetwork], respike.SpikingNetwork] = lambda snn: snn
    options: dict[str, Any] | None = None

    def network(self) -> tuple[respike.SpikingNetwork, Tensor]:
        torch.manual_seed(0)
        model, x = self.build().eval(), torch.rand(24, 1, self.side, self.side)
        options = {"correction": "none", "threshold": respike.Max(granularity="layer"), **(self.options or {})}
        return self.change(respike.from_torch(model, x, 2, **options)), x


def fitting(
    first: nn.Module | None = None,
    pool: nn.Module | None = None,
    size: int = 36,
    begin: bool = True,
    end: bool = True,
    between: list[nn.Module] | None = None,
) -> nn.Sequential:
    """Input neurons, a convolution, a pool, a linear layer, each with neurons; some parts may be others."""
    layers: list[nn.Module] = [nn.ReLU()] if begin else []
    layers += [first or nn.Conv2d(1, 4, 3), nn.ReLU(), pool or nn.AvgPool2d(2), *(between or [])]
    layers += [nn.Flatten(), nn.Linear(size, 3)]
    return nn.Sequential(*layers, *([nn.ReLU()] if end else []))


class Residual(nn.Module):
    """Two layers of synapses before the same neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3 * SIDE * SIDE, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.relu()).relu()
        x = (self.conv(x) + x).relu()
        out: Tensor = self.head(x.flatten(1)).relu()
        return out


class Branches(nn.Module):
    """One layer read by several."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3)
        self.branches = nn.ModuleList([nn.Conv2d(2, 2, 3) for _ in range(count)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x.relu()).relu()
        return tuple(branch(x).relu().flatten(1) for branch in self.branches)


def _large_bias(snn: respike.SpikingNetwork) -> respike.SpikingNetwork:
    """A constant current of 300 units of the weights."""
    made = snn.quantised(8, scale="layer")
    neuron = list(made.layers().values())[2]
    (rule,) = (rule for rule in respike.check(made).rules if rule.name == "thresholds" and "Linear" in rule.layer)
    neuron.bias = torch.full_like(neuron.bias, 300 / float(rule.found.replace(",", "")))
    made.held_graph().tensors[_bias_of_linear(made)].zero_()
    return made


def _bias_of_linear(snn: respike.SpikingNetwork) -> str:
    (node,) = (node for node in snn.graph.nodes if node.op == "aten.linear.default")
    name: str = node.args[2].name
    return name


def _sinking(snn: respike.SpikingNetwork) -> respike.SpikingNetwork:
    """For long, with a constant current that inhibits."""
    neuron = list(snn.layers().values())[1]
    neuron.bias = -20 * neuron.threshold
    snn.timesteps, snn._told = 600, True
    return snn.quantised(8, scale="layer", bias_bits=8)


def _tiny_weights(snn: respike.SpikingNetwork) -> respike.SpikingNetwork:
    """Thresholds far above what a spike brings."""
    neuron = list(snn.layers().values())[2]
    neuron.threshold = 1e5 * neuron.threshold
    return snn


def _layerwise(snn: respike.SpikingNetwork) -> respike.SpikingNetwork:
    snn.schedule = "layerwise"
    return snn


BREAKS: dict[str, Case] = {
    "operations": Case(
        lambda: fitting(nn.ConvTranspose2d(1, 4, 3), size=100),
        "is an operation (conv_transpose2d) that cores do not have",
    ),
    "max-pool": Case(lambda: fitting(pool=nn.MaxPool2d(2)), "takes a maximum over sums of spikes"),
    "sums": Case(Residual, "2 layers of synapses"),
    "pools": Case(lambda: fitting(pool=nn.AvgPool2d(3), size=16), "3x3"),
    "kernels": Case(lambda: fitting(nn.Conv2d(1, 4, (3, 1)), size=48), "3x1"),
    "strides": Case(lambda: fitting(nn.Conv2d(1, 4, 3, 3), size=4), "3"),
    "padding": Case(lambda: fitting(nn.Conv2d(1, 4, 3, padding=8), size=484), "8"),
    "dilation": Case(lambda: fitting(nn.Conv2d(1, 4, 3, dilation=2), size=16), "2"),
    "channels": Case(lambda: fitting(nn.Conv2d(1, 1025, 7), size=1025), "1025"),
    "map sizes": Case(lambda: fitting(nn.Conv2d(1, 1, 3), nn.AvgPool2d(4), 289), "70x70 to 68x68", 70),
    "fan-out": Case(lambda: Branches(3), "read by 3"),
    "kernel memory": Case(lambda: fitting(nn.Conv2d(1, 1024, 1), nn.AvgPool2d(1), 65536), "262,144 words"),
    "neuron memory": Case(lambda: fitting(nn.Conv2d(1, 17, 3), nn.AvgPool2d(4), 17 * 225), "69,632 words", 64),
    "bias memory": Case(lambda: fitting(nn.Conv2d(1, 1025, 7), size=1025), "1,025 words"),
    "cores": Case(
        lambda: fitting(between=[layer for _ in range(8) for layer in (nn.Conv2d(4, 4, 1), nn.ReLU())]),
        "10 layers, no core left for",
    ),
    "weights": Case(fitting, "whole numbers from", change=lambda snn: snn.quantised(10, scale="layer")),
    "biases": Case(fitting, "300", change=_large_bias),
    "thresholds": Case(fitting, "1,048,576", change=_tiny_weights),
    "potentials": Case(fitting, "thresholds)", change=_sinking),
    "neurons": Case(fitting, "signed", options={"neuron": "signed"}),
    "schedule": Case(fitting, "layerwise", change=_layerwise),
    "input": Case(lambda: fitting(begin=False), "real numbers"),
    "readout": Case(lambda: fitting(end=False), "without neurons"),
}
"""For each rule a network that breaks it."""

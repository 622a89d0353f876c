"""A neutral reader of NIR files: nir reads, numpy and torch compute, and nothing of respike is used.

An IF node adds its current to V, sends a spike if V has reached the threshold, and then subtracts the threshold.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def tensor(value: Any) -> Tensor:
    return torch.from_numpy(np.asarray(value)).double()


def numbers(value: Any) -> Any:
    return tuple(np.atleast_1d(value).tolist())


def applied(node: Any, x: Tensor) -> Tensor:
    """What a node without a state gives for ``(N, ...)``."""
    kind = type(node).__name__
    if kind == "Affine":
        return F.linear(x, tensor(node.weight), tensor(node.bias))
    if kind in ("Conv1d", "Conv2d"):
        convolve: Any = F.conv1d if kind == "Conv1d" else F.conv2d
        sides = (numbers(side) for side in (node.stride, node.padding, node.dilation))
        return convolve(x, tensor(node.weight), tensor(node.bias), *sides)  # type: ignore[no-any-return]
    if kind == "SumPool2d":
        kernel = numbers(node.kernel_size)
        assert not any(numbers(node.padding))
        return F.avg_pool2d(x, kernel, numbers(node.stride), divisor_override=1)
    if kind == "Flatten":
        assert node.start_dim == 1 - x.dim() and node.end_dim == -1
        return x.flatten(1)
    assert kind in ("Input", "Output"), kind
    return x


def run(path: Path, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The spikes of each IF node ``(T, N, ...)``, and the decoded output ``(N, ...)``."""
    import nir

    graph = nir.read(path)
    steps = int(graph.metadata["timesteps"])
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, reader in graph.edges:
        sources[reader].append(source)
    order = list(TopologicalSorter(sources).static_order())
    neurons = {name: node for name, node in graph.nodes.items() if isinstance(node, nir.IF)}
    v = {name: tensor(node.metadata["v_0"]).expand(len(x), *node.r.shape) for name, node in neurons.items()}
    spikes: dict[str, list[Tensor]] = {name: [] for name in neurons}
    outputs = []
    for _ in range(steps):
        values: dict[str, Tensor] = {}
        for name in order:
            node = graph.nodes[name]
            current = sum((values[source] for source in sources[name]), torch.zeros((), dtype=torch.float64))
            if name in neurons:
                charged = v[name] + tensor(node.r) * current
                values[name] = (charged >= tensor(node.v_threshold)).double()
                v[name] = charged - values[name] * tensor(node.v_threshold)
                spikes[name].append(values[name])
            else:
                values[name] = applied(node, x.double() if isinstance(node, nir.Input) else current)
        outputs += [values[name] for name, node in graph.nodes.items() if isinstance(node, nir.Output)]
    return {name: torch.stack(sent) for name, sent in spikes.items()}, torch.stack(outputs).mean(0)

"""Events of a product, counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import respike


class Gated(nn.Module):
    """Ten features times a gate of one number, then weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.gate, self.last = nn.Linear(6, 10), nn.Linear(6, 1), nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.features(x)) * torch.sigmoid(self.gate(x)))  # type: ignore[no-any-return]


class Scores(nn.Module):
    """Scores of each of 4 tokens for each of 4, with 5 features, then weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.last = nn.Linear(3, 5), nn.Linear(3, 5), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.relu(self.query(x)) @ torch.relu(self.key(x)).transpose(1, 2)
        return self.last(scores.softmax(-1)).mean(1)  # type: ignore[no-any-return]


def behind(snn: respike.SpikingNetwork) -> dict[str, set[int]]:
    """Synaptic operations that one event of each layer causes, by where the layer is."""
    found: dict[str, set[int]] = {}
    for name, neuron in snn.neurons.items():
        events = snn.fan_out.events[name].int().flatten().tolist()
        found.setdefault(f"{neuron.where} {len(found)}", set()).update(events)
    return found


def test_an_event_of_a_gate_adds_each_feature_and_one_of_a_feature_the_gate() -> None:
    snn = respike.from_torch(Gated(), torch.rand(32, 6, generator=torch.Generator().manual_seed(0)), 4)
    assert [sorted(x) for x in behind(snn).values()] == [[1], [10], [3]]  # features, gate, and what weights read
    assert [n.role for n in snn.graph.nodes if n.op == "aten.mul.Tensor"] == ["product"]
    step = snn.fan_out.every_step
    assert (step.macs, step.multiplications) == (0, 10)  # a division for each of ten products; gate(x) is constant


def test_an_event_of_a_token_reaches_the_scores_of_all_tokens() -> None:
    snn = respike.from_torch(Scores(), torch.rand(32, 4, 3, generator=torch.Generator().manual_seed(0)), 4)
    assert [sorted(x) for x in behind(snn).values()] == [[4], [4], [2]]
    x = torch.rand(7, 4, 3, generator=torch.Generator().manual_seed(1))
    result = respike.evaluate(snn, (x, torch.zeros(7, dtype=torch.long)))
    query, key, scores = (layer.spikes.tolist() for layer in result.layers)
    assert [layer.synops.tolist() for layer in result.layers] == [
        [4 * n for n in query],
        [4 * n for n in key],
        [2 * n for n in scores],
    ]
    assert snn.fan_out.ann.macs == 2 * 4 * 3 * 5 + 4 * 4 * 5 + 4 * 4 * 2


OUTER: dict[str, Callable[[Tensor], Tensor]] = {
    "einsum": lambda y: torch.einsum("ni,nj->nij", y, y),
    "gate": lambda y: y[:, :, None] * y[:, None],
    "matmul": lambda y: y[:, :, None] @ y[:, None],
}


class WithItself(nn.Module):
    """All products of two of 8 features, then weights."""

    def __init__(self, outer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.outer, self.features, self.last = outer, nn.Linear(6, 8), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.outer(torch.relu(self.features(x))).flatten(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", OUTER)
def test_an_event_of_a_signal_times_itself_adds_to_each_product_once_for_each_side(name: str) -> None:
    snn = respike.from_torch(WithItself(OUTER[name]), torch.rand(32, 6, generator=torch.Generator().manual_seed(0)), 4)
    assert [sorted(x) for x in behind(snn).values()] == [[2 * 8], [3]]

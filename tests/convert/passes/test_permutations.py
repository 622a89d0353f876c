"""Axes in another order, twice: one permutation, or none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from respike.convert.passes import join_permutations
from respike.convert.run.analog import evaluate_graph
from respike.convert.tracing.copy_model import prepare
from respike.convert.tracing.trace import trace

CASES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "back again": (lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2) * 2, 0),
    "twice": (lambda x: x.transpose(1, 2).permute(0, 3, 1, 2) * 2, 1),
    "three times, counted from behind": (lambda x: x.transpose(-1, 1).permute(0, -1, 2, 1).transpose(1, 2) * 2, 1),
    "none": (lambda x: x.permute(0, 1, 2, 3) * 2, 0),
    "with something between": (lambda x: (x.transpose(1, 2) + 1).transpose(1, 2), 2),
}


class Moved(nn.Module):
    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.move = move

    def forward(self, x: Tensor) -> Tensor:
        return self.move(x)


@pytest.mark.parametrize("name", CASES)
def test_joined_where_nothing_is_between(name: str) -> None:
    move, left = CASES[name]
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5)
    graph = join_permutations(trace(prepare(Moved(move)), (x,)))
    (found,) = evaluate_graph(graph, [x])
    assert torch.equal(found, move(x))
    needed = set(graph.output_names())
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.refs)
    orders = [n for n in graph.nodes if n.name in needed and n.op in ("aten.permute.default", "aten.transpose.int")]
    assert len(orders) == left

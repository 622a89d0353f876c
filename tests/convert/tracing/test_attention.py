"""Attention is written out as single operations, with the samples first, masks and scale kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from respike.convert import relative_error
from respike.convert.graph import Graph
from respike.convert.sample_axis import Along, apart, places
from respike.convert.tracing.normal_form import prepare, to_graph

HIDDEN = torch.zeros(5, 5, dtype=torch.bool).index_fill(1, torch.tensor([3]), True)
LATER = torch.ones(5, 5, dtype=torch.bool).triu(1)
BIASES = torch.linspace(-1, 1, 25).reshape(5, 5)


class Attending(nn.Module):
    """A module of attention, and how it is used."""

    def __init__(self, use: Callable[[Any, Tensor], Any], options: dict[str, Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.use, self.attention = use, nn.MultiheadAttention(8, 2, **{"batch_first": True, **options})
        for parameter in self.attention.parameters():
            nn.init.normal_(parameter)

    def forward(self, x: Tensor) -> Any:
        return self.use(self.attention, x)


def heads(x: Tensor, count: int) -> Tensor:
    return x.unflatten(-1, (4, 2)).transpose(1, 2)[:, :count]


USES: dict[str, tuple[Callable[[Any, Tensor], Any], dict[str, Any]]] = {
    "self": (lambda a, x: a(x, x, x, need_weights=False)[0], {}),
    "with shares": (lambda a, x: a(x, x, x), {}),
    "with the shares of each head": (lambda a, x: a(x, x, x, average_attn_weights=False), {}),
    "sequence first": (lambda a, x: a(*[x.transpose(0, 1)] * 3)[0].transpose(0, 1), {"batch_first": False}),
    "mask": (lambda a, x: a(x, x, x, attn_mask=HIDDEN)[0], {}),
    "mask of numbers": (lambda a, x: a(x, x, x, attn_mask=BIASES)[0], {}),
    "padding": (lambda a, x: a(x, x, x, key_padding_mask=(x[..., 0] > x[:, 1:2, 0]))[0], {}),
    "causal": (lambda a, x: a(x, x, x, attn_mask=LATER, is_causal=True, need_weights=False)[0], {}),
    "of other widths": (lambda a, x: a(x, x[..., :4], x[..., 2:5])[0], {"kdim": 4, "vdim": 3}),
    "without biases": (lambda a, x: a(x, x, x)[0], {"bias": False}),
    "function": (lambda a, x: F.scaled_dot_product_attention(x, 2 * x, x, scale=0.3), {}),
    "function, causal": (lambda a, x: F.scaled_dot_product_attention(x, 2 * x, x, is_causal=True), {}),
    "function, mask": (lambda a, x: F.scaled_dot_product_attention(x, 2 * x, x, attn_mask=~HIDDEN), {}),
    "function, mask of numbers": (lambda a, x: F.scaled_dot_product_attention(x, x, x, attn_mask=BIASES), {}),
    "function, a query that sees nothing": (
        lambda a, x: F.scaled_dot_product_attention(x, 2 * x, x, attn_mask=torch.ones(5, 5).tril(-1).bool()),
        {},
    ),
    "shared heads": (
        lambda a, x: F.scaled_dot_product_attention(heads(x, 4), heads(x, 2), heads(x, 2), enable_gqa=True),
        {},
    ),
}


def graph_of(model: nn.Module, x: Tensor) -> Graph:
    return to_graph(prepare(model.eval()), (x,))


@pytest.mark.parametrize("name", USES)
def test_equals_torch_and_hides_no_product(name: str) -> None:
    model, x = Attending(*USES[name]), torch.randn(3, 5, 8)
    graph = graph_of(model, x)
    assert relative_error(graph, model, (x,)) < 1e-5
    ops = {node.op.split(".")[1] for node in graph.nodes}
    assert "matmul" in ops and ops & {"softmax", "_safe_softmax"} and not any("attention" in op for op in ops)
    assert apart(graph)
    where = places(graph)
    assert {place for node in graph.nodes if isinstance(place := where[node.name], Along)} == {Along(0)}


def test_the_rarer_options_are_left_to_torch() -> None:
    model = Attending(lambda a, x: a(x, x, x)[0], {"add_bias_kv": True, "add_zero_attn": True})
    x = torch.randn(3, 5, 8)
    graph = graph_of(model, x)
    assert relative_error(graph, model, (x,)) < 1e-5
    assert apart(graph)


@pytest.mark.parametrize("fast", [False, True])
def test_a_layer_of_a_transformer_with_and_without_its_fast_path(fast: bool) -> None:
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(3, 5, 8)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        graph = graph_of(model, x)
        assert torch.backends.mha.get_fastpath_enabled() is fast
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert relative_error(graph, model, (x,)) < 1e-5
    ops = [node.op.split(".")[1] for node in graph.nodes]
    assert ops.count("matmul") == ops.count("layer_norm") == 2
    assert "split" not in ops  # its weights are cut up once

"""Functions and products of signals: what is sent over time adds up to T times their value at the means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from respike.convert.graph.rules import Role, in_time
from respike.convert.passes.node_roles import role_of
from respike.convert.run.graph_walk import Walk
from respike.convert.run.schedules.synchronous import Synchronous
from respike.convert.run.time_varying import Timed
from respike.convert.tracing.copy_model import prepare
from respike.convert.tracing.normal_form import to_graph

T = 23
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **{f.__name__: f for f in (F.gelu, F.silu, F.hardswish, F.elu, F.selu, F.celu, F.softplus, F.mish, F.softsign)},
    **{f.__name__: f for f in (torch.sigmoid, torch.tanh, torch.square, torch.exp, F.logsigmoid)},
    "sqrt": lambda x: (x * x + 1).sqrt(),
    "power": lambda x: x**3,
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, (6,)),
    "group_norm": lambda x: F.group_norm(x, 2),
    "rms_norm": lambda x: F.rms_norm(x, (6,)),
    "instance_norm": lambda x: F.instance_norm(x),
    "normalised": lambda x: F.normalize(x, dim=-1),
    "std": lambda x: x.std(-1),
    "glu": lambda x: F.glu(x, -1),
}
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gate": lambda x, y: x * y,
    "quotient": lambda x, y: x / (y * y + 1),
    "scores": lambda x, y: x @ y.transpose(1, 2),
    "bmm": lambda x, y: torch.bmm(x, y.transpose(1, 2)),
    "baddbmm": lambda x, y: torch.baddbmm(x[:, :1, :1], x, y.transpose(1, 2)),
    "einsum": lambda x, y: torch.einsum("nij,nkj->nik", x, y),
    "squared": lambda x, y: x * x + y,
    "attention": lambda x, y: (x @ y.transpose(1, 2)).softmax(-1) @ y,
}


class Of(nn.Module):
    def __init__(self, function: Callable[..., Tensor], arity: int) -> None:
        super().__init__()
        self.function = function
        self.forward = (lambda x, y: function(x, y)) if arity == 2 else lambda x: function(x)  # type: ignore[method-assign]


def sent(function: Callable[..., Tensor], signals: list[Tensor], blocks: list[int]) -> tuple[Tensor, Tensor]:
    """What the function sends in each step, ``(T, N, ...)``, for signals of that shape; and f of their means."""
    with torch.no_grad():
        graph = to_graph(prepare(Of(function, len(signals)).eval()), tuple(x.mean(0) for x in signals))
        varying = graph.signals()
        roles: dict[str, Any] = {n.name: role_of(n, graph, varying) or in_time(n.op) for n in graph.nodes}
        # A ReLU in the spelling of a function, as in |x|, is part of it.
        numbers = {name: Role.ANALOG if role in (None, Role.SPIKE) else role for name, role in roles.items()}
        nodes = [replace(n, role=str(numbers[n.name])) for n in graph.nodes]
        graph = replace(graph, nodes=nodes, moving=frozenset(graph.inputs))
        mode, start, found = Synchronous({}), 0, []
        for length in blocks:
            mode.begin(length)
            walk = Walk(graph, graph.tensors, [x[0] for x in signals])
            for name, x in zip(graph.inputs, signals, strict=True):
                walk.env[name] = Timed(x[start : start + length])
            walk.run(graph.nodes, mode)
            (name,) = graph.output_names()
            found.append(walk.env[name].real)
            start += length
        return torch.cat(found), function(*(x.mean(0) for x in signals))


def draw(number: int) -> list[Tensor]:
    """Spikes of either sign and of several sizes, mostly none."""
    generator = torch.Generator().manual_seed(number)
    shape = (T, 3, 4, 6)
    return [
        torch.randn(shape, generator=generator).round(decimals=1) * (torch.rand(shape, generator=generator) < 0.4)
        for _ in range(number)
    ]


@pytest.mark.parametrize("name", [*FUNCTIONS, *PRODUCTS])
def test_the_sum_over_time_is_t_times_the_value_at_the_means_in_blocks_of_any_length(name: str) -> None:
    function: Callable[..., Tensor] = FUNCTIONS.get(name) or PRODUCTS[name]
    signals = draw(1 if name in FUNCTIONS else 2)
    whole, wanted = sent(function, signals, [T])
    size = float(wanted.abs().max())
    assert float((whole.sum(0) / T - wanted).abs().max()) < 1e-5 * max(size, 1)
    early = function(*(x[:8].mean(0) for x in signals))
    torch.testing.assert_close(whole.cumsum(0)[7] / 8, early, rtol=1e-4, atol=1e-5)
    for blocks in ([1] * T, [5, 1, 10, 7]):
        torch.testing.assert_close(sent(function, signals, blocks)[0], whole, rtol=0, atol=2e-5 * max(size, 1))


ENDLESS: dict[str, Callable[[Tensor], Tensor]] = {
    "log": torch.log,
    "reciprocal": torch.reciprocal,
    "power": lambda x: x**-1.5,
    "entropy": lambda x: x * x.log(),
    "quotient": lambda x: x / x.sum(-1, keepdim=True),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_is_infinite_before_the_first_spike_is_made_up_for(name: str) -> None:
    (x,) = draw(1)
    x = x.abs().clone()
    x[:3] = 0  # nothing has come yet, so that 0 is what the function is of
    x[3] += 0.1
    whole, wanted = sent(ENDLESS[name], [x], [T])
    assert bool(whole.isfinite().all()) and not bool(whole[:3].any())
    torch.testing.assert_close(whole.sum(0) / T, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sent(ENDLESS[name], [x], [2, 1, 5, 15])[0], whole, rtol=1e-4, atol=1e-4)

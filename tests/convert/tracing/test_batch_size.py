"""Forwards that ask Python for the batch size, or assert something of values: the model itself is the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike
from respike.convert import normal_form
from respike.convert.run.analog import evaluate_graph

Forward = Callable[[Any, Tensor, Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.scores, self.rest = nn.Conv2d(2, 4, 3), nn.Linear(64, 3), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self, x, F.relu(self.conv(x)))


class Activity(nn.Module):
    """What Sinabs' NeuromorphicReLU keeps besides."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(x)
        self.activity = y.sum() / len(y) * 2
        return y


def _unpacked(s: Any, x: Tensor, y: Tensor) -> Tensor:
    n, c, h, w = map(int, y.shape)
    return s.scores(y.view(n, c * h * w))


def _filled(s: Any, x: Tensor, y: Tensor) -> Tensor:
    out = torch.zeros(len(x), 3)
    out[:] = s.scores(y.flatten(1))
    return out + torch.arange(len(x))[:, None] / len(x)


FOLLOWS: dict[str, Forward] = {
    "len": lambda s, x, y: s.scores(y.view(len(x), -1)),
    "int": lambda s, x, y: s.scores(y.view(int(x.shape[0]), -1)),
    "map": _unpacked,
    "numel": lambda s, x, y: s.scores(y.view(x.numel() // 72, -1)),
    "prod": lambda s, x, y: s.scores(y.view(math.prod(map(int, y.shape)) // 64, 64)),
    "a multiple": lambda s, x, y: s.scores(y.view(len(x) * 4, 16).view(len(x), -1)),
    "one more": lambda s, x, y: s.scores(torch.cat([y.flatten(1), y.flatten(1)[:1]])[1 : len(x) + 1]),
    "mean": lambda s, x, y: s.scores((y + y.sum(0, keepdim=True) / float(len(x))).flatten(1)),
    "share": lambda s, x, y: s.scores((y + y.sum(0, keepdim=True) * (1 / len(x))).flatten(1)),
    "share of a shape": lambda s, x, y: s.scores((y + y.sum(0, keepdim=True) * (1 / x.shape[0])).flatten(1)),
    "expand": lambda s, x, y: s.scores((y + torch.ones(1, 4, 1, 1).expand(len(x), -1, -1, -1)).flatten(1)),
    "filled": _filled,
}


def assert_alike(model: nn.Module, sizes: tuple[int, ...] = (1, 2, 4, 31, 50)) -> None:
    """The graph computes what the model does, for any number of samples."""
    x = torch.rand(max(sizes), 2, 6, 6, generator=torch.Generator().manual_seed(1))
    model.eval()
    graph = normal_form(model, (x[:5],))
    with torch.no_grad():
        for size in sizes:
            found = evaluate_graph(graph, [x[:size]])[0]
            assert torch.allclose(found, model(x[:size]), atol=1e-5), size


@pytest.mark.parametrize("name", one_in(3, FOLLOWS))
def test_numbers_that_follow_the_batch_size(name: str) -> None:
    assert_alike(Net(FOLLOWS[name]))


def test_a_number_that_is_kept_besides() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), Activity(), nn.Flatten(), nn.Linear(64, 3))
    x = torch.rand(40, 2, 6, 6)
    snn = respike.from_torch(model, x, 4)
    assert [len(snn(x[:n])) for n in (1, 7, 40)] == [1, 7, 40]


@pytest.mark.parametrize("length", one_in(2, [3, 31, 37, 48]))
def test_an_axis_as_long_as_a_batch_to_trace_with(length: int) -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.hidden, self.scores = nn.Linear(length, length), nn.Linear(length, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.scores(F.relu(self.hidden(x.view(len(x), length))).view(-1, length))

    model, x = Same(), torch.rand(50, 1, length)
    graph = normal_form(model, (x[:4],))
    with torch.no_grad():
        for size in (1, 3, 31, 50):
            assert torch.allclose(evaluate_graph(graph, [x[:size]])[0], model(x[:size]), atol=1e-5)


def _halved(s: Any, x: Tensor, y: Tensor) -> Tensor:
    y = s.scores(y.flatten(1))
    return y[len(x) % 2 :]


def _looped(s: Any, x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([s.scores(z.flatten()) for z in y])


def _branched(s: Any, x: Tensor, y: Tensor) -> Tensor:
    return s.scores((y if len(x) < 20 else 2 * y).flatten(1))


def _constant(s: Any, x: Tensor, y: Tensor) -> Tensor:
    return s.scores(y.flatten(1)) + torch.tensor([[float(i)] for i in range(len(x))])


@pytest.mark.parametrize("forward", one_in(2, [_halved, _looped, _branched, _constant]))
def test_what_depends_on_the_batch_size_otherwise_is_refused(forward: Forward) -> None:
    with pytest.raises(respike.ConversionError, match="depends on the batch size") as caught:
        respike.from_torch(Net(forward), torch.rand(40, 2, 6, 6))
    said = str(caught.value)
    assert "any number of samples" in said
    assert "Suggested fixes" not in said
    if forward is not _constant:
        assert "test_batch_size.py:" in said


def _asserts(s: Any, x: Tensor, y: Tensor) -> Tensor:
    assert not torch.isnan(x).any()
    assert x.min() >= 0 and x.max().item() <= 1, f"from {x.min()} to {x.max()}"
    if not torch.isfinite(y).all():
        raise ValueError("not finite")
    torch._assert((x >= 0).all(), "negative")
    assert _within(x)
    assert len(x) > 0
    return s.scores(y.flatten(1))


def _within(x: Tensor) -> bool:
    if (x > 1).any():
        return False
    return bool((x >= 0).all())


def test_assertions_on_values_are_left_out() -> None:
    assert_alike(Net(_asserts))


def test_an_assertion_that_fails_on_the_samples_is_told() -> None:
    with pytest.raises(respike.ConversionError, match=r"Net fails on calibration samples.*from"):
        respike.from_torch(Net(_asserts), torch.rand(40, 2, 6, 6) * 2)


def _decides(s: Any, x: Tensor, y: Tensor) -> Tensor:
    if y.sum() > 0:
        y = 2 * y
    return s.scores(y.flatten(1))


def _asserts_and_decides(s: Any, x: Tensor, y: Tensor) -> Tensor:
    assert not torch.isnan(x).any()
    return _decides(s, x, y)


@pytest.mark.parametrize("forward", [_decides, _asserts_and_decides])
def test_decisions_on_values_are_refused_with_their_line(forward: Forward, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(respike.ConversionError, match=r"test_batch_size\.py:\d+, 'if y\.sum\(\) > 0:'"):
        respike.from_torch(Net(forward), torch.rand(40, 2, 6, 6))
    assert capfd.readouterr().err == ""

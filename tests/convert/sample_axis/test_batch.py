"""What may be cut into pieces is proven; everything else is run whole, and right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from compositions import compositions
from samples import one_in, slow
from torch import Tensor, nn

import respike
from respike import EarlyExit
from respike.convert.graph.rules import LINEAR, MAXIMA
from respike.convert.sample_axis.rule_table import rule


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Small(nn.Module):
    """Weights, ReLU, whatever is given, weights."""

    def __init__(self, between: Callable[[Tensor], Tensor], wide: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.between = between
        self.a, self.b = nn.Linear(6, 4), nn.Linear(wide, 3)

    def forward(self, x: Tensor) -> Any:
        return self.b(self.between(self.a(x).relu()))


def test_every_operation_of_the_rules_has_a_place_in_the_proof() -> None:
    assert [op for op in (*LINEAR, *MAXIMA) if rule(op) is None] == ["operator.getitem"]


@pytest.mark.parametrize("seed", [1, slow(2)])
def test_random_compositions_are_the_quantised_ann_and_their_pieces_the_whole(seed: int) -> None:
    found = compositions(seed, 8)
    assert 1 <= sum(one.apart for one in found) <= 7  # of both kinds


class Several(nn.Module):
    """Outputs that do not begin with the batch, or depend on its size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        return self.b(self.a(x).relu()), torch.ones(3), x.shape[0], torch.arange(x.shape[0]), 7, "a"


@pytest.mark.usefixtures("two_threads")
def test_outputs_that_depend_on_the_batch_alone_are_those_of_the_ann() -> None:
    x = torch.rand(64, 6)
    snn = respike.from_torch(Several(), x, 4)
    for samples in (1, 2, 64):
        for snn.memory_budget in (None, 1):
            out, ones, count, numbers, seven, a = snn(x[:samples])
            assert out.shape == (samples, 3)
            assert torch.equal(ones, torch.ones(3))
            assert (count, seven, a) == (samples, 7, "a")
            assert torch.equal(numbers, torch.arange(samples))
            assert snn.simulate(x[:samples])[1].shape == (4, 3)


class Constants(Several):
    """Outputs that are the same for every batch, beside one that holds the samples second."""

    def forward(self, x: Tensor) -> Any:
        return self.b(self.a(x).relu()).t(), torch.ones(3), 7


@pytest.mark.usefixtures("two_threads")
def test_outputs_are_joined_along_the_axis_that_holds_the_samples() -> None:
    x = torch.rand(64, 6)
    snn = respike.from_torch(Constants(), x, 4)
    assert len(snn.pieces([x], 4)[0]) == 2
    out, ones, seven = snn(x)
    assert (out.shape, ones.shape, seven) == ((3, 64), (3,), 7)
    torch.testing.assert_close(out[:, :5], snn(x[:5])[0])


def test_a_signal_times_the_batch_size() -> None:
    model = Small(lambda h: h * h.shape[0] / 64)
    x = torch.rand(64, 6)
    snn = respike.from_torch(model, x, 8, schedule="layerwise", correction="none")
    (neurons,) = snn.neurons.values()
    for n in (1, 5, 64):
        with torch.no_grad():
            z = model.a(x[:n])
            h = torch.clamp(torch.floor(z * 8 / neurons.threshold + 0.5), 0, 8) * neurons.threshold / 8
            torch.testing.assert_close(snn(x[:n]), model.b(h * n / 64))


def _rows(h: Tensor) -> Tensor:
    """Something that is done to the rows ``(sequence · samples, features)``."""
    return (h.reshape(-1, 2).flip(1) * torch.tensor([1.0, 2.0])).reshape(h.shape)


APART: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "flip": (lambda h: h.flip(1), 4),
    "index": (lambda h: h[:, [1, 0, 2, 3]], 4),
    "roll": (lambda h: h.roll(1, 1), 4),
    "cumsum": (lambda h: h.cumsum(1), 4),
    "repeat": (lambda h: h.repeat(1, 2)[:, :4], 4),
    "gather": (lambda h: h.gather(1, torch.tensor([[0, 2]]).expand(h.shape[0], -1)), 2),
    "squeeze": (lambda h: h.unsqueeze(1).squeeze(), 4),
    "rows": (lambda h: h.reshape(-1, 2).flip(1).reshape(h.shape[0], -1), 4),
    "class_token": (lambda h: torch.cat([torch.ones(1, 1).expand(h.shape[0], -1), h], 1), 5),
}


@pytest.mark.parametrize("name", one_in(3, APART))
def test_samples_stay_apart_where_the_batch_is_left_alone(name: str) -> None:
    model, x = Small(*APART[name]), torch.rand(40, 6)
    snn = respike.from_torch(model, x, 6)
    early = EarlyExit(snn, x, judge="decision")
    early.threshold = float(early.scores([x])[0][2].median())
    output, steps = early(x)
    assert len(set(steps.tolist())) > 2  # they leave one by one
    at = snn.simulate(x)[torch.arange(40), steps - 1]
    torch.testing.assert_close(output, at)
    snn.memory_budget = 1
    assert len(snn.pieces([x], 6)[0]) == 40


def test_samples_behind_the_sequence_stay_apart_but_cannot_leave() -> None:
    model = Small(lambda h: _rows(h.reshape(-1, 2, 2).transpose(0, 1)).transpose(0, 1).flatten(1), 4)
    x = torch.rand(40, 6)
    snn = respike.from_torch(model, x, 6)
    whole = snn(x)
    snn.memory_budget = 1
    assert len(snn.pieces([x], 6)[0]) == 40
    torch.testing.assert_close(snn(x), whole)
    with pytest.raises(respike.ConversionError, match="not proven to stay apart"):
        EarlyExit(snn, x)


def test_samples_that_meet_cannot_leave() -> None:
    for between in (lambda h: h.flip(0), lambda h: h - h.mean(0), lambda h: h * h.shape[0]):
        x = torch.rand(40, 6)
        snn = respike.from_torch(Small(between), x, 4)
        assert len(snn.pieces([x], 4)[0]) == 1
        with pytest.raises(respike.ConversionError, match="this network mixes them"):
            EarlyExit(snn, x)


def test_an_output_in_which_the_samples_do_not_follow_one_another_is_not_cut() -> None:
    torch.manual_seed(0)
    model, x = Small(lambda h: h.reshape(-1, 2, 2).transpose(0, 1).reshape(-1, 2), 2), torch.rand(40, 6)
    snn = respike.from_torch(model, x, 4)
    assert len(snn.pieces([x], 4)[0]) == 1
    assert torch.equal(snn(x).reshape(2, 40, 3)[:, :7], snn(x[:7]).reshape(2, 7, 3))


class Arguments(nn.Module):
    """One sum of two inputs, given in one structure or another."""

    def __init__(self, taken: Callable[..., tuple[Tensor, Tensor, float]]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.c, self.b = nn.Linear(4, 8), nn.Linear(3, 8), nn.Linear(8, 3)
        self.taken = taken

    def sum(self, x: Tensor, y: Tensor, k: float) -> Tensor:
        return self.b((self.a(x) + self.c(y) * k).relu())


class OneArgument(Arguments):
    def forward(self, d: Any) -> Tensor:
        return self.sum(*self.taken(d))


class ThreeArguments(Arguments):
    def forward(self, k: Any, x: Any, y: Any) -> Tensor:
        return self.sum(*self.taken(k, x, y))


X, Y = torch.rand(41, 4, generator=torch.Generator().manual_seed(0)), torch.rand(41, 3)
STRUCTURES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "dict": (OneArgument(lambda d: (d["x"], d["y"], 1.0)), ({"x": X, "y": Y},)),
    "tuple": (OneArgument(lambda p: (*p, 1.0)), ((X, Y),)),
    "constant": (ThreeArguments(lambda k, x, y: (x, y, k)), (0.5, X, Y)),
    "nested": (ThreeArguments(lambda k, x, y: (x, y[0], k["k"])), ({"k": 2.0}, X, [Y])),
    "number": (ThreeArguments(lambda k, x, y: (x, y, k)), (torch.tensor(0.5), X, Y)),
}


@pytest.mark.parametrize("name", one_in(3, STRUCTURES))
def test_arguments_of_any_structure_are_cut_judged_and_leave_early(name: str) -> None:
    model, args = STRUCTURES[name]
    snn = respike.from_torch(model, [args], 6)
    whole = snn(*args)
    output, steps = EarlyExit(snn, [args], judge="decision")(*args)
    torch.testing.assert_close(output, snn.simulate(*args)[torch.arange(41), steps - 1])
    assert len(respike.diagnose(snn, [args], model, progress=False).layers) == 1
    with torch.no_grad():
        labels = model(*args).argmax(1)
    for batch in ((args, labels), (*args, labels)):
        result = respike.evaluate(snn, [batch], ann=model, progress=False)
        assert result.ann_accuracy == 1
        assert result.samples == 41
    snn.memory_budget = 1
    assert len(snn.pieces(snn.graph.flatten(args), 6)[0]) == 41
    torch.testing.assert_close(snn(*args), whole)

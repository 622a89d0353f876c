"""Inputs that are no numbers are refused, huge ones give the same on every kernel, none at all give an empty output."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from samples import one_in
from torch import Tensor, nn

import respike
from respike.convert.early_exit import EarlyExit
from respike.layers import kernels

CODES: dict[str, dict[str, Any]] = {
    "iaf": {},
    "bursts": {"max_spikes": 3},
    "signed": {"neuron": "signed"},
    "graded": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}
SCHEDULES: Any = ("synchronous", "layerwise", "pipelined")
PRECISIONS: Any = ("float32", "bfloat16", "int8")


class Small(nn.Module):
    """A maximum of two layers, a pool, a residual sum and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.c, self.pool = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.MaxPool2d(2)
        self.b, self.d = nn.Linear(36, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, c = self.a(x).relu(), self.c(x).relu()
        y = self.pool(torch.maximum(a, c)) + self.pool(a)
        return self.d(self.b(y.flatten(1)).relu()).softmax(1)


def images() -> Tensor:
    return torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@cache
def converted(code: str = "iaf") -> respike.SpikingNetwork:
    return respike.from_torch(Small().eval(), images(), 4, correction="none", **CODES[code])


def labels() -> Tensor:
    return torch.zeros(20, dtype=torch.long)


WAYS: dict[str, Callable[[respike.SpikingNetwork, Tensor], Any]] = {
    "snn(x)": lambda snn, x: snn(x),
    "simulate": lambda snn, x: snn.simulate(x),
    "stream": lambda snn, x: snn.stream(len(x))(x),
    "controller": lambda snn, x: respike.Controller(snn)(x),
    "evaluate": lambda snn, x: respike.evaluate(snn, (x, labels()), progress=False),
    "early exit": lambda snn, x: EarlyExit(snn, images(), judge="decision")(x),
    "normalised": lambda snn, x: snn.normalised()(x),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("way", WAYS)
def test_nan_and_infinity_are_refused(way: str, value: float) -> None:
    """Neurons took NaN for nothing and gave a confident answer."""
    x = images()
    x[3, 0, 2, 2] = x[7, 0, 1, 1] = value
    message = r"the input 'x' holds NaN, infinity or .* in 2 of 20 samples \(the first is number 3, counted from 0\)"
    with pytest.raises(ValueError, match=message):
        WAYS[way](converted(), x)


def test_it_is_said_of_the_whole_batch_whatever_it_is_cut_into() -> None:
    snn, x, before = converted(), images(), torch.get_num_threads()
    x[4], x[19] = float("nan"), float("inf")
    torch.set_num_threads(2)
    snn.memory_budget = 1
    try:
        with pytest.raises(ValueError, match="in 2 of 20 samples"):
            snn(x)
    finally:
        torch.set_num_threads(before)
        snn.memory_budget = None


def test_numbers_beyond_float32_are_infinite_there() -> None:
    with pytest.raises(ValueError, match="numbers beyond float32 in 20 of 20 samples"):
        converted()(images().double() * 1e300)


def test_a_stream_goes_on_after_an_input_that_was_refused() -> None:
    snn = converted()
    whole = snn.simulate(images(), timesteps=5)
    run = snn.stream(len(images()))
    first = [run(images()) for _ in range(2)]
    with pytest.raises(ValueError, match="NaN"):
        run(images() * float("nan"))
    second = [run(images()) for _ in range(3)]
    assert torch.equal(torch.stack([*first, *second], 1), whole)


@pytest.mark.parametrize("code", one_in(3, CODES))
def test_huge_values_give_the_same_on_every_kernel(code: str) -> None:
    """Sums of 3e38 times weights are infinite, infinity less infinity is NaN: neurons fire at their limit or not."""
    snn, x = converted(code), images()
    x[::2] *= 3e38
    x[1::2] = (x[1::2] - 0.5) * 1e38
    for schedule in SCHEDULES:
        snn.schedule = schedule
        compiled = snn(x)
        kernels.use("eager")
        try:
            eager = snn(x)
        finally:
            kernels.use(None)
            snn.schedule = "synchronous"
        assert torch.equal(compiled, eager), schedule
        assert bool(eager.isfinite().all()), schedule


@pytest.mark.parametrize("code", CODES)
def test_no_samples_give_an_output_of_none(code: str) -> None:
    snn, none = converted(code), images()[:0]
    for schedule in SCHEDULES:
        for precision in PRECISIONS:
            snn.schedule, snn.precision = schedule, precision
            assert snn(none).shape == (0, 3)
            assert snn.simulate(none, timesteps=2).shape == (0, 2, 3)
    snn.schedule, snn.precision = "synchronous", "float32"
    assert respike.Controller(snn)(none).shape == (0, 3)


def test_no_samples_in_other_forms() -> None:
    snn, none = converted(), images()[:0]
    assert snn.normalised()(none).shape == snn.quantised(8)(none).shape == (0, 3)
    output, steps = EarlyExit(snn, images(), judge="decision")(none)
    assert output.shape == (0, 3) and steps.shape == (0,)
    with pytest.raises(ValueError, match="no data"):
        respike.evaluate(snn, (none, labels()[:0]), progress=False)

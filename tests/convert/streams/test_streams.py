"""Frame by frame: the same numbers as one run, whatever is forgotten, reset or waited for."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import torch
import zoo
from exported import CODES, converted
from frame_networks import small
from samples import one_of_each
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import SpikingNetwork, Stream

pytestmark = pytest.mark.filterwarnings("ignore:this network runs")  # longer than it was made for, on purpose

PRODUCTS = ["masked_by_the_input"]
PRODUCTS += ["index_from_the_input"]
APART = [name for name in zoo.CONVERTS if name not in (*zoo.MEET, *PRODUCTS, "layer_norm_of_the_input")]
PRECISIONS = ["float32", "bfloat16", "int8"]
SCHEDULES: list[Any] = ["synchronous", respike.Pipelined(1), respike.Pipelined(3)]
STEPS = 6


def moving(name: str, **options: Any) -> tuple[SpikingNetwork, list[Tensor]]:
    """A network of the zoo whose inputs move, and frames that differ, ``(N, T, ...)``; inputs that hold still too."""
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    snn = converted(case.build().eval(), *x, steps=STEPS, **zoo.setting(name, {**options, **case.extra})).with_time()
    frames = [torch.stack([v.roll(t, 0) * (0.5 + t / 6) for t in range(STEPS)], 1) for v in x]
    return snn, [f if n in snn.graph.moving else v for n, f, v in zip(snn.graph.inputs, frames, x, strict=True)]


def at(snn: SpikingNetwork, inputs: list[Tensor], t: int) -> tuple[Any, ...]:
    return snn.graph.unflatten(
        [x[:, t] if n in snn.graph.moving else x for n, x in zip(snn.graph.inputs, inputs, strict=True)]
    )


def leaves(tree: Any) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, Tensor)]


def equal(a: Any, b: Any) -> bool:
    """Up to the last bit: dense products round by how many images they get at once. A spike is far more than that."""
    return all(torch.allclose(x, y, rtol=1e-6, atol=1e-6) for x, y in zip(leaves(a), leaves(b), strict=True))


@pytest.mark.parametrize(("name", "code", "precision"), one_of_each(9, APART, list(CODES), PRECISIONS))
def test_each_step_is_that_of_one_run(name: str, code: str, precision: Any) -> None:
    """In outputs of any structure."""
    snn, inputs = moving(name, precision=precision, **CODES[code])
    whole = snn.simulate(*snn.graph.unflatten(inputs))
    with snn.stream(8) as run:
        for t in range(STEPS):
            found = run(*at(snn, inputs, t))
            for a, b, shape in zip(leaves(found), leaves(whole), shapes(snn), strict=True):
                assert equal(a, b[:, t] if shape[:1] == (None,) else b[t])


def shapes(snn: SpikingNetwork) -> list[tuple[int | None, ...]]:
    return [snn.graph.shape(name) or () for name in snn.graph.output_names()]


@pytest.mark.parametrize(
    ("name", "code", "precision", "delay"), one_of_each(9, APART, list(CODES), PRECISIONS, [1, 2, 7], seed=1)
)
def test_pipelined_a_stream_ends_as_one_run(name: str, code: str, precision: Any, delay: int) -> None:
    snn, inputs = moving(name, schedule=respike.Pipelined(delay), precision=precision, **CODES[code])
    run = snn.stream(8)
    for t in range(STEPS):
        run(*at(snn, inputs, t))
    assert equal(run.finish(), snn(*snn.graph.unflatten(inputs)))
    assert run.latency <= delay * snn.plan.waiting
    with pytest.raises(ValueError, match=r"the input has ended; reset\(\) begins another one"):
        run(*at(snn, inputs, 0))
    run.reset()
    for t in range(STEPS):
        run(*at(snn, inputs, t))
    assert equal(run.finish(), snn(*snn.graph.unflatten(inputs)))


@pytest.mark.parametrize(
    ("name", "code", "schedule", "options"),
    one_of_each(8, APART, list(CODES), SCHEDULES, [{}, {"window": 2}, {"forgetting": 0.7}], seed=2),
)
def test_samples_that_are_reset_begin_anew(name: str, code: str, schedule: Any, options: dict[str, Any]) -> None:
    """Bit for bit, while the others go on as if nothing had been."""
    snn, inputs = moving(name, schedule=schedule, **CODES[code])
    run, alone, fresh = (snn.stream(8, **options) for _ in range(3))
    for t in range(4):
        run(*at(snn, inputs, 3 - t))
        alone(*at(snn, inputs, 3 - t))
    assert snn.plan.separable
    run.reset([1, 4, 5])
    assert run.steps.tolist() == [4, 0, 4, 4, 0, 0, 4, 4]
    rows = torch.tensor([1, 4, 5])
    for t in range(STEPS):
        found, went_on, anew = (stream(*at(snn, inputs, t)) for stream in (run, alone, fresh))
        for a, b, c, shape in zip(*map(leaves, (found, went_on, anew)), shapes(snn), strict=True):
            if shape[:1] == (None,):
                each = len(a) // 8
                new = torch.zeros(8, dtype=torch.bool).index_fill(0, rows, True).repeat_interleave(each)
                assert torch.equal(a[new], c[new])
                assert torch.equal(a[~new], b[~new])


def test_a_mask_numbers_and_nothing_say_which_samples() -> None:
    _, snn, frames = small()
    run = snn.stream(64)
    run.reset([1])  # nothing has begun
    run(frames[:, 0])
    mask = torch.arange(64) % 2 == 0
    for samples in (mask, mask.tolist(), mask.nonzero().flatten(), mask.numpy()):
        run.reset(samples)
        assert run.steps.tolist() == [0, 1] * 32
    run.reset([])
    assert run.steps.tolist() == [0, 1] * 32
    run.reset()
    assert not run.steps.any()
    for odd in ([64], [-1], [0.5], "all", torch.ones(3, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.long)):
        with pytest.raises(respike.ConversionError, match="sample"):
            run.reset(odd)


def test_samples_that_meet_are_reset_together() -> None:
    snn, inputs = moving("mean_over_the_batch")
    run = snn.stream(8)
    first = run(*at(snn, inputs, 0))
    with pytest.raises(respike.ConversionError, match="only all samples at once can be reset: this network mixes"):
        run.reset([1])
    run.reset()
    assert equal(run(*at(snn, inputs, 0)), first)


class Parts(nn.Module):
    """Outputs in a dict, one of them behind a pool, one behind a head that is not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3), nn.Linear(36, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> dict[str, Any]:
        pooled = torch.max_pool2d(self.a(x).relu(), 2).flatten(1)
        y = self.b(pooled).relu()
        return {"scores": self.c(y), "parts": (pooled, y)}


def parts(**options: Any) -> tuple[SpikingNetwork, Tensor]:
    frames = torch.rand(10, 12, 1, 8, 8)
    return converted(Parts().eval(), frames[:, 0], steps=12, **options).with_time(), frames


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_windows_and_forgetting_are_sums_over_the_outputs_of_each_step(precision: Any, schedule: Any) -> None:
    """The plain definitions, from what each step alone gives: that is a window of one step."""
    snn, frames = parts(precision=precision, schedule=schedule)
    streams = [snn.stream(10, window=k) for k in (1, 3, 5)] + [snn.stream(10, forgetting=0.8), snn.stream(10)]
    each: list[list[Tensor]] = [[] for _ in range(3)]
    for t, frame in enumerate(frames.unbind(1)):
        one, *others = [leaves(run(frame)) for run in streams]
        if t < streams[0].latency:
            continue
        for kept, value in zip(each, one, strict=True):
            kept.append(value.double())
        for i, kept in enumerate(each):
            weights = 0.8 ** torch.arange(len(kept) - 1, -1, -1.0).double()
            steps = torch.stack(kept)
            faded = (steps * weights.reshape(-1, *[1] * (steps.dim() - 1))).sum(0) / weights.sum()
            for found, wanted in zip(
                others, (steps[-3:].mean(0), steps[-5:].mean(0), faded, steps.mean(0)), strict=True
            ):
                torch.testing.assert_close(found[i].double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_constant_input_is_given_step_by_step() -> None:
    snn, frames = parts()
    still, x = snn.with_time(False), frames[:, 0]
    whole = still.simulate(x)["scores"]
    with still.stream(10) as run:
        assert all(equal(run(x)["scores"], whole[:, t]) for t in range(12))


def test_streams_do_not_disturb_each_other_or_calls() -> None:
    snn, frames = parts()
    whole = snn(frames)
    one, other = snn.stream(10), snn.stream(10)
    for t in range(12):
        last = one(frames[:, t])
        other(1 - frames[:, t])
        if t == 5:
            assert equal(snn(frames), whole)
    assert equal(last, whole)
    assert equal(one.finish(), whole)


def test_mistakes_are_named() -> None:
    snn, frames = parts()
    run = snn.stream(10)
    with pytest.raises(ValueError, match="10 of 10 samples have no estimate yet"):
        run.finish()
    with pytest.raises(ValueError, match="holds 10 samples, and the input 'x' has 4"):
        run(frames[:4, 0])
    with pytest.raises(ValueError, match=r"must have shape \(N, 1, 8, 8\), got \(10, 12, 1, 8, 8\)"):
        run(frames)
    with pytest.raises(respike.ConversionError, match="window and forgetting are two ways"):
        snn.stream(10, window=3, forgetting=0.5)
    for attribute, value in (("precision", "int8"), ("schedule", "pipelined"), ("delay", 4)):
        before = getattr(snn, attribute)
        setattr(snn, attribute, value)
        with pytest.raises(ValueError, match=f"began with {attribute}={before!r}, and the network has {value!r} now"):
            run(frames[:, 0])
        setattr(snn, attribute, before)
    with snn.stream(10) as closed:
        closed(frames[:, 0])
    with pytest.raises(ValueError, match="the stream is closed"):
        closed(frames[:, 0])
    snn.schedule = "layerwise"
    with pytest.raises(respike.ConversionError, match="this network is layerwise"):
        snn.stream(10)


def held(run: Stream) -> int:
    """Bytes of the state."""
    return sum(x.numel() * x.itemsize for x in pytree.tree_leaves(run._mode.state) if isinstance(x, Tensor))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("options", [{}, {"window": 4}, {"forgetting": 0.9}])
def test_the_state_does_not_grow(schedule: Any, options: dict[str, Any]) -> None:
    snn, frames = parts(schedule=schedule)
    run = snn.stream(10, **options)
    run(frames[:, 0])
    before = held(run)
    for t in range(50):
        run(frames[:, t % 12])
        if t % 9 == 0:
            run.reset([t % 10])
    assert held(run) == before > 0


@pytest.mark.slow
def test_memory_does_not_grow_over_100_000_steps() -> None:
    import psutil

    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    x = torch.rand(64, 4)
    snn = converted(model, x, steps=8).with_time()
    process = psutil.Process()
    with snn.stream(64) as run:
        for _ in range(1_000):
            run(x)
        resident = process.memory_info().rss
        tracemalloc.start()
        begun = tracemalloc.get_traced_memory()[0]
        for t in range(100_000):
            if t == 1_000:  # traced, a step takes several times as long
                assert tracemalloc.get_traced_memory()[0] - begun < 100_000
                tracemalloc.stop()
            y = run(x)
        assert int(run.steps[0]) == 101_000
    assert process.memory_info().rss - resident < 16 * 2**20
    torch.testing.assert_close(y, snn(x[:, None].expand(-1, 4096, -1)), rtol=0, atol=0.02)

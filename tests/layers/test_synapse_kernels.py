"""Convolutions by events: against dense ones in double precision, and the same whatever else is in the batch."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from respike.layers import kernels

PLAIN = (1, 1), (1, 1), (1, 1), 1
GEOMETRY = {1: ((1, 1), (0, 0), (1, 1), 1), 3: PLAIN}


def drawn(draw: random.Random) -> tuple[Tensor, Tensor, Tensor | None, tuple[Any, ...]]:
    """Inputs ``(M, C, h, w)`` of which few, many, all or none are 0, weights, bias and how they lie."""
    while True:
        groups, inputs, outputs = (
            draw.choice([1, 1, 2, 3]),
            draw.choice([1, 3, 31, 32, 33, 64]),
            draw.choice([8, 17, 80]),
        )
        kernel = draw.choice([(1, 1), (3, 3), (2, 5), (7, 1)])
        stride, padding = draw.choice([(1, 1), (2, 3)]), draw.choice([(0, 0), (1, 1), (4, 3)])
        dilation, sides = (
            draw.choice([(1, 1), (3, 1), (1, 2), (2, 3)]),
            (draw.choice([1, 5, 11]), draw.choice([1, 4, 9])),
        )
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        if all(n + 2 * p >= r for n, p, r in zip(sides, padding, reach, strict=True)):
            break
    generator = torch.Generator().manual_seed(draw.getrandbits(32))
    weight = torch.randn(groups * outputs, inputs, *kernel, generator=generator)
    bias = torch.randn(groups * outputs, generator=generator) if draw.random() < 0.5 else None
    shape = (draw.choice([0, 1, 3]), groups * inputs, *sides)
    active = torch.rand(shape, generator=generator) < draw.choice([0.0, 0.1, 0.5, 1.0])
    x = active * torch.randn(shape, generator=generator)
    x = (3 * x).round().to(torch.int8) if draw.random() < 0.3 else x
    return x, weight, bias, (stride, padding, dilation, groups)


def drawn_plain(draw: random.Random) -> tuple[Tensor, Tensor, Tensor | None, tuple[Any, ...]]:
    """The same for 3x3 without gaps, on maps large and small."""
    generator = torch.Generator().manual_seed(draw.getrandbits(32))
    inputs, outputs = draw.choice([1, 15, 16, 64, 65, 130, 300]), draw.choice([16, 32, 48, 64, 112, 8, 20])
    padding = draw.choice([(1, 1), (0, 0), (2, 1), (0, 2)])
    sides = draw.choice([3, 5, 6, 7, 12]), draw.choice([3, 6, 8, 13])
    shape = (draw.choice([0, 1, 2, 5]), inputs, *sides)
    active = torch.rand(shape, generator=generator) < draw.choice([0.0, 0.1, 0.5, 1.0])
    x = active * torch.randn(shape, generator=generator)
    x = (3 * x).round().to(torch.int8) if draw.random() < 0.5 else x
    bias = torch.randn(outputs, generator=generator) if draw.random() < 0.5 else None
    return x, torch.randn(outputs, inputs, 3, 3, generator=generator), bias, ((1, 1), padding, (1, 1), 1)


def drawn_points(draw: random.Random) -> tuple[Tensor, Tensor, Tensor | None, tuple[Any, ...]]:
    """The same for 1x1, at each position or some."""
    generator = torch.Generator().manual_seed(draw.getrandbits(32))
    inputs, outputs = draw.choice([1, 16, 63, 64, 130, 200]), draw.choice([1, 16, 24, 64, 100, 128, 150, 300])
    shape = (draw.choice([0, 1, 4]), inputs, draw.choice([1, 5, 20]), draw.choice([1, 4, 17]))
    active = torch.rand(shape, generator=generator) < draw.choice([0.0, 0.1, 0.5, 1.0])
    x = active * torch.randn(shape, generator=generator)
    x = (3 * x).round().to(torch.int8) if draw.random() < 0.5 else x
    bias = torch.randn(outputs, generator=generator) if draw.random() < 0.5 else None
    stride = draw.choice([(1, 1), (2, 2), (1, 3)])
    return x, torch.randn(outputs, inputs, 1, 1, generator=generator), bias, (stride, (0, 0), (1, 1), 1)


def drawn_whole(draw: random.Random) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    """Inputs and weights of 8 bits, up to the largest ones, so that sums of 16 bits would not hold them."""
    generator = torch.Generator().manual_seed(draw.getrandbits(32))
    groups, inputs = draw.choice([1, 1, 2]), draw.choice([3, 64, 200])
    outputs = groups * draw.choice([16, 63, 64, 100, 128, 200, 300])
    kernel, stride = draw.choice([(1, 1), (3, 3), (3, 3), (2, 5)]), draw.choice([(1, 1), (2, 1)])
    padding, dilation = draw.choice([(0, 0), (1, 1), (1, 2)]), draw.choice([(1, 1), (1, 1), (2, 1)])
    least = draw.choice([0, 1, 100, 127])
    shape = (outputs, inputs, *kernel)
    weight = torch.randint(least, 128, shape, generator=generator) * draw.choice([1, -1])
    weight = weight * (1 - 2 * torch.randint(0, 2, shape, generator=generator) * draw.choice([0, 1]))
    shape = (draw.choice([0, 1, 3]), groups * inputs, draw.choice([5, 7]), draw.choice([5, 8]))
    active = torch.rand(shape, generator=generator) < draw.choice([0.0, 0.1, 0.5, 1.0])
    low, high = draw.choice([(1, 2), (-1, 2), (0, 8), (-128, 128), (127, 128), (-128, -127)])
    x = active * torch.randint(low, high, shape, generator=generator)
    return x.to(torch.int8), weight.to(torch.int8), (stride, padding, dilation, groups)


@pytest.mark.parametrize("seed", range(120))
def test_weights_of_8_bits_are_added_up_exactly(seed: int) -> None:
    x, weight, how = drawn_whole(random.Random(seed))
    found = kernels.event_synapses(weight, None, *how)(x)
    wanted = F.conv2d(x.double(), weight.double(), None, *how)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted.float())
    if len(x):
        with pytest.raises(ValueError, match="got float32"):
            kernels.event_synapses(weight, None, *how)(x.float())


@pytest.mark.parametrize("draw", [drawn, drawn_plain, drawn_points])
@pytest.mark.parametrize("seed", range(60))
def test_it_is_the_convolution(seed: int, draw: Callable[..., Any]) -> None:
    x, weight, bias, how = draw(random.Random(seed))
    found = kernels.event_synapses(weight, bias, *how)(x)
    wanted = F.conv2d(x.double(), weight.double(), None if bias is None else bias.double(), *how)
    assert found.shape == wanted.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    size = F.conv2d(x.double().abs(), weight.double().abs(), None if bias is None else bias.double().abs(), *how)
    assert bool(((found - wanted).abs() <= 2e-6 * size + 1e-6).all())  # what rounding so many sums may make of it


def test_sums_of_whole_numbers_are_exact() -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (48, 70, 3, 3), generator=draw)
    spikes = torch.randint(-2, 3, (4, 70, 9, 7), generator=draw).to(torch.int8)
    found = kernels.event_synapses(weight.float(), None, (1, 1), (1, 1), (1, 1), 1)(spikes)
    assert torch.equal(found.long(), F.conv2d(spikes.double(), weight.double(), padding=1).long())


@pytest.mark.parametrize(("outputs", "side"), [(70, 3), (80, 3), (70, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_a_sample_is_the_same_in_any_batch(seed: int, outputs: int, side: int) -> None:
    """Bit for bit: alone, in another place, beside others, as spikes of float32 or as whole numbers."""
    draw = torch.Generator().manual_seed(seed)
    x = (torch.rand(7, 48, 6, 7, generator=draw) < 0.2).float()
    apply = kernels.event_synapses(torch.randn(outputs, 48, side, side, generator=draw), None, *GEOMETRY[side])
    whole = apply(x)
    order = torch.randperm(7, generator=draw)
    assert torch.equal(apply(x[order]), whole[order])
    assert torch.equal(torch.cat([apply(x[i : i + 1]) for i in range(7)]), whole)
    assert torch.equal(apply(x.to(torch.int8)), whole)
    assert torch.equal(apply(x.contiguous(memory_format=torch.channels_last)), whole)


@pytest.mark.parametrize("x", [torch.ones(2, 31, 4, 4), torch.ones(2, 32, 4, 4).double(), torch.ones(32, 4, 4)])
def test_what_lies_otherwise_in_memory_is_refused(x: Tensor) -> None:
    apply = kernels.event_synapses(torch.ones(32, 32, 3, 3), None, (1, 1), (1, 1), (1, 1), 1)
    with pytest.raises(ValueError, match=r"^these synapses read 32 channels of images, got float(32|64) \("):
        apply(x)


def test_what_is_no_number_is_seen() -> None:
    x = torch.zeros(1, 32, 5, 5)
    x[0, 3, 0, 0], x[0, 4, 4, 4] = torch.nan, torch.inf
    weight = torch.ones(32, 32, 3, 3)
    found = kernels.event_synapses(weight, None, (1, 1), (1, 1), (1, 1), 1)(x)
    assert found[0, 0, :2, :2].isnan().all() and found[0, 0, 3:, 3:].isinf().all()
    assert int(found[0, 0].isfinite().sum()) == 25 - 4 - 4


def test_they_pay_for_large_layers_of_float32_on_a_processor() -> None:
    assert kernels.why_dense(torch.ones(64, 64, 3, 3), *PLAIN) == ""
    assert kernels.why_dense(torch.ones(16, 16, 3, 3), *PLAIN) == ""
    few = "products for a position, fewer than"
    assert kernels.why_dense(torch.ones(16, 8, 3, 3), *PLAIN) == f"1,152 {few} 2,048"
    assert kernels.why_dense(torch.ones(16, 16, 3, 3), (2, 2), *PLAIN[1:]) == f"2,304 {few} 4,096"
    points = torch.ones(32, 16, 1, 1), (2, 2), (0, 0), (1, 1), 1
    assert kernels.why_dense(*points) == f"512 {few} 2,048"
    assert kernels.why_dense(*points, shared=True) == ""  # they read what others list anyway
    assert kernels.why_dense(torch.ones(512, 1, 3, 3), *PLAIN[:3], 512) == "1 outputs of a group, fewer than 16"
    assert kernels.why_dense(torch.ones(64, 64, 3, 3).double(), *PLAIN) == "weights in float64"
    assert kernels.why_dense(torch.ones(64, 64, 3, 3, device="meta"), *PLAIN) == "no kernel for eager on meta"
    kernels.use("eager")
    try:
        assert kernels.why_dense(torch.ones(64, 64, 3, 3), *PLAIN) == "no kernel for eager on cpu"
    finally:
        kernels.use(None)

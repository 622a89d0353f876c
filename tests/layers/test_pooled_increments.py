"""Max-pools of sums, differenced: against plain torch, and the compiled ones against the eager one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import LAYOUTS, random
from torch import Tensor

from respike.layers import kernels
from respike.layers.kernels import eager

STEPS = 6
SHAPE = (STEPS, 3, 5, 9, 7)
Compiled = tuple[ModuleType, str]
GEOMETRIES = {  # kernel, stride, padding, dilation
    "tiles": ((2, 2), (2, 2), (0, 0), (1, 1)),
    "overlap and padding": ((3, 3), (2, 2), (1, 1), (1, 1)),
    "every place": ((3, 3), (1, 1), (1, 1), (1, 1)),
    "gaps that no window sees": ((2, 1), (3, 2), (0, 0), (1, 1)),
    "uneven and dilated": ((3, 2), (1, 3), (1, 0), (2, 3)),
    "all of it": ((9, 7), (9, 7), (0, 0), (1, 1)),
}
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


class Pool:
    """A max-pool that counts its calls."""

    def __init__(self, geometry: Any) -> None:
        self.geometry, self.calls = geometry, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        kernel, stride, padding, dilation = self.geometry
        return F.max_pool2d(x, kernel, stride, padding, dilation)


def plain(values: Tensor, geometry: Any) -> Tensor:
    """Pool of cumulative sums, differenced; exact if sums are."""
    pooled = Pool(geometry)(values.float().cumsum(0).flatten(0, 1)).unflatten(0, values.shape[:2])
    return torch.cat([pooled[:1], pooled.diff(dim=0)])


def sixteenths(*shape: int) -> Tensor:
    """Numbers whose sums are exact."""
    return (random(*shape) * 16).round() / 16


def assert_same_pool(compiled: Compiled, values: Tensor, geometry: Any, sums: Any = None) -> Any:
    module, device = compiled
    there = None if sums is None else tuple(s.to(device) for s in sums)
    found = module.pooled_increments(values.to(device), Pool(geometry), there, geometry)
    expected = eager.pooled_increments(values, Pool(geometry), sums, geometry)
    assert expected[0].count_nonzero() > 0
    assert found[0].dtype == expected[0].dtype == values.dtype
    for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert a.dtype == b.dtype and torch.equal(a.cpu(), b)
    return found


@every_geometry
def test_increments_of_the_pool_of_sums(backend: str, geometry: Any) -> None:
    values = sixteenths(*SHAPE)
    found, (total, pooled) = kernels.pooled_increments(values, Pool(geometry), geometry=geometry)
    assert torch.equal(found, plain(values, geometry))
    assert torch.equal(total, values.sum(0))
    assert torch.equal(pooled, Pool(geometry)(total)) and torch.equal(found.sum(0), pooled)


@every_geometry
def test_blocks_of_time_with_carried_sums_make_up_the_whole(backend: str, geometry: Any) -> None:
    values, sums, found = random(*SHAPE), None, []
    for block in values.split([1, 3, 2]):
        increments, sums = kernels.pooled_increments(block, Pool(geometry), sums, geometry)
        found.append(increments)
    whole, last = kernels.pooled_increments(values, Pool(geometry), geometry=geometry)
    assert torch.equal(torch.cat(found), whole)
    assert sums is not None and all(torch.equal(a, b) for a, b in zip(sums, last, strict=True))


@pytest.mark.parametrize("geometry", [None, GEOMETRIES["tiles"]])
def test_without_a_geometry_the_pool_that_is_given_does_it(backend: str, geometry: Any) -> None:
    values, pool = sixteenths(*SHAPE), Pool(GEOMETRIES["tiles"])
    found, _ = kernels.pooled_increments(values, pool, None, geometry)
    assert torch.equal(found, plain(values, pool.geometry))
    if geometry is None or backend == "eager":
        assert pool.calls == STEPS
    else:
        assert pool.calls < STEPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8], ids=str)
@every_geometry
def test_compiled_pools(compiled: Compiled, geometry: Any, dtype: torch.dtype) -> None:
    """In two halves; sums of float32 round here."""
    values = random(*SHAPE) if dtype == torch.float32 else random(*SHAPE).round().to(dtype)
    _, sums = assert_same_pool(compiled, values[:4], geometry)
    assert_same_pool(compiled, values[4:], geometry, tuple(s.cpu() for s in sums))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled_pools_of_every_layout(compiled: Compiled, layout: str) -> None:
    found, _ = assert_same_pool(compiled, LAYOUTS[layout](random(*SHAPE)), GEOMETRIES["overlap and padding"])
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 64, 70])
def test_compiled_pools_of_one_sample_and_many_channels(compiled: Compiled, channels: int) -> None:
    assert_same_pool(compiled, random(1, 1, channels, 6, 6), GEOMETRIES["tiles"])


@pytest.mark.parametrize(
    ("dtype", "samples", "geometry"),
    [
        (torch.float64, 3, GEOMETRIES["tiles"]),
        (torch.float32, 0, GEOMETRIES["tiles"]),
        (torch.float32, 3, None),
    ],
    ids=["float64", "no samples", "no geometry"],
)
def test_the_rest_is_left_to_the_eager_pool(
    compiled: Compiled, dtype: torch.dtype, samples: int, geometry: Any
) -> None:
    module, device = compiled
    pool, values = Pool(GEOMETRIES["tiles"]), sixteenths(STEPS, samples, *SHAPE[2:]).to(device, dtype)
    found, _ = module.pooled_increments(values, pool, None, geometry)
    assert found.dtype == dtype and pool.calls == STEPS
    assert torch.equal(found.float(), plain(values, pool.geometry))


def test_nothing_given_is_changed(compiled: Compiled) -> None:
    module, device = compiled
    geometry = GEOMETRIES["overlap and padding"]
    values = random(*SHAPE).to(device)
    _, sums = module.pooled_increments(values, Pool(geometry), None, geometry)
    copies = [x.clone() for x in (values, *sums)]
    module.pooled_increments(values, Pool(geometry), sums, geometry)
    assert all(torch.equal(a, b) for a, b in zip((values, *sums), copies, strict=True))

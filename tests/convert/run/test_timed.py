"""Values that vary in time, and sums in the order of memory."""

from __future__ import annotations

import pytest
import torch

from respike.convert.run.time_varying import Timed, summed

LAYOUTS = [(0, 1, 2, 3, 4), (0, 1, 3, 4, 2), (4, 1, 0, 3, 2)]


@pytest.mark.parametrize("order", LAYOUTS)
@pytest.mark.parametrize("axis", range(5))
def test_a_sum_is_torchs_and_lies_as_what_it_is_of(order: tuple[int, ...], axis: int) -> None:
    back = [order.index(k) for k in range(5)]
    x = torch.randint(-9, 9, (2, 3, 4, 5, 6), generator=torch.Generator().manual_seed(0)).float()
    x = x.permute(order).contiguous().permute(back)
    found = summed(x, axis)
    assert torch.equal(found, x.sum(axis))
    strides = [n for k, n in enumerate(x.stride()) if k != axis]
    assert sorted(range(4), key=lambda k: -strides[k]) == sorted(range(4), key=lambda k: -found.stride(k))


@pytest.mark.parametrize("kind", [torch.int8, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [None, torch.float32, torch.float64])
@pytest.mark.parametrize("shifted", [False, True])
def test_a_value_is_scaled_and_shifted_and_what_it_is_made_of_stays(
    kind: torch.dtype, scale: torch.dtype | None, shifted: bool
) -> None:
    torch.manual_seed(0)
    values = torch.randint(-3, 4, (4, 2, 3, 5)).to(kind)
    factor = None if scale is None else torch.rand(3, 1).to(scale)
    offset = torch.rand(2, 3, 5) if shifted else None
    before = values.clone()
    found = Timed(values, factor, offset).real
    wanted = values.double() * (1 if factor is None else factor.double()) + (0 if offset is None else offset.double())
    torch.testing.assert_close(found.double(), wanted)
    assert found.dtype == (torch.float64 if torch.float64 in (kind, scale) else torch.float32)
    assert torch.equal(values, before)

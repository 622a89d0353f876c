"""Sums in the order of memory."""

from __future__ import annotations

import pytest
import torch

from respike.convert.run.time_varying import summed

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

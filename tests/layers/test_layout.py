"""One row of each neuron parameter is kept, and it is the right one."""

from __future__ import annotations

import torch

from respike.layers.kernels import layout
from respike.layers.kernels.layout import Layout


def test_one_row_is_kept_of_each_tensor_whatever_the_layout_and_changes_are_seen() -> None:
    value = torch.rand(3, 1, 1)
    first = torch.rand(2, 4, 3, 5, 5)
    last = first.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    before = len(layout._ROWS)
    for values in (first, last, first):
        found = Layout(values)
        spread = torch.empty_like(values).copy_(value.expand(2, 4, 3, 5, 5))
        assert torch.equal(found.row(value), found.flat(spread)[0, 0])
        assert found.row(value) is found.row(value)
        assert len(layout._ROWS) == before + 1
    value.mul_(2)
    assert torch.equal(Layout(first).row(value), value.expand(3, 5, 5).flatten())
    del value
    assert len(layout._ROWS) == before

"""Counts of values of either sign."""

from __future__ import annotations

import torch

from respike.convert.populations.histogram import BITS, HIGH, Histogram


def counted(*parts: torch.Tensor) -> Histogram:
    made = Histogram()
    for part in parts:
        made.add(part)
    return made


def test_neither_order_nor_pieces_matter() -> None:
    x = torch.randn(3, 500, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1e-3], [1.0], [1e3]])
    whole, pieces, other = counted(x), counted(x[2], x[0]), counted(x[1])
    pieces.merge(other)
    assert torch.equal(whole.counts, pieces.counts)
    assert int(whole.counts.sum()) == x.numel()


def test_each_value_is_known_to_less_than_its_bin() -> None:
    x = torch.cat([torch.logspace(-1, 1, 200), -torch.logspace(-1, 1, 200)]).double()
    values, counts = counted(x).points()
    assert torch.equal(values, values.sort().values) and counts.sum() == len(x)
    nearest = (values[:, None] - x).abs().min(0).values
    assert bool((nearest <= x.abs() * 2.0**-BITS).all())


def test_zeros_small_and_large_values() -> None:
    values, counts = counted(torch.tensor([0.0, -0.0, 1e-30, -1e-9, 1.0, -1.0])).points()
    assert counts.tolist() == [1, 4, 1] and values[1] == 0
    values, _ = counted(torch.tensor([1e30, -1e30])).points()
    assert values.abs().max() <= 2.0**HIGH
    assert counted(torch.zeros(0)).points()[0].numel() == 0

"""Decisions and errors of outputs, against the same numbers by hand."""

from __future__ import annotations

import pytest
import torch

from respike.convert.output_judging import Spread, Tally, Yardstick, decision, missed


def test_a_channel_that_is_constant_is_measured_by_the_others() -> None:
    wanted = torch.tensor([[1.0, 1e6], [3.0, 1e6], [5.0, 1e6]])
    spread = Spread()
    for row in wanted.split(1):
        spread.add(row)
    found = wanted + torch.tensor([0.0, 2.0])
    assert float(spread.share(missed(found, wanted))) == pytest.approx((0 + 3 * 4 / 8) / 2)
    tally = Tally(Yardstick("error", 5))
    tally.add(found, wanted)
    assert tally.error == pytest.approx(0.75**0.5)


def test_a_large_mean_does_not_drown_a_small_variance() -> None:
    wanted = (1e6 + torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).double()
    spread = Spread()
    for part in wanted.split(7):
        spread.add(part)
    values = wanted.numpy()
    assert float(spread.share(torch.ones(1))) == pytest.approx(1 / ((values - values.mean()) ** 2).sum(), rel=1e-9)


def test_decisions() -> None:
    scores = torch.tensor([[0.0, 1.0, 0.5], [2.0, 1.0, 0.0]])
    for output, wanted in (
        (scores, [1, 0]),
        (scores[:, :1] - 1, [0, 1]),
        (scores[:, 0] - 1, [0, 1]),
        ((None, {"a": scores}), [1, 0]),
        (torch.tensor([4, 7]), [4, 7]),
    ):
        found = decision(output)
        assert found is not None
        assert found.tolist() == wanted
    assert decision((scores, scores)) is None
    assert decision(torch.tensor(1.0)) is None

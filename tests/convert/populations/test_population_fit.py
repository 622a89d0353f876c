"""Sums of ReLUs against closed forms and against the functions that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from respike.convert.errors import ConversionError
from respike.convert.graph import Population
from respike.convert.populations import fitted

SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "mish": F.mish,
    "square": torch.square,
}
X = np.linspace(-4, 4, 801)
BELL = np.exp(-(X**2) / 4)  # as a batch norm's outputs are spread, somewhat wider


def values(function: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
    found: np.ndarray = function(torch.from_numpy(x)).numpy()
    return found


def missing(found: Population, y: np.ndarray, weight: np.ndarray) -> float:
    """The relative error, computed again."""
    return float(np.sqrt((weight * (found(X) - y) ** 2).sum() / (weight * y**2).sum()))


@pytest.mark.parametrize("k", [2, 4, 8])
def test_a_parabola_is_fitted_as_well_as_can_be(k: int) -> None:
    """The best line to x² on a piece of the length h misses it by h²/(6·√5), a multiple of the second Legendre
    polynomial, which is equal at both ends: so the best lines on k + 1 equal pieces meet. The middle one is level."""
    x, pieces = np.linspace(-1, 1, 3001), k + 1
    found = fitted(x, x**2, np.ones(len(x)), k)
    best = (2 / pieces) ** 2 / (6 * np.sqrt(5))
    assert found.error * np.sqrt((x**4).mean()) == pytest.approx(best, rel=0.01)
    assert np.diff(found.offsets) == pytest.approx(np.full(k - 1, 2 / pieces), rel=0.1)


def test_what_has_few_corners_is_exact() -> None:
    one = fitted(X, np.maximum(X - 0.3, 0), BELL, 1)
    assert (one.signs, one.weights) == ((1,), pytest.approx((1.0,)))
    assert one.offsets == pytest.approx((0.3,)) and one.constant == pytest.approx(0, abs=1e-9)
    assert fitted(X, np.abs(X), BELL, 2).error < 1e-9
    assert fitted(X, values(F.hardsigmoid, X), BELL, 2).error < 1e-9
    assert np.abs(fitted(X, np.abs(X), BELL, 2)(X * 10) - np.abs(X * 10)).max() < 1e-8


@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_falls_with_the_square_of_k(name: str) -> None:
    y = values(SMOOTH[name], X)
    coarse, fine = (fitted(X, y, BELL, k) for k in (8, 32))
    assert fine.error == pytest.approx(missing(fine, y, BELL), rel=1e-6)
    assert fine.error < coarse.error / 9  # 16 for very many hinges; which of the good places is found is luck
    assert fine.error < 0.0015 and len(fine.weights) <= 32


@pytest.mark.parametrize("name", sorted(SMOOTH.keys() - {"square"}))
def test_beyond_the_samples_it_goes_on_as_steep_as_at_the_last_of_them(name: str) -> None:
    y = values(SMOOTH[name], X)
    for k in (4, 8, 16):
        found = fitted(X, y, BELL, k)
        slopes = np.diff(y) / np.diff(X)
        ends = (found(4.0) - found(8.0)) / -4, (found(-4.0) - found(-8.0)) / 4
        assert all(slopes.min() - 0.1 <= slope <= slopes.max() + 0.1 for slope in ends)
        far = np.array([-8.0, 8.0])
        assert np.abs(found(far) - values(SMOOTH[name], far)).max() < 1.5  # and never runs away


def test_it_is_fitted_where_the_inputs_are() -> None:
    y = values(torch.tanh, X)
    left, wide = fitted(X, y, np.exp(-((X + 2) ** 2) * 4), 3), fitted(X, y, np.ones(len(X)), 3)
    near = np.abs(X + 2) < 0.4
    assert np.abs(left(X) - y)[near].max() < np.abs(wide(X) - y)[near].max() / 2


def test_order_and_repeated_points_do_not_matter() -> None:
    y, shuffled = values(F.gelu, X), np.random.default_rng(0).permutation(len(X))
    found = fitted(X, y, BELL, 5)
    assert fitted(X[shuffled], y[shuffled], BELL[shuffled], 5) == found
    twice = fitted(np.tile(X, 2), np.tile(y, 2), np.tile(BELL, 2), 5)
    assert twice(X) == pytest.approx(found(X), abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_points_are_met(count: int) -> None:
    x = np.linspace(1, 2, count)
    found = fitted(x, np.exp(x), np.ones(count), 8)
    assert found(x) == pytest.approx(np.exp(x), rel=1e-3)
    assert fitted(x, 0 * x, np.ones(count), 8)(x) == pytest.approx(0 * x)


def test_a_population_that_is_none_is_refused() -> None:
    with pytest.raises(ConversionError, match="a sign, 1 or -1, an offset and a weight"):
        Population((1, 2), (0.0, 1.0), (1.0, 1.0), 0.0)
    with pytest.raises(ConversionError, match="a sign, 1 or -1, an offset and a weight"):
        Population((1,), (0.0, 1.0), (1.0, 1.0), 0.0)

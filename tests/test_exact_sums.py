"""Sums without rounding, against ``math.fsum`` and fractions."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from respike import exact_sums
from respike.exact_sums import ExactSums, Moments


def wild(rows: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (rows, *shape))
    return signs * np.ldexp(rng.random((rows, *shape)), rng.integers(-1074, 1000, (rows, *shape)))


def test_sums_are_those_of_fsum_in_any_order_and_any_parts() -> None:
    numbers = wild(300, 2, 3)
    wanted = [math.fsum(column) for column in numbers.reshape(300, 6).T]
    whole = ExactSums((2, 3))
    whole.add(numbers)
    assert whole.rounded().ravel().tolist() == wanted
    one, other = ExactSums((2, 3)), ExactSums((2, 3))
    for row in numbers[200:]:
        one.add(row)
    other.add(numbers[:200][::-1])
    one.join(other)
    assert one.rounded().ravel().tolist() == wanted
    assert one.as_dict() == whole.as_dict()


def test_nothing_is_lost_beside_large_numbers() -> None:
    numbers = np.array([1e308, 5e-324, 1e308, -1e308, -1e308, 5e-324])
    sums = ExactSums()
    for number in numbers:
        sums.add(number)
    assert float(sums.rounded()) == 1e-323
    numbers, exponent = sums.whole()
    assert Fraction(numbers[0]) * Fraction(2) ** exponent == 2 * Fraction(5e-324)


def test_parts_go_over_before_they_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_sums, "_MOST", 3)
    numbers = np.random.default_rng(1).standard_normal((500, 4)) * 1e5
    sums = ExactSums((4,))
    sums.add(numbers)
    sums.add(-numbers[:499])
    assert sums.rounded().tolist() == numbers[499].tolist()


@pytest.mark.parametrize(
    "numbers", [wild(9, 5), -np.arange(10.0).reshape(2, 5), np.zeros((1, 5)), -np.ones((3, 5)) / 7]
)
def test_they_go_through_json(numbers: np.ndarray) -> None:
    sums = ExactSums((5,))
    sums.add(numbers)
    found = ExactSums.from_dict(json.loads(json.dumps(sums.as_dict())))
    assert found.rounded().tolist() == sums.rounded().tolist() == [math.fsum(column) for column in numbers.T]
    found.join(sums)
    assert found.rounded().tolist() == [math.fsum([*column, *column]) for column in numbers.T]


def test_counts_are_plain_counts_in_json() -> None:
    sums = ExactSums((2,))
    sums.add([[3.0, 2.0**40], [4.0, 0.0]])
    assert sums.as_dict() == {"shape": [2], "exponent": 0, "sums": [7, 2**40]}


def test_infinities_and_nan_stay() -> None:
    sums = ExactSums((4,))
    sums.add([[math.inf, -math.inf, math.inf, 1.0], [1.0, 2.0, -math.inf, 2.0]])
    other = ExactSums.from_dict(json.loads(json.dumps(sums.as_dict())))
    for found in (sums, other):
        assert str(found.rounded().tolist()) == "[inf, -inf, nan, 3.0]"
    huge = ExactSums()
    huge.add(np.full(3, 1.7e308))
    assert float(huge.rounded()) == math.inf


def test_squares_about_the_mean_are_those_of_fractions() -> None:
    rng = np.random.default_rng(2)
    values = np.stack([1e9 + rng.random(57), rng.standard_normal(57) * 1e-9, np.full(57, 0.1)], 1)
    wanted = []
    for column in values.T.tolist():
        numbers = [Fraction(x) for x in column]
        mean = sum(numbers) / len(numbers)
        wanted.append(float(sum((x - mean) ** 2 for x in numbers)))
    one, other = Moments(), Moments()
    one.add(values[:5])
    other.add(values[:4:-1])
    one.join(other)
    one.join(Moments())
    assert one.about_mean().tolist() == wanted
    assert Moments.from_dict(json.loads(json.dumps(one.as_dict()))).about_mean().tolist() == wanted

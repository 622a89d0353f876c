"""A curve as a sum of ReLUs: the piecewise linear function with k hinges that is nearest to it where its inputs are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Population

Array = NDArray[np.float64]

ROUNDS = 100
"""Steps of an optimisation, at most."""
ENOUGH = 1e-4
"""An optimisation ends when a step makes the squared error smaller by less than this share."""
EVEN = 0.05
"""Share of the hinges that first lie evenly, whatever the curvature is."""
BEYOND = 5e-4
"""Each hinge has this share of the inputs, at least, on its side, as they say how steep the curve is there."""
WORSE = 1.3
"""Of the sums whose error is at most so many times the least, the one is taken to which spikes add least."""
END = 0.1
"""Share of the inputs, on either side, by which it is judged how steep the curve is there."""
STEEPER = 0.05
"""How much steeper or less steep the sum may be, as a share of the range of the curve's slopes."""
APART = 1e-3
"""Hinges of one sign lie this far apart, at least, in shares of the range that each has if all are even."""
NOTHING = 1e-9
"""A hinge is left out if it changes the curve by less than this share of its size."""


def fitted(x: Any, y: Any, weight: Any, k: int) -> Population:
    """The sum of at most k ReLUs and a constant with the least squared error on weighted points.

    Linear splines with free knots. For each choice of the hinges' places the weights follow from linear least squares;
    the places begin where a curve of this curvature wants them, with the density (f''²·p)^(1/5), which is the best for
    many knots (de Boor, "A Practical Guide to Splines", 1978), and go on from there by the steps of Levenberg and
    Marquardt with the weights eliminated (Kaufman, BIT 15, 1975). So the error falls as 1/k². The sum of k ReLUs is
    level between the hinges that open to the left and those that open to the right; where that is best, is tried out.
    The result is the same every time. Beyond the points it goes on as steep as it is at the last of them.

    >>> x = np.linspace(-2, 2, 101)
    >>> found = fitted(x, abs(x), np.ones(101), 2)
    >>> bool(abs(found(x) - abs(x)).max() < 1e-9)
    True

    Args:
        x: Where the curve is known, ``(n,)``, in any order.
        y: The curve there.
        weight: How much each of the points counts, 0 or more, some above 0.
        k: The most ReLUs.

    Returns:
        The sum, its hinges in order of their places.
    """
    x, y, p = (np.asarray(values, dtype=np.float64) for values in (x, y, weight))
    x, which = np.unique(x[p > 0], return_inverse=True)
    y, counts = y[p > 0], np.bincount(which, p[p > 0])
    y = np.bincount(which, p[p > 0] * y) / counts
    problem = _Problem(x, y, counts / counts.sum())
    if len(x) == 1 or problem.size == 0:
        return Population((), (), (), float(y[0]))
    knots = problem.start(k)
    tried = [problem.improved(knots, split) for split in problem.splits(knots)]
    tried = [found for found in tried if problem.sane(*found[2:])] or tried
    enough = WORSE**2 * min(found[0] for found in tried) + (NOTHING * problem.size) ** 2
    return problem.population(*min((f for f in tried if f[0] <= enough), key=lambda f: problem.noise(*f[1:]))[1:])


class _Problem:
    """Points to fit: their places in order, the curve there, and their shares."""

    def __init__(self, x: Array, y: Array, p: Array) -> None:
        self.x, self.y, self.root = x, y, np.sqrt(p)
        self.size = float(np.sqrt((p * y * y).sum()))
        self.range = float(x[-1] - x[0])
        first, last = (int(np.searchsorted(np.cumsum(side), BEYOND)) for side in (p, p[::-1]))
        self.lowest = float(x[min(first, len(x) - 1)])  # of hinges that open to the left
        self.highest = float(x[max(len(x) - 1 - last, 0)])  # of those that open to the right

    def start(self, k: int) -> Array:
        """Places for k hinges by curvature and density."""
        x, p = self.x, self.root**2
        if len(x) <= k + 1:
            return x[:-1]  # of hinges that open to the right: each point is met
        gaps = np.diff(x)
        jumps = np.abs(np.diff(np.diff(self.y) / gaps))
        width = (x[2:] - x[:-2]) / 2
        wanted = (jumps * width) ** 0.4 * p[1:-1] ** 0.2
        even = width / width.sum()
        total = wanted.sum()
        wanted = (1 - EVEN) * wanted / total + EVEN * even if total else even
        found: Array = np.interp((np.arange(k) + 0.5) / k, np.cumsum(wanted) - wanted / 2, x[1:-1])
        return found

    def splits(self, knots: Array) -> list[int]:
        """How many of the hinges open to the left: none, all, and what leaves the level part where the curve is level.

        Of a few all numbers are tried.
        """
        k = len(knots)
        if k <= 4:
            return list(range(k + 1))
        slopes = np.diff(self.y) / np.diff(self.x)
        turns = self.x[1:-1][np.sign(slopes[1:]) != np.sign(slopes[:-1])]
        near = {int(m) for turn in turns[:4] for m in np.searchsorted(knots, turn) + np.arange(-1, 2)}
        return sorted({0, k} | {m for m in near if 0 < m < k})

    def basis(self, knots: Array, signs: Array) -> Array:
        return np.maximum(signs * (self.x[:, None] - knots), 0)

    def solved(self, basis: Array) -> tuple[Array, float]:
        """Constant and weights for hinges at these places, and the squared error."""
        columns = np.concatenate([np.ones((len(self.x), 1)), basis], 1)
        size = np.sqrt((columns**2).mean(0)) + 1e-300
        found, *_ = np.linalg.lstsq(columns / size * self.root[:, None], self.y * self.root, rcond=1e-12)
        found = found / size
        return found, float((((columns @ found - self.y) * self.root) ** 2).sum())

    def improved(self, knots: Array, split: int) -> tuple[float, Array, Array, Array]:
        """Squared error, places, signs, and constant and weights; the first ``split`` hinges open to the left."""
        signs = np.where(np.arange(len(knots)) < split, -1.0, 1.0)
        knots = self.allowed(knots, signs)
        basis = self.basis(knots, signs)
        found, error = self.solved(basis)
        damping = 1e-3
        for _ in range(ROUNDS):
            weights = found[1:]
            moved = -weights * signs * (basis > 0)
            columns = np.concatenate([np.ones((len(self.x), 1)), basis, moved], 1) * self.root[:, None]
            lacking = (self.y - found[0] - basis @ weights) * self.root
            normal = columns.T @ columns
            damped = normal + damping * np.diag(np.diag(normal)) + 1e-15 * np.trace(normal) * np.eye(len(normal))
            step = np.linalg.solve(damped, columns.T @ lacking)[len(found) :]
            trial = self.allowed(knots + step, signs)
            other = self.basis(trial, signs)
            better, less = self.solved(other)
            if less < error:
                done = error - less < ENOUGH * error and damping < 1
                knots, basis, found, error, damping = trial, other, better, less, damping / 5
                if done:
                    break
            else:
                damping *= 4
                if damping > 1e8:
                    break
        return error, knots, signs, found

    def noise(self, knots: Array, signs: Array, found: Array) -> float:
        """How much neurons add to the squared error: what each sends is rounded to a share of the largest it sends."""
        return float(((found[1:] * self.basis(knots, signs).max(0)) ** 2).sum())

    def sane(self, signs: Array, found: Array) -> bool:
        """Whether it goes on, beyond the points, as steep as the curve is somewhere in the last tenth of them."""
        slopes, share = np.diff(self.y) / np.diff(self.x), np.cumsum(self.root**2)
        slack = STEEPER * float(slopes.max() - slopes.min())
        first, last = slopes[share[:-1] <= END], slopes[share[:-1] >= 1 - END]
        left, right = -float(found[1:][signs < 0].sum()), float(found[1:][signs > 0].sum())
        ends = [(left, first if len(first) else slopes[:1]), (right, last if len(last) else slopes[-1:])]
        return all(own.min() - slack <= slope <= own.max() + slack for slope, own in ends)

    def allowed(self, knots: Array, signs: Array) -> Array:
        """Places in order for each sign, within the points and apart from each other."""
        gap = APART * self.range / len(knots)
        found = knots.copy()
        for sign, low, high in ((-1, self.lowest, self.x[-1]), (1, self.x[0], self.highest)):
            own = np.sort(np.clip(knots[signs == sign], low, high))
            steps = gap * np.arange(len(own))
            own = np.maximum.accumulate(own - steps) + steps  # pushed up
            above = own - (high - steps[::-1])
            found[signs == sign] = own - np.maximum(above, 0)  # and back from the end
        return found

    def population(self, knots: Array, signs: Array, found: Array) -> Population:
        """The result, without what does nothing."""
        weights = found[1:]
        matters = np.abs(weights) * np.sqrt(((self.basis(knots, signs) * self.root[:, None]) ** 2).sum(0))
        kept = matters > NOTHING * self.size
        found, error = self.solved(self.basis(knots[kept], signs[kept]))
        return Population(
            tuple(int(s) for s in signs[kept]),
            tuple(float(o) for o in knots[kept]),
            tuple(float(w) for w in found[1:]),
            float(found[0]),
            float(np.sqrt(error) / self.size),
        )

"""A smooth function of one signal as a sum of ReLUs, each a layer of neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConversionError


@dataclass(frozen=True)
class Population:
    """The function c + Σ w_i·ReLU(s_i·(x − o_i)).

    >>> from respike.convert.graph import Population
    >>> Population((-1, 1), (0.0, 0.0), (1.0, 1.0), 0.0)([-3.0, 2.0])  # the magnitude
    array([3., 2.])

    Attributes:
        signs: s_i, 1 or −1.
        offsets: o_i, in units of the signal.
        weights: w_i.
        constant: c.
        error: Root mean square of the difference from the function it stands for, on the calibration samples' values of
            the signal, as a share of the function's own root mean square there.
        where: The function's place in the user's model.

    Raises:
        ConversionError: other signs, or not as many offsets and weights.
    """

    signs: tuple[int, ...]
    offsets: tuple[float, ...]
    weights: tuple[float, ...]
    constant: float
    error: float = 0.0
    where: str = ""

    def __post_init__(self) -> None:
        if not len(self.signs) == len(self.offsets) == len(self.weights) or not set(self.signs) <= {1, -1}:
            raise ConversionError("a population needs a sign, 1 or -1, an offset and a weight for each ReLU")

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """Its values at ``x``, of any shape."""
        given = np.asarray(x, dtype=np.float64)
        found = np.full(given.shape, self.constant)
        for sign, offset, weight in zip(self.signs, self.offsets, self.weights, strict=True):
            found += weight * np.maximum(sign * (given - offset), 0)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Place, cost and error, in what JSON can hold."""
        return {"where": self.where, "neurons": len(self.weights), "error": self.error}

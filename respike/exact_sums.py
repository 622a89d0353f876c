"""Sums of floating point numbers without rounding, so that the order in which numbers come does not matter.

Each number is a whole number times a power of two. The whole numbers are added up in parts of 32 bits (the long
accumulator of Kulisch, "Computer Arithmetic and Validity", 2013), of which only those exist that were needed; what is
asked for in the end is rounded once, as ``math.fsum`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

BITS = 32
_LOW = np.int64(2**BITS - 1)
_MOST = 2**28
"""Numbers that are added up in one part before what is beyond 32 bits goes on to the next part."""
_AT_ONCE = 2**14
"""Numbers that are taken apart at once, so that they stay in a core's cache."""
_UPPER_HALF = np.int64(-(2**27))
"""The bits of a float64 that are left if its significand is cut to 26 bits."""


class ExactSums:
    """Sums of an array's shape, exact in any order.

    >>> from respike.exact_sums import ExactSums
    >>> sums = ExactSums()
    >>> for number in (1e300, 1.0, -1e300):
    ...     sums.add(number)
    >>> float(sums.rounded())
    1.0

    Args:
        shape: Of the array.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape = shape
        self.parts: dict[int, NDArray[np.int64]] = {}  # part k counts in 2**(32 k)
        self.beyond = np.zeros(shape)  # the sum of infinities and NaN
        self._added = 0

    def add(self, numbers: ArrayLike) -> None:
        """More numbers, ``(..., *shape)``: axes before those of the sums are added up too."""
        given = np.asarray(numbers, dtype=np.float64)
        if not given.size:
            return
        rows = given.reshape(-1, *self.shape)
        size = max(1, _AT_ONCE // max(1, rows[:1].size))
        for start in range(0, len(rows), size):
            self._add(rows[start : start + size])

    def join(self, other: ExactSums) -> None:
        """What another one has added up."""
        self._carry()
        other._carry()
        for k, part in other.parts.items():
            self._part(k)[...] += part
        self.beyond = self.beyond + other.beyond
        self._added += 2

    def whole(self) -> tuple[list[int], int]:
        """The sums as whole numbers, flat, and the exponent e of what they count, 2**e; infinities are left out."""
        self._carry()
        lowest = min(self.parts, default=0)
        found = [0] * int(np.prod(self.shape, dtype=np.int64))
        for k, part in self.parts.items():
            shift = BITS * (k - lowest)
            for place, value in enumerate(part.ravel().tolist()):
                if value:
                    found[place] += value << shift
        return found, BITS * lowest

    def rounded(self) -> NDArray[np.float64]:
        """The sums, each rounded once."""
        numbers, exponent = self.whole()
        found = np.array([ratio(n, 1, exponent) for n in numbers]).reshape(self.shape)
        return np.where(self.beyond == 0, found, self.beyond)

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold: sums are ``sums`` times two to the power of ``exponent``."""
        numbers, exponent = self.whole()
        used = [n for n in numbers if n]
        spare = min(((n & -n).bit_length() - 1 for n in used), default=-exponent)  # so that counts are plain counts
        spare = min(spare, -exponent) if exponent < 0 else -exponent
        numbers = [n >> spare if spare >= 0 else n << -spare for n in numbers]
        found = {"shape": list(self.shape), "exponent": exponent + spare, "sums": numbers}
        beyond = [str(x) for x in self.beyond.ravel()] if bool((self.beyond != 0).any()) else None
        return found if beyond is None else {**found, "beyond": beyond}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> ExactSums:
        """What ``as_dict`` gave.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        made = cls(tuple(int(n) for n in found["shape"]))
        exponent = int(found["exponent"])
        numbers = [int(n) << (exponent % BITS) for n in found["sums"]]
        k = exponent // BITS
        while any(numbers):
            low = np.array([n & int(_LOW) for n in numbers], dtype=np.int64)
            made._part(k)[...] += low.reshape(made.shape)
            numbers = [n >> BITS for n in numbers]
            k += 1
            if numbers and all(n in (0, -1) for n in numbers):  # the sign alone is left
                made._part(k)[...] += np.array(numbers, dtype=np.int64).reshape(made.shape)
                break
        if "beyond" in found:
            made.beyond = np.array([float(x) for x in found["beyond"]]).reshape(made.shape)
        return made

    def _part(self, k: int) -> NDArray[np.int64]:
        return self.parts.setdefault(k, np.zeros(self.shape, dtype=np.int64))

    def _add(self, rows: NDArray[np.float64]) -> None:
        if self._added + len(rows) > _MOST:
            self._carry()
        self._added += len(rows)
        finite = np.isfinite(rows)
        if not finite.all():
            with np.errstate(invalid="ignore"):
                self.beyond = self.beyond + np.where(finite, 0.0, rows).sum(0)
            rows = np.where(finite, rows, 0.0)
        mantissa, exponent = np.frexp(rows)
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        place, shift = np.divmod(exponent.astype(np.int64) - 53, BITS)
        low = (whole & _LOW) << shift  # below 2**63
        high = (whole >> BITS) << shift
        pieces = (low & _LOW, (low >> BITS) + (high & _LOW), high >> BITS)
        used = whole != 0
        for k in np.unique(place[used]).tolist():
            here = used & (place == k)
            for more, piece in enumerate(pieces):
                self._part(k + more)[...] += np.where(here, piece, 0).sum(0)

    def _carry(self) -> None:
        """Bring each part below 2**32, but for the last, which has the sign."""
        self._added = 1
        for k in range(min(self.parts, default=0), max(self.parts, default=-1)):
            part = self._part(k)
            self._part(k + 1)[...] += part >> BITS
            part &= _LOW
        last = max(self.parts, default=0)
        while self.parts and bool((np.abs(self.parts[last]) > _LOW).any()):
            self._part(last + 1)[...] += self.parts[last] >> BITS
            self.parts[last] &= _LOW
            last += 1


class Moments:
    """Sums and sums of squares of columns of numbers, without rounding.

    So the spread about the mean does not depend on the order of the rows, nor on which come together, and a large mean
    does not drown a small variance.

    >>> from respike.exact_sums import Moments
    >>> moments = Moments()
    >>> for rows in ([[1e9]], [[1e9 + 1], [1e9 + 2]]):
    ...     moments.add(np.array(rows))
    >>> moments.about_mean()
    array([2.])

    Attributes:
        rows: How many rows there were.
        sums: Of each column, ``(K,)``.
        squares: Sums of squares of each column, ``(K,)``.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.sums, self.squares = ExactSums((0,)), ExactSums((0,))

    def add(self, values: NDArray[np.float64]) -> None:
        """More rows, ``(N, K)``."""
        if not len(values):
            return
        self._begin(values.shape[1])
        self.rows += len(values)
        self.sums.add(values)
        # In halves of 26 and 27 bits, whose products are exact.
        large = (np.ascontiguousarray(values).view(np.int64) & _UPPER_HALF).view(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            small = values - large
            self.squares.add(large * large)
            if small.any():
                self.squares.add(2 * large * small)
                self.squares.add(small * small)

    def join(self, other: Moments) -> None:
        """The rows of another one."""
        if other.rows:
            self._begin(*other.sums.shape)
            self.rows += other.rows
            self.sums.join(other.sums)
            self.squares.join(other.squares)

    def about_mean(self) -> NDArray[np.float64]:
        """Sums of squares about the mean of each column, ``(K,)``, each rounded once; NaN if there are infinities."""
        (sums, one), (squares, two) = self.sums.whole(), self.squares.whole()
        low = min(2 * one, two)
        found = [  # squares of less than 1e-160 are lost, those of the sums are not
            ratio(max(0, (self.rows * b << (two - low)) - (a * a << (2 * one - low))), max(self.rows, 1), low)
            for a, b in zip(sums, squares, strict=True)
        ]
        odd = (self.sums.beyond != 0) | (self.squares.beyond != 0)
        return np.where(odd, np.nan, np.array(found))

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        return {"rows": self.rows, "sums": self.sums.as_dict(), "squares": self.squares.as_dict()}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What ``as_dict`` gave.

        Raises:
            KeyError, TypeError, ValueError: something else.
        """
        made = cls()
        made.rows = int(found["rows"])
        made.sums, made.squares = (ExactSums.from_dict(found[name]) for name in ("sums", "squares"))
        return made

    def _begin(self, count: int) -> None:
        if not self.rows:
            self.sums, self.squares = ExactSums((count,)), ExactSums((count,))


def ratio(above: int, below: int, exponent: int = 0) -> float:
    """``above / below · 2**exponent``, rounded once; infinite where it is too large."""
    if exponent >= 0:
        above <<= exponent
    else:
        below <<= -exponent
    try:
        return above / below
    except OverflowError:
        return float("inf") if above > 0 else float("-inf")

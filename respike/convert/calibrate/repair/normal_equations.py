"""Ridge regression in closed form, for several λ: by the inputs' Gram matrix, or by that of the rows if they are fewer.

    W = (XᵀX + λ)⁻¹·XᵀY = Xᵀ·(XXᵀ + λ)⁻¹·Y

X and Y are centred, so that a bias without penalty is taken out of the system: channels that never vary, which it alone
can tell, leave nothing behind that could not be solved. What is left is positive semidefinite, and λ makes it definite.
Rows, and products of them, are summed in float32 over one chunk, and from chunk to chunk in float64. Of several
processes each takes some of the chunks; rank 0 adds up in the order of the chunks, solves, and tells the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from typing import TypeVar

import torch
from torch import Tensor

from ....ranks import here
from .gathered_rows import Chunk

BYTES = 16
"""Of a number of a Gram matrix: in float64, and factorised."""
SOLVED = 28
"""Of a weight: right side, solution and its copy in float64, and three of the changes compared."""
GATHERED = 11
"""Of an input of a row: those of some rows in float32, and those of all of them twice while they are put together."""
MISSING = 48
"""Of an output of a row: as for weights, and what is missing, before it is centred and after."""
STRIPE = 256
"""Rows of a Gram matrix that are computed at once, as far as the diagonal: the rest of it is the same."""


def fits_by_inputs(inputs: int, outputs: int, groups: int, room: int) -> bool:
    """Whether so many bytes hold the Gram matrices of the inputs and what is solved with them."""
    return groups * inputs * (BYTES * inputs + SOLVED * outputs) <= room


def most_rows(inputs: int, outputs: int, groups: int, room: int) -> int:
    """How many rows, R, can be solved for by their own Gram matrix in so many bytes: the positive root of

    BYTES·R² + (GATHERED·inputs + MISSING·outputs)·R = room for a group.
    """
    half = (GATHERED * inputs + MISSING * outputs) / (2 * BYTES)
    return max(1, int((half**2 + room / (BYTES * groups)) ** 0.5 - half))


def solving(rows: int, inputs: int, outputs: int, groups: int) -> float:
    """About how many multiply-accumulates it takes to gather, solve and judge so many rows."""
    # Three factorisations and four solutions in float64, at half the speed; six changes judged, one on the rows fitted.
    by_inputs = inputs**2 * (rows + 2 * inputs + 8 * outputs) + 6 * rows * inputs * outputs
    by_rows = rows**2 * (6 * inputs + 2 * rows + 8 * outputs) + rows * inputs * outputs
    return float(groups * min(by_inputs, by_rows))


class _Definite:
    """A Gram matrix plus λ, factorised; the last one is kept, as it is often asked for again.

    Args:
        gram: ``(G, n, n)``, in float64, of which the part below the diagonal counts; λ is put on the diagonal in place,
            as another copy may not fit.
        scale: The unit of λ, ``(G,)``.
    """

    def __init__(self, gram: Tensor, scale: Tensor) -> None:
        self.gram, self.scale = gram, scale
        self.diagonal = gram.diagonal(dim1=1, dim2=2).clone()
        self.strength, self.factor = inf, gram.new_zeros(0)

    def solved(self, strength: float, right: Tensor) -> Tensor:
        """(gram + λ)⁻¹·right; not finite where numbers are not, so that nobody chooses it."""
        if strength == inf:
            return torch.zeros_like(right)
        if self.strength != strength:
            self.factor = self.gram.new_zeros(0)  # two of them would not fit
            self.gram.diagonal(dim1=1, dim2=2).copy_(self.diagonal + strength * self.scale[:, None])
            self.factor, _ = torch.linalg.cholesky_ex(self.gram)
            self.strength = strength
        # Not cholesky_solve, which copies the factor.
        half = torch.linalg.solve_triangular(self.factor, right, upper=False)
        found: Tensor = torch.linalg.solve_triangular(self.factor.mT, half, upper=True)
        return found


AT_ONCE = 2**18
"""Numbers of a chunk's products up to which those of all chunks are exchanged at once."""
Found = TypeVar("Found")
Missing = tuple[Iterable[Chunk], Callable[[Chunk], Tensor]]
"""All chunks, and what a chunk's Y is."""


class ByInputs:
    """By XᵀX, ``(G, K, K)``. A change is that of the weights, and of the bias behind them: ``(G, K + 1, outputs)``.

    Args:
        chunks: The rows; read once here.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
    """

    def __init__(self, chunks: Iterable[Chunk], shape: tuple[int, int, int], device: torch.device) -> None:
        groups, self.size, self.outputs = shape
        self.ranks, self.device = here(), device
        self.definite: _Definite | None = None
        first = self.ranks.first
        gram = torch.zeros(groups, *(2 * [self.size] if first else [0, 0]), dtype=torch.double, device=device)
        self.sums = torch.zeros(groups, self.size, dtype=torch.double, device=device)
        self.count = 0.0
        for weight, rows, sums, products in _shared(chunks, self._products, groups * self.size**2):
            if not first:
                continue
            for start, product in zip(range(0, self.size, STRIPE), products, strict=True):
                stop = start + product.shape[1]
                gram[:, start:stop, :stop].add_(product.to(device), alpha=weight)
            self.sums.add_(sums.to(device), alpha=weight)
            self.count += weight * rows
        if first:
            scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
            gram.baddbmm_(self.sums[:, :, None], self.sums[:, None] / self.count, alpha=-1)
            self.definite = _Definite(gram, scale)

    def _products(self, chunk: Chunk) -> tuple[float, int, Tensor, Iterable[Tensor]]:
        """Of a chunk its weight, how many rows it has, their sum, and XᵀX stripe by stripe, as far as the diagonal."""
        x = chunk.inputs
        ends = [(start, min(start + STRIPE, self.size)) for start in range(0, self.size, STRIPE)]
        products = (x[:, :, start:stop].transpose(1, 2) @ x[:, :, :stop] for start, stop in ends)
        return chunk.weight, x.shape[1], x.sum(1), products if self.ranks.alone else list(products)

    def solutions(self, missing: Missing, strengths: Iterable[float]) -> Iterator[Tensor]:
        """The change for each λ, in units of the inputs' mean square; solved by rank 0.

        Args:
            missing: Each chunk, and what gives its Y, ``(G, rows, outputs)``.
            strengths: Those λ; an infinite one leaves the bias alone.
        """
        groups = len(self.sums)
        right = torch.zeros(groups, self.size, self.outputs, dtype=torch.double, device=self.device)
        total = right.new_zeros(groups, self.outputs)
        chunks, found = missing

        def products(chunk: Chunk) -> tuple[float, Tensor, Tensor]:
            y = found(chunk)
            return chunk.weight, chunk.inputs.transpose(1, 2) @ y, y.sum(1)

        for weight, product, sums in _shared(chunks, products, groups * self.size * self.outputs):
            if self.ranks.first:
                right.add_(product.to(self.device), alpha=weight)
                total.add_(sums.to(self.device), alpha=weight)

        def solved(strength: float) -> Tensor:
            assert self.definite is not None
            weights = self.definite.solved(strength, right)
            return _joined(weights, (total - (self.sums[:, None] @ weights).squeeze(1)) / self.count)

        if self.ranks.first:
            right.baddbmm_(self.sums[:, :, None], total[:, None] / self.count, alpha=-1)
        for strength in strengths:
            yield self.ranks.once(partial(solved, strength)).to(self.device)

    def features(self, inputs: Tensor) -> Tensor:
        """What a change is multiplied with to give the response to inputs ``(G, rows, K)``."""
        return inputs

    def as_weights(self, change: Tensor) -> Tensor:
        """A change of the weights and the bias, ``(G, K + 1, outputs)``."""
        return change

    def finish(self) -> None:
        """Forget what was needed to solve; responses can still be computed."""
        self.definite = None


class ByRows:
    """By XXᵀ, ``(G, R, R)``, with all R rows in memory.

    A change is (XXᵀ + λ)⁻¹·Y, and the mean of Y behind it: ``(G, R + 1, outputs)``. As R is small that takes less room
    than the weights, and less work to try out.

    Args:
        chunks: The rows.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
    """

    def __init__(self, chunks: Iterable[Chunk], shape: tuple[int, int, int], device: torch.device) -> None:
        del shape
        parts = list(chunks)
        weight = torch.cat([torch.full((c.inputs.shape[1],), c.weight, dtype=torch.double) for c in parts]).to(device)
        self.share = weight / weight.sum()
        self.root = weight.sqrt()
        x = torch.cat([c.inputs for c in parts], 1)
        del parts
        self.size = x.shape[1]
        self.mean = torch.einsum("r,grk->gk", self.share.float(), x)[:, None]
        # Σ w·x² over all inputs, as the other way has it, before the mean is taken away.
        squares = torch.stack([row.square().sum(-1, dtype=torch.double) for row in x.unbind(1)], 1)
        scale = ((squares * weight).sum(1) / x.shape[2]).clamp(min=1e-12)
        self.x = x.sub_(self.mean).mul_(self.root.float()[:, None])
        self.ranks, self.definite = here(), None
        if self.ranks.first:
            self.definite = _Definite((x @ x.transpose(1, 2)).double(), scale)

    definite: _Definite | None

    def solutions(self, missing: Missing, strengths: Iterable[float]) -> Iterator[Tensor]:
        """See ``ByInputs.solutions``."""
        chunks, found = missing
        y = torch.cat([y.to(self.x) for y in self.ranks.each(chunks, found)], 1).double()
        mean = torch.einsum("r,gro->go", self.share, y)
        right = y.sub_(mean[:, None]).mul_(self.root[:, None])

        def solved(strength: float) -> Tensor:
            assert self.definite is not None
            return _joined(self.definite.solved(strength, right), mean)

        for strength in strengths:
            yield self.ranks.once(partial(solved, strength)).to(self.x)

    def features(self, inputs: Tensor) -> Tensor:
        """See ``ByInputs.features``."""
        return (inputs - self.mean) @ self.x.transpose(1, 2)

    def as_weights(self, change: Tensor) -> Tensor:
        """See ``ByInputs.as_weights``."""
        weights = self.x.transpose(1, 2) @ change[:, :-1]
        return torch.cat([weights, change[:, -1:] - self.mean @ weights], 1)

    def finish(self) -> None:
        """See ``ByInputs.finish``."""
        self.definite = None


Solver = Callable[[Iterable[Chunk], "tuple[int, int, int]", torch.device], "ByInputs | ByRows"]


def _shared(chunks: Iterable[Chunk], work: Callable[[Chunk], Found], numbers: int) -> Iterable[Found]:
    """``work`` of each chunk, in their order; what is small is exchanged once for all chunks, as that takes less time.

    Args:
        chunks: The same in all processes.
        work: Gives so many numbers.
        numbers: How many.
    """
    ranks = here()
    if ranks.alone or numbers > AT_ONCE:
        return ranks.each(chunks, work)
    return ranks.divided(chunks, lambda some: map(work, some))


def _joined(change: Tensor, bias: Tensor) -> Tensor:
    """``(G, n + 1, outputs)``, in float32."""
    found = torch.empty(len(change), change.shape[1] + 1, change.shape[2], device=change.device)
    found[:, :-1], found[:, -1] = change, bias
    return found

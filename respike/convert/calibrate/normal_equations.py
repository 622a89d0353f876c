"""Ridge regression in closed form, for several λ: by the inputs' Gram matrix, or by that of the rows if they are fewer.

    W = (XᵀX + λ)⁻¹·XᵀY = Xᵀ·(XXᵀ + λ)⁻¹·Y

X and Y are centred, so that a bias without penalty is taken out of the system: channels that never vary, which it alone
can tell, leave nothing behind that could not be solved. What is left is positive semidefinite, and λ makes it definite.
Products of rows are summed in float32 over one chunk, and from chunk to chunk in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf

import torch
from torch import Tensor

from .gathered_rows import Chunk

BYTES = 24
"""Of a number of a Gram matrix: in float64, with λ, and factorised."""


def fits_by_inputs(inputs: int, groups: int, room: int) -> bool:
    """Whether so many bytes hold the Gram matrices of the inputs."""
    return BYTES * groups * inputs**2 <= room


def most_rows(inputs: int, outputs: int, groups: int, room: int) -> int:
    """How many rows their own Gram matrix can be solved for in so many bytes: 4·R·(inputs + 2·outputs) + 24·R²."""
    half = (inputs + 2 * outputs) / 12
    return max(1, int((half**2 + room / (BYTES * groups)) ** 0.5 - half))


class ByInputs:
    """By XᵀX, ``(G, K, K)``.

    Args:
        chunks: The rows; read once here.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
    """

    def __init__(self, chunks: Iterable[Chunk], shape: tuple[int, int, int], device: torch.device) -> None:
        groups, inputs, self.outputs = shape
        self.gram = torch.zeros(groups, inputs, inputs, dtype=torch.double, device=device)
        self.sums = torch.zeros(groups, inputs, dtype=torch.double, device=device)
        self.count = 0.0
        for chunk in chunks:
            x = chunk.inputs
            self.gram += (x.transpose(1, 2) @ x).double() * chunk.weight
            self.sums += x.sum(1, dtype=torch.double) * chunk.weight
            self.count += chunk.weight * x.shape[1]
        self.scale = self.gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
        self.gram -= self.sums[:, :, None] * (self.sums / self.count)[:, None]

    def solutions(self, missing: Iterable[tuple[Chunk, Tensor]], strengths: Iterable[float]) -> Iterator[Tensor]:
        """For each λ, in units of the inputs' mean square, ``(G, K + 1, outputs)``, the bias last.

        Args:
            missing: Each chunk with its Y, ``(G, rows, outputs)``.
            strengths: Those λ; an infinite one leaves the bias alone.
        """
        right = self.gram.new_zeros(*self.gram.shape[:2], self.outputs)
        total = self.gram.new_zeros(len(right), self.outputs)
        for chunk, y in missing:
            right += (chunk.inputs.transpose(1, 2) @ y).double() * chunk.weight
            total += y.sum(1, dtype=torch.double) * chunk.weight
        right -= self.sums[:, :, None] * total[:, None] / self.count
        for strength in strengths:
            weights = _solved(self.gram, strength, self.scale, right)
            bias = (total - (self.sums[:, None] @ weights).squeeze(1)) / self.count
            yield torch.cat([weights, bias[:, None]], 1).float()


class ByRows:
    """By XXᵀ, ``(G, R, R)``, with all rows in memory.

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
        self.mean = torch.einsum("r,grk->gk", self.share.float(), x)
        # Σ w·x² over all inputs, as the other way has it, before the mean is taken away.
        squares = torch.stack([row.square().sum(-1, dtype=torch.double) for row in x.unbind(1)], 1)
        self.scale = ((squares * weight).sum(1) / x.shape[2]).clamp(min=1e-12)
        self.x = (x - self.mean[:, None]).mul_(self.root.float()[:, None])
        self.gram = (self.x @ self.x.transpose(1, 2)).double()

    def solutions(self, missing: Iterable[tuple[Chunk, Tensor]], strengths: Iterable[float]) -> Iterator[Tensor]:
        """See ``ByInputs.solutions``."""
        y = torch.cat([y for _, y in missing], 1).double()
        mean = torch.einsum("r,gro->go", self.share, y)
        right = (y - mean[:, None]) * self.root[:, None]
        for strength in strengths:
            weights = self.x.transpose(1, 2) @ _solved(self.gram, strength, self.scale, right).float()
            bias = mean.float() - (self.mean[:, None] @ weights).squeeze(1)
            yield torch.cat([weights, bias[:, None]], 1)


Solver = Callable[[Iterable[Chunk], "tuple[int, int, int]", torch.device], "ByInputs | ByRows"]


def _solved(gram: Tensor, strength: float, scale: Tensor, right: Tensor) -> Tensor:
    """(gram + λ)⁻¹·right; not finite where numbers are not, so that nobody chooses it."""
    if strength == inf:
        return torch.zeros_like(right)
    system = gram.clone()
    system.diagonal(dim1=1, dim2=2).add_(strength * scale[:, None])
    factor, _ = torch.linalg.cholesky_ex(system)
    del system
    return torch.cholesky_solve(right, factor)

"""Least squares with a penalty, over rows that are gathered piece by piece and may be too many for memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from .memory_or_disk import Array, Store

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""λ in units of the inputs' mean square."""
SWEEPS = 3


class Chunk(NamedTuple):
    """Some rows, all of one weight.

    Attributes:
        weight: w.
        inputs: What arrives, ``(G, rows, K)``.
        given: The current that it leads to, ``(G, rows, outputs)``.
        wanted: The one that it is to lead to, of the same shape.
    """

    weight: float
    inputs: Tensor
    given: Tensor
    wanted: Tensor


class Rows:
    """Rows in a store, in chunks of one length, so that it does not matter in which pieces they came.

    Args:
        store: Where they lie.
        length: Rows of a chunk.
    """

    def __init__(self, store: Store, length: int) -> None:
        self.store, self.length = store, length
        self.chunks: list[tuple[list[tuple[Array, torch.Size]], Tensor]] = []
        self.pending: list[tuple[Tensor, ...]] = []
        self.waiting = 0

    def add(self, inputs: Tensor, given: Tensor, wanted: Tensor, held: Tensor) -> None:
        """Rows ``(rows, G, ...)``, and which of them are held back."""
        self.pending.append((inputs, given, wanted, held))
        self.waiting += len(held)
        while self.waiting >= self.length:
            self._store(self.length)

    def _store(self, count: int) -> None:
        whole = [torch.cat(parts) for parts in zip(*self.pending, strict=True)]
        arrays = []
        for values in whole[:3]:
            array = self.store.array(count, values[0].numel() * values.itemsize)
            data = values[:count].flatten(1).contiguous().view(torch.uint8)
            array.write(slice(0, count), slice(0, data.shape[1]), data)
            arrays.append((array, values.shape[1:]))
        self.chunks.append((arrays, whole[3][:count].clone()))
        self.pending = [tuple(values[count:] for values in whole)]
        self.waiting -= count

    def finish(self) -> None:
        """The last chunk, which may be shorter."""
        if self.waiting:
            self._store(self.waiting)

    @cached_property
    def held(self) -> Tensor:
        """Which of all rows are held back."""
        return torch.cat([held for _, held in self.chunks])

    def read(self, weight: float, which: Callable[[Tensor], Tensor]) -> Iterator[Chunk]:
        """Those rows that ``which`` picks, of those that are held back or not."""
        for arrays, held in self.chunks:
            index = which(held).nonzero().flatten()
            if not len(index):
                continue
            found = []
            for array, shape in arrays:
                data = array.read(slice(0, len(held)), slice(0, array.size // len(held)))
                values = data.contiguous().view(torch.float32).reshape(len(held), *shape)
                found.append(values[index].transpose(0, 1))
            yield Chunk(weight, *found)

    def drop(self) -> None:
        """Forget them."""
        for arrays, _ in self.chunks:
            for array, _ in arrays:
                self.store.drop(array)
        self.chunks = []


class Problem:
    """The change of weights and bias with the least squared error, for several λ.

    The bias has no penalty. It is taken out of the system by centring inputs and missing currents, so that channels
    that never vary, which it alone can tell, leave nothing behind that could not be solved: what is left is positive
    semidefinite, and λ makes it definite.

    Args:
        chunks: The rows; read again and again.
        shape: Groups, inputs and outputs of each, (G, K, outputs).
        device: Theirs.
        rectified: Whether a ReLU follows: a target is missing where neither it nor the current is positive.
        cap: Upper bound of what counts.
    """

    def __init__(
        self,
        chunks: Callable[[], Iterator[Chunk]],
        shape: tuple[int, int, int],
        device: torch.device,
        rectified: bool,
        cap: float | None,
    ) -> None:
        self.chunks, self.shape, self.device, self.rectified, self.cap = chunks, shape, device, rectified, cap

    def nothing(self) -> Tensor:
        """No change, ``(G, K + 1, outputs)``, the bias last."""
        groups, inputs, outputs = self.shape
        return torch.zeros(groups, inputs + 1, outputs, device=self.device)

    def at_once(self) -> list[Tensor]:
        """No change, one of the bias alone, and one for each λ."""
        nothing = self.nothing()
        alone = nothing.clone()
        right, total = self.missing(nothing)
        alone[:, -1] = (total / self._sums[2]).float()
        return [nothing, alone, *(self.solution(right, total, number) for number in STRENGTHS)]

    def in_turns(self, changes: list[Tensor], strength: float) -> list[Tensor]:
        """That of this λ in turns with what is then missing, as that depends on what there is."""
        change, found = changes[STRENGTHS.index(strength) - len(STRENGTHS)], []
        for _ in range(SWEEPS if self.rectified else 0):
            change = self.solution(*self.missing(change), strength)
            found.append(change)
        return found

    def errors(self, changes: list[Tensor]) -> Tensor:
        """Sum of squares of each output, ``(changes, G, outputs)``; infinite where a change is not finite."""
        found = torch.zeros(len(changes), *self.nothing()[:, 0].shape, dtype=torch.double, device=self.device)
        for chunk in self.chunks():
            for k, change in enumerate(changes):
                pair = chunk.given + _response(chunk, change), chunk.wanted
                now, wanted = (x.clamp(min=0, max=self.cap) for x in pair) if self.rectified else pair
                found[k] += chunk.weight * (now - wanted).square().sum(1, dtype=torch.double)
        return found.nan_to_num(nan=torch.inf)

    def missing(self, change: Tensor) -> tuple[Tensor, Tensor]:
        """What inputs and missing currents have in common, and the sum of those."""
        right = torch.zeros_like(change[:, :-1], dtype=torch.double)
        total = torch.zeros_like(change[:, -1], dtype=torch.double)
        for chunk in self.chunks():
            missing = chunk.wanted - chunk.given
            if self.rectified:
                now = _response(chunk, change)
                missing = torch.where((chunk.wanted > 0) | (chunk.given + now > 0), missing, now)
            right += chunk.weight * (chunk.inputs.transpose(1, 2).double() @ missing.double())
            total += chunk.weight * missing.sum(1, dtype=torch.double)
        return right, total

    def solution(self, right: Tensor, total: Tensor, strength: float) -> Tensor:
        """The change for λ = ``strength`` times the inputs' mean square."""
        gram, sums, count, scale = self._sums
        right = right - sums[:, :, None] * total[:, None] / count
        system = gram.clone()
        system.diagonal(dim1=1, dim2=2).add_(strength * scale[:, None])
        # Definite by λ, unless numbers are not finite: then so is the change, and it is not chosen.
        factor, _ = torch.linalg.cholesky_ex(system)
        weights = torch.cholesky_solve(right, factor)
        bias = (total - (sums[:, None] @ weights).squeeze(1)) / count
        return torch.cat([weights, bias[:, None]], 1).float()

    @cached_property
    def _sums(self) -> tuple[Tensor, Tensor, float, Tensor]:
        """The inputs' centred Gram matrix, their sum, the rows' weight in all, and the inputs' mean square times it."""
        groups, inputs, _ = self.shape
        gram = torch.zeros(groups, inputs, inputs, dtype=torch.double, device=self.device)
        sums = torch.zeros(groups, inputs, dtype=torch.double, device=self.device)
        count = 0.0
        for chunk in self.chunks():
            x = chunk.inputs.double()
            gram += chunk.weight * (x.transpose(1, 2) @ x)
            sums += chunk.weight * x.sum(1)
            count += chunk.weight * x.shape[1]
        scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
        gram -= sums[:, :, None] * (sums / count)[:, None]
        return gram, sums, count, scale


def _response(chunk: Chunk, change: Tensor) -> Tensor:
    """The current that a change adds."""
    return chunk.inputs @ change[:, :-1] + change[:, None, -1]

"""Inputs as events, one timestep after the other: what ``respike.layers.encoders`` gives, in bounded memory.

What an encoder has to remember lies in the state of the run, so that streams go on from it and samples that leave a
run take theirs along.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ..options.encoding import Encoding


@dataclass(frozen=True)
class Clock:
    """The time of a run.

    Attributes:
        first: Its next timestep, counted from 0.
        total: Steps of the whole run.
        begun: The steps that had passed when each sample began, ``(N,)``; None: all began with the run.
        moves: Whether the input differs from step to step.
    """

    first: int
    total: int
    begun: Tensor | None = None
    moves: bool = False

    def at(self, step: int, like: Tensor) -> Tensor:
        """The time of each sample in a step of the block, counted from 0, to broadcast over ``(N, ...)``."""
        own = (
            torch.tensor([self.first + step], device=like.device)
            if self.begun is None
            else self.first + step - self.begun
        )
        return own.reshape(-1, *[1] * (like.dim() - 1))


Step = Callable[[Encoding, Tensor, str, Tensor, dict[str, Any], Clock], Tensor]
"""(encoding, values ``(N, ...)``, name in the state, time, state, clock) -> whole numbers."""

GOLDEN = 0x9E3779B97F4A7C15
"""The step of SplitMix64, 2^64 over the golden ratio."""


def encoded(
    encoding: Encoding,
    values: Iterator[Tensor],
    name: str,
    clock: Clock,
    state: dict[str, Any],
) -> Tensor:
    """The events of a block of timesteps, ``(steps, N, ...)``, whole numbers, in units of ``encoding.scale``.

    Args:
        encoding: With its scale.
        values: The input in each step of the block, ``(N, ...)``.
        name: The input's.
        clock: The time of the block.
        state: Of the run; what the encoder remembers is kept there.
    """
    step = _STEPS[encoding.encoder]
    key = f"{name}:encoder"
    return torch.stack([step(encoding, x, key, clock.at(t, x), state, clock) for t, x in enumerate(values)])


def _held(state: dict[str, Any], key: str, t: Tensor, begin: Callable[[], Tensor]) -> Tensor:
    """What is remembered of each sample; of one that begins in this step what there is before the first."""
    held: Tensor | None = state.get(key)
    fresh = t == 0
    if held is None:
        return begin()
    return torch.where(fresh.reshape(-1, *[1] * (held.dim() - 1)), begin(), held) if bool(fresh.any()) else held


def _rate(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    sent: Tensor = x.sign() * (_uniform(encoding, x, key, t, state, clock.moves) < x.abs() / _scale(encoding))
    return sent


def _poisson(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    """Counts k: the smallest with u below the distribution function at k."""
    u, mean = _uniform(encoding, x, key, t, state, clock.moves).double(), (x.abs() / _scale(encoding)).double()
    most = float(mean.max()) if mean.numel() else 0.0
    if most > MOST:
        raise InputError(
            f"poisson: a value is {most:g} times the scale of its events ({_scale(encoding):g}), and at most {MOST} "
            "events a step are drawn; give a larger scale, or take encoder='error_diffusion'"
        )
    chance = torch.exp(-mean)
    below, count = chance.clone(), torch.zeros_like(mean)
    for k in range(1, 2 + int(most + 12 * math.sqrt(most) + 24)):  # where u of 24 bits ends
        more = u >= below
        if not bool(more.any()):
            break
        count += more
        chance *= mean / k
        below += chance
    sent: Tensor = count.to(x.dtype) * x.sign()
    return sent


def _error_diffusion(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    share = (x / _scale(encoding)).double()
    held = _held(state, key, t, lambda: torch.full_like(share, encoding.start)) + share
    sent = held.floor()
    state[key] = held - sent
    return sent.to(x.dtype)


def _latency(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    share = (x.abs() / _scale(encoding)).clamp(max=1)
    time = torch.round((clock.total - 1) * (1 - share.clamp(min=encoding.threshold)))
    sent = (time == t) & (share >= encoding.threshold)
    return sent.to(x.dtype) * x.sign()


def _delta(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    change = x - _held(state, key, t, lambda: x)
    state[key] = x.clone()
    sent: Tensor = change.sign() * (change.abs() >= encoding.threshold)
    return sent


def _events(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], clock: Clock) -> Tensor:
    return x / _scale(encoding)


_STEPS: dict[str, Step] = {
    "rate": _rate,
    "poisson": _poisson,
    "error_diffusion": _error_diffusion,
    "latency": _latency,
    "delta": _delta,
    "events": _events,
}
MOST = 100
"""Events of a value in one step that Poisson counts are drawn for."""


def _scale(encoding: Encoding) -> float:
    assert encoding.scale is not None
    return encoding.scale


def _uniform(encoding: Encoding, x: Tensor, key: str, t: Tensor, state: dict[str, Any], moves: bool) -> Tensor:
    """Numbers in [0, 1) of 24 bits, of the shape of ``x``: those of a step in the sequence of each sample."""
    if moves and key in state:  # of all frames so far: recordings that begin alike part where they differ
        state[key] = torch.where(t.flatten() > 0, _mixed(state[key] * 3), 0) + _keys(x, encoding.seed)
    else:
        state[key] = _held(state, key, t, lambda: _keys(x, encoding.seed))
    count = x[0].numel() if len(x) else 0
    place = t.reshape(-1, 1) * count + torch.arange(1, count + 1, device=x.device)
    bits = _mixed(state[key][:, None] + place * _signed(GOLDEN))
    return ((bits >> 40) & 0xFFFFFF).to(x.dtype).mul_(2.0**-24).reshape(x.shape)


def _keys(x: Tensor, seed: int) -> Tensor:
    """A number for each sample, ``(N,)``, that follows from the seed and its values."""
    values = (x.flatten(1) if x.dim() > 1 else x[:, None]).float() + 0.0  # −0 is 0
    bits = values.contiguous().view(torch.int32).long()
    place = torch.arange(1, bits.shape[1] + 1, device=x.device) * _signed(GOLDEN)
    start = _mixed(torch.tensor(seed, device=x.device))
    return _mixed(_mixed(bits + place + start).sum(1) + start)


def _mixed(z: Tensor) -> Tensor:
    """SplitMix64's function of 64 bits."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ _shifted(z, shift)) * _signed(factor)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, by: int) -> Tensor:
    """To the right, zeros from the left."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """A number of 64 bits as torch has it."""
    return number - 2**64 if number >= 2**63 else number

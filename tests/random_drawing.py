"""The operations that a random network is drawn from, see ``random_networks.py``."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Hook = Callable[[Tensor], Tensor]


CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


TRANSPOSED: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


MAX_POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


AVERAGES: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


ADAPTIVE_MAX: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}


LINEAR_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


SIDE = {0: 1, 1: 12, 2: 8, 3: 4}


LARGEST = 4096
"""Most values of one sample in a tensor."""


@dataclass
class Step:
    """One operation: names of what it reads, and a function of the network and that.

    Attributes:
        text: For a failing test.
        countable: Whether ``synapses_behind`` can tell the synapses behind it.
    """

    reads: list[int]
    apply: Callable[..., Any]
    text: str
    countable: bool = True


class Drawing(nn.Module):
    """A network while its steps are drawn, each from what the steps before gave."""

    random: random.Random
    generator: torch.Generator
    rank: int
    masked: bool
    shapes: list[tuple[int, ...]]
    parts: nn.ModuleList
    steps: list[Step]
    values: list[Any]
    unread: set[int]

    def _add(self, text: str, apply: Callable[..., Any], *reads: int, countable: bool = True) -> int:
        with torch.no_grad():
            self.values.append(apply(self, *(self.values[k] for k in reads)))
        shape = self.values[-1].shape
        self.steps.append(Step(list(reads), apply, f"{text} of {list(reads)} -> {tuple(shape)[1:]}", countable))
        self.unread.difference_update(reads)
        self.unread.add(len(self.values) - 1)
        return len(self.values) - 1

    def _pick(self) -> int:
        """A value to go on with: one that nobody has read yet, by preference; never the mask."""
        some = [*range(len(self.values)), *sorted(self.unread) * 4]
        mask = len(self.shapes) - 1 if self.masked else None
        return self.random.choice([k for k in some if k != mask])

    def _grow(self) -> None:
        kinds: list[Callable[[int], None]] = [self._synapses, self._synapses, self._synapses, self._residual]
        kinds += [self._move, self._join, self._scale]
        if self.rank < 3:
            kinds += [self._pool_across]
        if self.rank:
            kinds += [self._pool, self._pool, self._resample, self._mask]
        self.random.choice(kinds)(self._pick())

    def _fractions(self, shape: tuple[int, ...], most: int) -> Tensor:
        return torch.randint(-most, most + 1, shape, generator=self.generator) / 8

    def _part(self, part: nn.Module) -> int:
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.copy_(self._fractions(tuple(parameter.shape), 4))
        self.parts.append(part.eval())
        return len(self.parts) - 1

    def _synapses(self, k: int) -> None:
        """Weights, perhaps batch norm, and an activation."""
        channels, *space = self.values[k].shape[1:]
        bias = self.random.random() < 0.7
        if not space:
            part: nn.Module = nn.Linear(channels, self.random.randint(3, 8), bias=bias)
        else:
            part = self._conv(channels, min(space), bias)
        number = self._part(part)
        k = self._add(str(part), lambda s, x: s.weigh(s.parts[number], x), k)
        if space and self.random.random() < 0.3:
            k = self._norm(k)
        self._activation(k)

    def _conv(self, channels: int, side: int, bias: bool) -> nn.Module:
        groups = self.random.choice([1, 1, channels])
        out = groups * self.random.randint(1, 2) if groups > 1 else self.random.randint(2, 6)
        if side <= 6 and self.random.random() < 0.2:
            return TRANSPOSED[self.rank](channels, out, 2, stride=self.random.choice([1, 2]), groups=groups, bias=bias)
        size = self.random.randint(1, min(3, side))
        options = {"stride": self.random.choice([1, 1, 2]), "padding": self.random.randint(0, size // 2)}
        if size == 2 and side > 3:
            options["dilation"] = self.random.choice([1, 2])
        return CONVS[self.rank](channels, out, size, groups=groups, bias=bias, **options)

    def _norm(self, k: int) -> int:
        norm = NORMS[self.rank](self.values[k].shape[1], eps=2.0**-10)
        number = self._part(norm)
        assert isinstance(norm.running_var, Tensor)
        variance = 4.0 ** torch.randint(-1, 2, norm.running_var.shape, generator=self.generator)
        norm.running_var.copy_(variance - norm.eps)  # together a power of 4, exactly
        norm.running_mean = self._fractions((norm.num_features,), 4)
        norm.weight.data = 2.0 ** torch.randint(-1, 2, norm.running_var.shape, generator=self.generator)
        return self._add("batch norm", lambda s, x: x if s.counting else s.parts[number](x), k)

    def _activation(self, k: int) -> int:
        kind = self.random.randint(0, 6)
        if kind < 4:
            return self._add("relu", lambda s, x: s.relu(x, kind), k)
        if kind == 4:
            return self._add("relu up to 4", lambda s, x: s.capped(x, 4.0), k)
        if kind == 5:
            return self._add("leaky relu", lambda s, x: s.leaky(x, 0.25), k)
        number = self._part(nn.PReLU(self.values[k].shape[1]))
        # In the quantised network the slope is a factor of the second layer of neurons.
        return self._add("prelu", lambda s, x: s.leaky(x, _slope(s.parts[number], x, s.hook)), k)

    def _residual(self, k: int) -> None:
        """x + f(x), of the same shape."""
        channels, *space = self.values[k].shape[1:]
        part = CONVS[self.rank](channels, channels, 1) if space else nn.Linear(channels, channels)
        number = self._part(part)
        new = self._add(str(part), lambda s, x: s.weigh(s.parts[number], x), k)
        if self.random.random() < 0.5:
            new = self._activation(new)
        k = self._add("sum", lambda s, x, y: x + y, k, new)
        if self.random.random() < 0.7:
            self._activation(k)

    def _move(self, k: int) -> None:
        shape = self.values[k].shape[1:]
        if self.rank == 0 or self.random.random() < 0.5:
            kind = self.random.choice(["flip", "slice", "roll", "swap halves"])
            n = shape[0]
            functions: dict[str, Callable[[Any, Tensor], Tensor]] = {
                "flip": lambda s, x: x.flip(1),
                "slice": lambda s, x: x[:, : n - 1] if n > 1 else x[:, :n],
                "roll": lambda s, x: x.roll(1, 1),
                "swap halves": lambda s, x: torch.cat(x.tensor_split(2, 1)[::-1], 1),
            }
            self._add(kind, functions[kind], k)
        elif self.random.random() < 0.5:
            mode = self.random.choice(["constant", "reflect", "replicate"])
            sides = [1, 0] * self.rank if min(shape[1:]) > 1 else [0, 0] * self.rank
            self._add(f"pad, {mode}", lambda s, x: F.pad(x, sides, mode=mode), k)
        else:
            self._add("last axis first and back", lambda s, x: x.transpose(2, -1).contiguous(), k)

    def _join(self, k: int) -> None:
        """Concatenate, add up or compare two values; or split one."""
        shape = self.values[k].shape
        others = [j for j in range(len(self.values)) if self.values[j].shape[2:] == shape[2:]]
        same = [j for j in others if self.values[j].shape == shape]
        j = self.random.choice(others)
        kind = self.random.randint(0, 3)
        if kind == 0 and shape[1] > 1:
            self._add("its channels, the first last", lambda s, x: torch.cat([*x.split(1, 1)][::-1], 1), k)
        elif kind == 1:
            self._add("sum", lambda s, x, y: x + y, k, self.random.choice(same))
        elif kind == 2:
            other = self.random.choice(same)
            self._add("maximum", lambda s, x, y: torch.maximum(x, y), k, other, countable=False)
        else:
            self._add("concatenation", lambda s, x, y: torch.cat([x, y], 1), k, j)

    def _scale(self, k: int) -> None:
        factor = self.random.choice([0.5, 2.0, -1.0])
        if self.random.random() < 0.5:
            self._add(f"times {factor}", lambda s, x: s.scaled(x, factor), k)
        else:
            self._add("plus a half", lambda s, x: x if s.counting else x + 0.5, k)

    def _pool(self, k: int) -> None:
        side = min(self.values[k].shape[2:])
        if side < 3:
            return
        kind = self.random.randint(0, 3)
        stride, ceil = self.random.choice([1, 2]), self.random.random() < 0.5
        if kind == 0:
            options = {"stride": stride, "ceil_mode": ceil, "padding": self.random.randint(0, 1)}
            size = 2 + self.random.randint(0, 1)
            pool = MAX_POOLS[self.rank]
            self._add(f"max-pool {size} {options}", lambda s, x: pool(x, size, **options), k, countable=False)
        elif kind == 1:
            self._add(f"average pool, stride {stride}", lambda s, x: s.average(x, stride=stride), k)
        elif kind == 2:
            adaptive = ADAPTIVE_MAX[self.rank]
            self._add("adaptive max-pool", lambda s, x: adaptive(x, 2), k, countable=False)
        else:
            axes = list(range(2, 2 + self.rank))
            self._add("amax", lambda s, x: x.amax(axes, keepdim=True), k, countable=False)

    def _pool_across(self, k: int) -> None:
        """A pool of one rank more, which takes samples for channels and pools over channels too."""
        shape = self.values[k].shape
        if len(shape) > 4 or min(shape[1:]) < 2:
            return
        pool, rank = self.random.choice([MAX_POOLS, AVERAGES]), len(shape) - 1
        size = [self.random.choice([1, 2]) for _ in range(rank)]
        text = f"{pool[rank].__name__} {size}, channels too"
        self._add(text, lambda s, x: pool[rank](x, size), k, countable=False)

    def _resample(self, k: int) -> None:
        if self.values[k][0].numel() * 2**self.rank > LARGEST:
            return
        if self.random.random() < 0.5:
            self._add("upsampling", lambda s, x: F.interpolate(x, scale_factor=2), k)
        else:
            mode = LINEAR_MODES[self.rank]
            self._add(mode, lambda s, x: F.interpolate(x, scale_factor=2, mode=mode), k, countable=False)

    def _mask(self, k: int) -> None:
        mask = len(self.shapes) - 1
        if self.masked and self.values[k].shape[2:] == self.values[mask].shape[2:]:
            self._add("times the mask", lambda s, x, m: x * m, k, mask, countable=False)

    def _heads(self) -> None:
        """One output for all that nobody has read yet: alone, in a tuple or in a dict."""
        results = []
        for k in sorted(self.unread):
            flat = self._add("flatten", lambda s, x: x.flatten(1), k)
            number = self._part(nn.Linear(self.values[flat].shape[1], 3))
            results.append(self._add("head", lambda s, x, n=number: s.weigh(s.parts[n], x), flat))
        kind = self.random.choice(["tuple", "dict"]) if len(results) > 1 else "alone"
        names = [f"out{i}" for i in range(len(results))]
        whole: dict[str, Callable[..., Any]] = {
            "alone": lambda s, *x: x[0],
            "tuple": lambda s, *x: x,
            "dict": lambda s, *x: dict(zip(names, x, strict=True)),
        }
        self.steps.append(Step(results, whole[kind], kind))


def _slope(part: nn.Module, x: Tensor, hook: Hook | None) -> Tensor:
    weight = part.weight
    assert isinstance(weight, Tensor)
    return weight if hook is None else weight.reshape(-1, *[1] * (x.dim() - 2))

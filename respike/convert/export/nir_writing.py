"""The NIR graph while it is made: nodes with free names, and signals that are sums of what nodes give."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ..nir_file.contents import V_0, NirFile, NirNode, Value
from .nir_kernels import Kernel, NotInNirError, dense

_TAKEN: Final = frozenset({*dir(nn.ModuleDict()), *keyword.kwlist, "input", "output", "state"})
"""Names that readers cannot give a submodule or an argument."""


@dataclass(frozen=True)
class Signal:
    """A value in time.

    Attributes:
        sources: The nodes whose sum it is.
        shape: Of one sample in one step.
        factor: What reads the signal has to multiply it by.
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    factor: float = 1.0


class Writing:
    """Nodes and edges so far. Weights are float64 until ``finish``."""

    def __init__(self) -> None:
        self.file = NirFile({}, [])
        self.weights: dict[str, dict[str, Tensor]] = {}
        self.currents: dict[str, Tensor] = {}

    def node(
        self,
        name: str,
        kind: str,
        read: Sequence[str],
        fields: dict[str, Value],
        weights: dict[str, Tensor] | None = None,
        groups: int = 1,
    ) -> str:
        """A node under this name, or one near it, with an edge from each node that it reads."""
        free = name if kind in ("Input", "Output") else self._free(name)
        self.file.nodes[free] = NirNode(kind, fields, groups=groups)
        self.weights[free] = weights or {}
        self.file.edges += [(source, free) for source in read]
        return free

    def affine(self, name: str, signal: Signal, weight: Tensor, bias: Tensor | None) -> Signal:
        """Weights times the signal, plus a bias.

        Args:
            name: Of the node.
            signal: ``(N,)``.
            weight: ``(M, N)``.
            bias: ``(M,)``; None for zeros.
        """
        held = {"weight": weight.double() * signal.factor, "bias": _zeros(weight) if bias is None else bias.double()}
        return Signal((self.node(name, "Affine", signal.sources, {}, held),), (len(weight),))

    def convolution(
        self, name: str, signal: Signal, kernel: Kernel, bias: Tensor | None, out: tuple[int, ...], groups: int = 1
    ) -> Signal:
        """A convolution of the signal ``(C, ...)``; ``kernel`` as readers take it, ``out`` the sides of the output."""
        weight = kernel.weight
        one = weight.dim() == 3
        fields: dict[str, Value] = {"groups": 1}
        sides = {"stride": kernel.stride, "padding": [p for p, _ in kernel.padding], "dilation": kernel.dilation}
        for key, found in {"input_shape": signal.shape[1:], **sides}.items():
            fields[key] = int(found[0]) if one else np.array(found, dtype=np.int64)
        held = {"weight": weight.double() * signal.factor, "bias": _zeros(weight) if bias is None else bias.double()}
        made = self.node(name, "Conv1d" if one else "Conv2d", signal.sources, fields, held, groups)
        return Signal((made,), (len(weight), *out))

    def scaled(self, name: str, signal: Signal, scale: Tensor, bias: Tensor | None = None) -> Signal:
        """The signal with each channel times a number, plus another: as weights, because few readers have scales.

        Args:
            name: Of the node.
            signal: ``(C, ...)``.
            scale: ``(C,)``.
            bias: ``(C,)``; None for zeros.
        """
        channels, axes = signal.shape[0], len(signal.shape) - 1
        weight = dense(scale.double().reshape(-1, 1, *[1] * axes), channels)
        if axes:
            ones = (1,) * axes
            kernel = Kernel(weight, ones, ((0, 0),) * axes, ones)
            made = self.convolution(name, signal, kernel, bias, signal.shape[1:])
        else:
            made = self.affine(name, signal, weight, bias)
        self.file.nodes[made.sources[0]].factor = True
        return made

    def plain(self, name: str, signal: Signal) -> Signal:
        """The signal without a factor."""
        if signal.factor == 1:
            return signal
        return self.scaled(f"{name}_factor", replace(signal, factor=1.0), torch.full((signal.shape[0],), signal.factor))

    def sum(self, name: str, *signals: Signal) -> Signal:
        """The sum of signals. No node is in it twice, as two edges between the same nodes are not allowed."""
        counted = Counter(source for signal in signals for source in self.plain(name, signal).sources)
        found: list[str] = []
        for source, n in counted.items():
            alone = Signal((source,), signals[0].shape, float(n))
            found += self.plain(name, alone).sources
        return Signal(tuple(found), signals[0].shape)

    def neurons(self, name: str, signal: Signal, start: Tensor, current: Tensor) -> Signal:
        """IF nodes with θ = 1 and r = 1.

        Args:
            name: Of the node.
            signal: Their current.
            start: V_0, broadcasting over the signal's shape.
            current: Constant current of each channel, ``(C,)``, which is added to a bias before them at the end.
        """
        ones = np.ones(signal.shape, dtype=np.float32)
        made = self.node(name, "IF", self.plain(name, signal).sources, {"r": ones, "v_threshold": ones})
        self.file.nodes[made].metadata[V_0] = _array(start.expand(signal.shape))
        if bool((current != 0).any()):
            self.currents[made] = current.double()
        return Signal((made,), signal.shape)

    def finish(self) -> NirFile:
        """The graph, with constant currents in the biases, and weights in float32."""
        for name, current in self.currents.items():
            self._add_current(name, current)
        for name, tensors in self.weights.items():
            self.file.nodes[name].fields |= {key: _array(value) for key, value in tensors.items()}
        return self.file

    def _add_current(self, name: str, current: Tensor) -> None:
        edges = self.file.edges
        read = Counter(source for source, _ in edges)
        sources = [source for source, reader in edges if reader == name]
        for source in sources:
            if read[source] == 1 and "bias" in self.weights[source]:
                self.weights[source]["bias"] = self.weights[source]["bias"] + current
                return
        between, ones = Writing(), torch.ones(len(current), dtype=torch.float64)
        between.file.nodes = dict(self.file.nodes)
        shape = self.file.nodes[name].fields["r"].shape  # type: ignore[union-attr]
        found = between.scaled(f"{name}_current", Signal((sources[0],), shape), ones, current).sources[0]
        self.file.nodes = {
            key: node
            for old, kept in self.file.nodes.items()
            for key, node in ([(found, between.file.nodes[found])] if old == name else []) + [(old, kept)]
        }
        self.weights[found] = between.weights[found]
        self.file.edges = [(found, name) if edge == (sources[0], name) else edge for edge in edges]
        self.file.edges.append((sources[0], found))

    def _free(self, name: str) -> str:
        clean = re.sub(r"[^A-Za-z0-9_]", "_", name)[:200]
        clean = f"n_{clean}" if not clean[:1].isalpha() else clean
        free, n = clean, 1
        while free in self.file.nodes or (n == 1 and free in _TAKEN):
            n += 1
            free = f"{clean}_{n}"
        return free


def _zeros(weight: Tensor) -> Tensor:
    return torch.zeros(len(weight), dtype=torch.float64)


def _array(value: Tensor) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = value.detach().cpu().float().contiguous().numpy()
    if not np.isfinite(found).all():
        raise NotInNirError("has weights beyond float32", "scale the network")
    return found

"""From a graph with unit thresholds to the nodes of NIR, one operation after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import Refusal
from ..graph import BATCH, Graph, Node, Ref
from ..graph.channel_groups import layer_groups
from ..graph.rules import RESHAPES, Role, short
from ..nir_file.contents import Value
from ..run.neurons import SpikingReLU
from .nir_kernels import NotInNirError, kernel_of, squared
from .nir_pools import Windows, pool_axes, pool_windows, window_sums
from .nir_writing import Signal, Writing

_FLATTENS = RESHAPES | {f"aten.{name}" for name in ("flatten.using_ints", "squeeze.dims", "squeeze.dim")}
_OTHER = "has no counterpart in NIR", "leave it out, or build the network of convolutions, linear layers and sums"
_ROLES = {
    Role.MAX: (
        "is a maximum, and NIR has no node for one",
        "train with average-pooling in its place (a strided convolution does as well)",
    ),
    Role.ANALOG: ("is kept analog, and NIR has no node for it", "convert without analog=..."),
    Role.FUNCTION: ("is a function of a mean over time, and NIR has no node for it", "convert with population=..."),
    Role.PRODUCT: ("is a product of signals, and NIR has no node for it", "use a network without products of signals"),
    Role.HEAD: (
        "is computed from the decoded output, and a NIR file ends with the output of each step",
        "leave it out of the model and apply it to the mean of the outputs",
    ),
    Role.STATIC: (
        "is computed once from the input, and NIR has no node for it",
        "leave it out of the model and give the network what it gives",
    ),
}


class Lowering:
    """Goes through a graph and writes its nodes down as those of NIR.

    Args:
        graph: With roles, weights, and unit thresholds.
        neurons: Its layers of neurons by node name.
    """

    def __init__(self, graph: Graph, neurons: Mapping[str, SpikingReLU]) -> None:
        self.graph, self.neurons = graph, neurons
        self.writing = Writing()
        self.signals: dict[str, Signal] = {}

    def run(self) -> list[Refusal]:
        """Write all nodes; what could not be written is returned."""
        refused = []
        for name, shape in self.graph.inputs.items():
            try:
                self.signals[name] = self._input(name, shape)
            except NotInNirError as error:
                refused.append(Refusal(f"the input {name}", *error.args))
                self.signals[name] = Signal((), tuple(n or 1 for n in shape[1:]))
        for node in self.graph.nodes:
            if node.role in (Role.SHAPE, Role.CONSTANT):
                continue
            try:
                self.signals[node.name] = self._lowered(node)
            except NotInNirError as error:
                refused.append(Refusal(node.where, f"{short(node.op)} {error.args[0]}", error.args[1]))
                # Of a shape that lets those behind it be judged on their own.
                self.signals[node.name] = Signal((), tuple(n or 1 for n in (node.shape or (1,))[1:]))
        output = self.graph.outputs[0]
        if isinstance(output, Ref) and not refused:
            self._output(self.signals[output.name])
        return refused

    def _input(self, name: str, shape: tuple[int | None, ...]) -> Signal:
        if name in self.graph.integers:
            raise NotInNirError("holds whole numbers", "give the network real numbers")
        sides = self._sides(shape)
        made = self.writing.node("input", "Input", [], {"shape": np.array(sides, dtype=np.int64)})
        return Signal((made,), sides)

    def _output(self, signal: Signal) -> None:
        signal = self.writing.plain("decoded", signal)
        if len(signal.sources) > 1:  # readers may return them side by side
            signal = self.writing.scaled("decoded", signal, torch.ones(signal.shape[0]))
        shape = np.array(signal.shape, dtype=np.int64)
        self.writing.node("output", "Output", signal.sources, {"shape": shape})

    def _lowered(self, node: Node) -> Signal:
        why = _ROLES.get(Role(node.role))
        if why is not None:
            raise NotInNirError(*why)
        out = self._sides(node.shape)
        if node.role == Role.SPIKE:
            return self._neurons(node, self._read(node.args[0]))
        lower = _TABLE.get(node.op)
        if lower is None:
            raise NotInNirError(*_OTHER)
        made = lower(self, node, out)
        if made.shape != out:
            raise NotInNirError(*_OTHER)
        return made

    @staticmethod
    def _sides(shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
        if not shape or len(shape) < 2 or shape[0] is not BATCH or any(n is None or n < 1 for n in shape[1:]):
            raise NotInNirError(
                "has a value whose first axis is not the batch, or whose other sides are not fixed",
                "keep the batch first, and sizes fixed",
            )
        return tuple(n for n in shape[1:] if n is not None)

    def _read(self, arg: Any) -> Signal:
        if not isinstance(arg, Ref) or arg.name not in self.signals:
            raise NotInNirError(*_OTHER)
        return self.signals[arg.name]

    def _constant(self, arg: Any) -> Tensor | None:
        if isinstance(arg, (int, float)):
            return torch.tensor(float(arg), dtype=torch.float64)
        tensor = self.graph.tensors.get(arg.name) if isinstance(arg, Ref) else None
        return None if tensor is None else tensor.detach().double().cpu()

    def _weights(self, node: Node) -> tuple[Tensor, Tensor | None]:
        weight, bias = (self._constant(arg) if arg is not None else None for arg in [*node.args, None][1:3])
        if weight is None or (bias is None and len(node.args) > 2 and node.args[2] is not None) or node.kwargs:
            raise NotInNirError("has weights that are computed", "use a layer with weights of its own")
        return weight, bias

    @staticmethod
    def _name(node: Node) -> str:
        return node.path or node.name

    def _neurons(self, node: Node, signal: Signal) -> Signal:
        neuron = self.neurons[node.name]
        shape = [1] * len(signal.shape)
        shape[0] = signal.shape[0]
        if neuron.bias.numel() > 1 and list(neuron.bias.shape) != shape:
            raise NotInNirError("has neurons whose channels are not the first axis", "put the channels first")
        current = neuron.bias.detach().cpu().expand(shape).flatten()
        return self.writing.neurons(self._name(node), signal, neuron.start.detach().cpu(), current)

    def linear(self, node: Node, out: tuple[int, ...]) -> Signal:
        signal, (weight, bias) = self._read(node.args[0]), self._weights(node)
        if len(signal.shape) != 1:
            raise NotInNirError(
                f"is applied to each of {math.prod(signal.shape[:-1])} vectors, and readers take one",
                "flatten before it, or use a convolution with kernel size 1",
            )
        return self.writing.affine(self._name(node), signal, weight, bias)

    def convolution(self, node: Node, out: tuple[int, ...]) -> Signal:
        signal, (weight, bias) = self._read(node.args[0]), self._weights(node)
        kernel = squared(kernel_of(node, weight), signal.shape[1:], out[1:])
        return self.writing.convolution(self._name(node), signal, kernel, bias, out[1:], layer_groups(node))

    def add(self, node: Node, out: tuple[int, ...]) -> Signal:
        """A sum or difference of two signals, or of a signal and one number for each channel."""
        sign = float(node.kwargs.get("alpha", 1)) * (-1 if short(node.op) == "sub" else 1)
        left, right = node.args[:2]
        other = self._constant(right)
        if other is not None:
            signal = self._read(left)
            ones = torch.ones(signal.shape[0])
            return self.writing.scaled(f"{self._name(node)}_bias", signal, ones, sign * self._channels(other, signal))
        if self._constant(left) is not None and sign == 1:
            return self.add(replace(node, args=(right, left)), out)
        first, second = self._read(left), self._read(right)
        if first.shape != second.shape:
            raise NotInNirError("adds values of two shapes", "add values of one shape")
        return self.writing.sum(self._name(node), first, replace(second, factor=second.factor * sign))

    def times(self, node: Node, out: tuple[int, ...]) -> Signal:
        """A product with, or a quotient by, a number or one number for each channel."""
        left, right = node.args[:2]
        divides = short(node.op) == "div"
        if self._constant(left) is not None and not divides:
            left, right = right, left
        signal, other = self._read(left), self._constant(right)
        if other is None:
            raise NotInNirError(*_OTHER)
        scale = 1 / other if divides else other
        if scale.numel() == 1:
            return replace(signal, factor=signal.factor * float(scale))
        if bool((scale == 1).all()):
            return signal
        return self.writing.scaled(f"{self._name(node)}_factor", signal, self._channels(scale, signal))

    def negative(self, node: Node, out: tuple[int, ...]) -> Signal:
        signal = self._read(node.args[0])
        return replace(signal, factor=-signal.factor)

    @staticmethod
    def _channels(value: Tensor, signal: Signal) -> Tensor:
        """One number for each channel, ``(C,)``."""
        while value.dim() > len(signal.shape) and value.shape[0] == 1:
            value = value[0]
        aligned = value.reshape([1] * (len(signal.shape) - value.dim()) + list(value.shape))
        if any(n != 1 for n in aligned.shape[1:]) or aligned.shape[0] not in (1, signal.shape[0]):
            raise NotInNirError(
                "has a constant for each place, and readers take one for each channel", "use one value for each channel"
            )
        return aligned.expand(signal.shape[0], *aligned.shape[1:]).flatten()

    def pool(self, node: Node, out: tuple[int, ...]) -> Signal:
        signal = self._read(node.args[0])
        if len(signal.shape) != 1 + pool_axes(node):
            raise NotInNirError("averages over channels", "pool over the axes behind the channels alone")
        return window_sums(self.writing, self._name(node), signal, pool_windows(node, signal.shape[1:]), out[1:])

    def mean(self, node: Node, out: tuple[int, ...]) -> Signal:
        """A mean or sum over all sides of an image, as a pool of that size."""
        signal, axes = self._read(node.args[0]), node.args[1]
        sides = signal.shape[1:]
        keep = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
        rank = len(sides)
        if axes is None or sorted(a % (rank + 2) for a in axes) != list(range(2, rank + 2)) or rank not in (1, 2):
            raise NotInNirError(*_OTHER)
        factor = 1 / math.prod(sides) if short(node.op) == "mean" else 1.0
        whole = Windows(sides, sides, (0,) * rank, factor)
        found = window_sums(self.writing, self._name(node), signal, whole, (1,) * rank)
        return found if keep else self._flat(node, found)

    def flatten(self, node: Node, out: tuple[int, ...]) -> Signal:
        signal = self._read(node.args[0])
        if out == signal.shape:
            return signal
        if len(out) != 1 or out[0] != math.prod(signal.shape):
            raise NotInNirError("gives values another shape, and NIR can only flatten", "flatten to one axis")
        return self._flat(node, signal)

    def _flat(self, node: Node, signal: Signal) -> Signal:
        # Axes are counted from the end: from the front, readers differ on whether the batch is one.
        fields: dict[str, Value] = {
            "start_dim": -len(signal.shape),
            "end_dim": -1,
            "input_type": np.array(signal.shape, dtype=np.int64),
        }
        made = self.writing.node(f"{self._name(node)}_flatten", "Flatten", signal.sources, fields)
        return Signal((made,), (math.prod(signal.shape),), signal.factor)


_Lower = Callable[[Lowering, Node, tuple[int, ...]], Signal]
_TABLE: dict[str, _Lower] = {
    "aten.linear.default": Lowering.linear,
    **{f"aten.conv{n}d.{kind}": Lowering.convolution for n in (1, 2) for kind in ("default", "padding")},
    **{f"aten.{name}.{kind}": Lowering.add for name in ("add", "sub") for kind in ("Tensor", "Scalar")},
    **{f"aten.{name}.{kind}": Lowering.times for name in ("mul", "div") for kind in ("Tensor", "Scalar")},
    "aten.neg.default": Lowering.negative,
    **{f"aten.{kind}avg_pool{n}d.default": Lowering.pool for n in (1, 2) for kind in ("", "adaptive_")},
    "aten.mean.dim": Lowering.mean,
    "aten.sum.dim_IntList": Lowering.mean,
    **dict.fromkeys(_FLATTENS, Lowering.flatten),
}

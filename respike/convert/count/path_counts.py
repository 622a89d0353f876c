"""Operations beside synapses, as ways: how often each input goes into each output, and what that costs."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ..graph import Node, function, leaves, map_leaves
from .arithmetic_work import Work

SUMS = frozenset({"add", "sub", "rsub"})
SCALES = frozenset({"mul", "div", "neg"})
PUTS = frozenset({"scatter", "scatter_add", "index_add", "index_copy", "index_fill", "index_put"})


def path_counts(node: Node, args: list[Any], kwargs: dict[str, Any], signals: list[Tensor]) -> Any:
    """The node with every nonzero factor set to 1: an event at its input is one at every output it touches.

    Args:
        node: Linear, without synapses.
        args: Its arguments, with a count in the place of each signal.
        kwargs: Likewise.
        signals: The counts among ``args``; what else is there is a constant.

    Returns:
        How many ways lead to each output, weighted by the counts; a list where the node gives several tensors.
    """
    name, fn = short(node), function(node.op)
    if name in SUMS | SCALES | {"where"}:
        shapes = [a.shape for a in leaves(args) if isinstance(a, Tensor)]
        return sum(signals[1:], signals[0]).expand(torch.broadcast_shapes(*shapes))
    x = args[0]
    if name == "masked_fill":  # what it fills with is a constant
        return x.expand(torch.broadcast_shapes(x.shape, args[1].shape))
    if name in PUTS:
        return _put(node, args, kwargs, signals)
    if name == "gather" and args[2].is_floating_point():  # an index from the input may be any
        x = x[tuple(slice(None) if i == args[1] % x.dim() else slice(n) for i, n in enumerate(args[2].shape))]
        return x.sum(args[1], keepdim=True).expand(args[2].shape)
    if name == "copy":  # has no derivative
        return args[1].expand(x.shape)
    if name == "mean":
        return torch.ops.aten.sum.dim_IntList(x, *args[1:3]) if len(args) > 1 else x.sum()
    if _averages(name) or _interpolates(name):
        return _separable(x, _rank(name), lambda y: fn(y, *args[1:], **kwargs))
    if name == "constant_pad_nd":  # what it pads with is a constant
        return fn(x, args[1])
    return fn(*args, **kwargs)


def _put(node: Node, args: list[Any], kwargs: dict[str, Any], signals: list[Tensor]) -> Tensor:
    """Values put into others at places that an index names: constants put there, or put upon, carry nothing."""

    def carrying(a: Any) -> Any:
        constant = isinstance(a, Tensor) and a.is_floating_point() and not any(a is s for s in signals)
        return torch.zeros_like(a) if constant else a

    name = short(node)
    if node.op.endswith(("value", "_Scalar")):
        args[3] = 0.0
    into, index = carrying(args[0]), args[1] if name == "index_put" else args[2]
    if not any(i.is_floating_point() for i in leaves(index) if i is not None):
        rest = {key: value for key, value in kwargs.items() if key != "alpha"}
        result: Tensor = function(node.op)(into, *map_leaves(carrying, args[1:]), **rest)
        return result
    # An index from the input may be any.
    found: Tensor = into.clone()
    if name == "index_put":
        found += carrying(args[2]).sum()
        return found
    source, axis = carrying(args[3]) if isinstance(args[3], Tensor) else torch.zeros_like(into), args[1] % into.dim()
    if index.dim() == source.dim():
        source = source[tuple(slice(n) for n in index.shape)]
    there = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(source.shape))
    found[there] += source.sum(axis, keepdim=True)
    return found


def compared(node: Node, args: list[Any], kwargs: dict[str, Any], signals: list[Tensor]) -> Tensor:
    """How many of the values that each output of a maximum looks at there are, weighted by the counts ``signals``."""
    name = short(node)
    if "pool" in name:
        return _separable(args[0], _rank(name), lambda y: first_of(function(node.op)(y, *args[1:], **kwargs)))
    if len(signals) > 1 or name in ("maximum", "minimum") or node.op.endswith(".other"):
        shapes = [a.shape for a in leaves(args) if isinstance(a, Tensor)]
        return sum(signals[1:], signals[0]).expand(torch.broadcast_shapes(*shapes))
    over = args[1] if len(args) > 1 else kwargs.get("dim", [])
    dims = [over] if isinstance(over, int) else list(over) or list(range(args[0].dim()))
    x: Tensor = args[0]
    return x.sum(dims)


def applied(node: Node, reached: Any) -> Work:
    """What the node costs where it is applied to values; a constant that is added is where a sum begins.

    Args:
        node: Linear, without synapses.
        reached: Ways to each output from inputs that count 1 each.
    """
    tensors = [t for t in leaves(reached) if isinstance(t, Tensor)]
    total, outputs, name = sum(int(t.sum()) for t in tensors), sum(t.numel() for t in tensors), short(node)
    if name in SCALES:
        return Work(multiplications=0 if name == "neg" else outputs)
    if _interpolates(name):
        return Work(additions=total - outputs, multiplications=total)
    averages = _averages(name) or name == "mean"
    return Work(additions=max(total - outputs, 0), multiplications=outputs if averages else 0)


def spread(node: Node, given: int, reached: Any) -> Work:
    """What the node costs in each step on currents, which are added up where they go.

    Factors belong to the synapses before, and a sum of currents is the membrane itself; only what goes more ways than
    one is added again, and an interpolation weights each of them.

    Args:
        node: Linear, without synapses.
        given: Values that carry a current.
        reached: Ways from them to each output.
    """
    total = sum(int(t.sum()) for t in leaves(reached) if isinstance(t, Tensor))
    if _interpolates(short(node)):
        return Work(additions=total, multiplications=total)
    return Work(additions=max(total - given, 0))


def kept_analog(node: Node, args: list[Any], kwargs: dict[str, Any]) -> tuple[Work, Work]:
    """The work in the ANN and in each step of an operation kept analog, or, in the ANN, of any other.

    Its products count as they are; where there are none, a value counts as one multiplication, which is less than a
    curved function costs. In each step it also takes the mean of its inputs and the difference to the step before.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shaped = first_of(function(node.op)(*args, **kwargs))
    macs = counter.get_total_flops() // 2
    own = Work(macs=macs, multiplications=0 if macs else shaped.numel(), values=shaped.numel() if macs else 0)
    inputs = sum(a.numel() for a in leaves((args, kwargs)) if isinstance(a, Tensor))
    return own, own + Work(additions=shaped.numel(), multiplications=inputs + shaped.numel())


def short(node: Node) -> str:
    """The operation's name without namespace and overload."""
    return node.op.split(".")[1]


def first_of(result: Any) -> Tensor:
    """The values of an operation that gives values and indices."""
    found: Tensor = result[0] if isinstance(result, (list, tuple)) else result
    return found


def _averages(name: str) -> bool:
    return name.startswith(("avg_pool", "adaptive_avg_pool"))


def _interpolates(name: str) -> bool:
    return name.lstrip("_").startswith("upsample_") and "nearest" not in name


def _rank(name: str) -> int:
    found = re.search(r"(\d)d", name)
    assert found is not None, name
    return int(found[1])


def _separable(x: Tensor, rank: int, fn: Any) -> Tensor:
    """A pool or an interpolation over the last axes with all its nonzero weights set to 1, axis by axis."""
    sizes, first = x.shape[-rank:], x.dim() - rank
    for axis, size in enumerate(sizes):
        probe = torch.zeros(size, 1, *sizes, dtype=torch.float64)
        index = [slice(None)] * len(sizes)
        for i in range(size):
            index[axis] = slice(i, i + 1)
            probe[i, 0][tuple(index)] = 1
        reached = fn(probe)[:, 0] != 0
        other = tuple(a + 1 for a in range(len(sizes)) if a != axis)
        matrix = (reached.any(dim=other) if other else reached).double()  # (size in, size out)
        x = torch.movedim(torch.movedim(x, first + axis, -1) @ matrix, -1, first + axis)
    return x

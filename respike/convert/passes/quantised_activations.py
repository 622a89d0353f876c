"""Activations quantised in training: clamp, scale and round, in any order and spelling, as one ``RELU`` with steps.

A chain of factors, summands, clamps and one rounding is c·clip(⌊a·x + b⌋, low, high) + d. That is what
integrate-and-fire neurons with the threshold c·(high − low) compute in high − low timesteps (Bu et al., "Optimal
ANN-SNN conversion", ICLR 2022), the part of b behind the point being V_0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..graph import RELU, Graph, Node, Ref, Rewriter, rewrite
from .constants import constant

Number = Tensor | float

BELOW_ONE = 1 - 2.0**-16
"""What ceil adds before it rounds down: less than 1, so that 0 stays 0, and more than float32 rounds."""
NEAR = 1e-4
"""How far from a step a bound may lie, in steps, and count as that step."""
MOST = 2**16
"""Most steps."""

_ROUNDINGS = {
    "aten.floor.default": 0.0,
    "aten.trunc.default": 0.0,
    "aten.round.default": 0.5,
    "aten.ceil.default": BELOW_ONE,
}


@dataclass(frozen=True)
class Chain:
    """clip(a·x + b, low, high), or with ``rounded`` c·clip(⌊a·x + b⌋, low, high) + d."""

    x: Ref
    a: Number = 1.0
    b: Number = 0.0
    low: Number = -math.inf
    high: Number = math.inf
    rounded: bool = False
    c: Number = 1.0
    d: Number = 0.0


def spell_stairs(graph: Graph) -> Graph:
    """Requires: weights folded to constants. Ensures: activations with equal steps from a bound on are ``RELU``."""
    chains: dict[str, Chain] = {}
    for node in graph.nodes:
        made = _chain(node, graph, chains)
        if made is not None:
            chains[node.name] = made

    outputs = set(graph.output_names())

    def step(node: Node, rewriter: Rewriter) -> Any:
        chain = chains.get(node.name)
        goes_on = all(u.name in chains and chains[u.name].rounded for u in graph.users.get(node.name, []))
        if chain is None or not chain.rounded or (goes_on and node.name not in outputs):
            return rewriter.keep(node)
        return _written(chain, node, rewriter) or rewriter.keep(node)

    return rewrite(graph, step)


def _chain(node: Node, graph: Graph, chains: dict[str, Chain]) -> Chain | None:
    """The chain that ends with this node."""
    name = node.op.split(".")[1]
    if node.shape is None or node.is_shape or name.startswith(("linear", "conv")):  # whose weights may be large
        return None
    values = [_value(a, graph) for a in node.args]
    signals = [a for a, v in zip(node.args, values, strict=True) if v is None and isinstance(a, Ref)]
    if len(signals) != 1 or graph.shape(signals[0].name) != node.shape:
        return None
    before = chains.get(signals[0].name, Chain(signals[0]))
    first = node.args[0] == signals[0]
    other = values[1 if first else 0] if len(values) > 1 else None
    if node.op in _ROUNDINGS and not node.kwargs and len(node.args) == 1:
        return _rounded(before, _ROUNDINGS[node.op], name)
    if name == "_to_copy" and before.rounded == (not node.whole):  # to whole numbers, and back
        return before if before.rounded else _rounded(before, 0.0, "trunc")
    if first and other is not None and _all(other, lambda v: v > 0):
        if name == "floor_divide":
            return _rounded(_scaled(before, 1 / other), 0.0, "floor")
        if node.op == "aten.div.Tensor_mode" and node.kwargs.get("rounding_mode") in ("floor", "trunc"):
            return _rounded(_scaled(before, 1 / other), 0.0, node.kwargs["rounding_mode"])
    if (
        name in ("mul", "div", "add", "sub")
        and other is not None
        and not node.kwargs
        and (first or name in ("mul", "add"))
    ):
        if name in ("mul", "div"):
            if not _all(other, lambda v: v > 0):
                return None
            return _scaled(before, other if name == "mul" else 1 / other)
        return _moved(before, other if name == "add" else -other)
    bounds = _bounds(name, node, values)
    return None if bounds is None or not first else _clipped(before, *bounds)


def _value(arg: Any, graph: Graph) -> Number | None:
    found = constant(Rewriter(graph), arg) if not isinstance(arg, Ref) or arg.name in graph.tensors else None
    return found.double() if isinstance(found, Tensor) else found


def _bounds(name: str, node: Node, values: list[Number | None]) -> tuple[Number, Number] | None:
    """What an operation clips to."""

    def given(index: int, key: str, default: float) -> Number | None:
        arg = node.args[index] if len(node.args) > index else node.kwargs.get(key)
        if arg is None:
            return default
        return values[index] if len(node.args) > index else (float(arg) if isinstance(arg, (int, float)) else None)

    if name == "relu" and not node.kwargs:
        return 0.0, math.inf
    if name == "relu6":
        return 0.0, 6.0
    if name == "clamp":
        low, high = given(1, "min", -math.inf), given(2, "max", math.inf)
    elif name == "hardtanh":
        low, high = given(1, "min_val", -1.0), given(2, "max_val", 1.0)
    elif name in ("clamp_min", "maximum") or node.op == "aten.max.other":
        low, high = given(1, "min", -math.inf), math.inf
    elif name in ("clamp_max", "minimum") or node.op == "aten.min.other":
        low, high = -math.inf, given(1, "max", math.inf)
    else:
        return None
    return None if low is None or high is None else (low, high)


def _scaled(chain: Chain, k: Number) -> Chain:
    if chain.rounded:
        return replace(chain, c=chain.c * k, d=chain.d * k)
    return replace(chain, a=chain.a * k, b=chain.b * k, low=chain.low * k, high=chain.high * k)


def _moved(chain: Chain, k: Number) -> Chain:
    if chain.rounded:
        return replace(chain, d=chain.d + k)
    return replace(chain, b=chain.b + k, low=chain.low + k, high=chain.high + k)


def _clipped(chain: Chain, low: Number, high: Number) -> Chain | None:
    if chain.rounded:
        low, high = (low - chain.d) / chain.c, (high - chain.d) / chain.c
        lowest, highest = _step(low), _step(high)
        if lowest is None or highest is None:
            return None
        low, high = lowest, highest
    return replace(chain, low=_within(chain.low, low, high), high=_within(chain.high, low, high))


def _rounded(chain: Chain, share: float, name: str) -> Chain | None:
    if chain.rounded or (name == "trunc" and not _all(chain.low, lambda v: v >= 0)):
        return None
    low, high = (_floor(bound, share) for bound in (chain.low, chain.high))
    return replace(chain, b=chain.b + share, low=low, high=high, rounded=True)


def _floor(bound: Number, share: float) -> Number:
    """⌊bound + share⌋, of a bound that is a whole number but for rounding as of that number."""
    if not _finite(bound):
        return bound
    value = torch.as_tensor(bound, dtype=torch.float64)
    value = torch.where((value - value.round()).abs() < NEAR, value.round(), value)
    found = torch.floor(value + share)
    return found if isinstance(bound, Tensor) else float(found)


def _within(value: Number, low: Number, high: Number) -> Number:
    if isinstance(value, float) and isinstance(low, float) and isinstance(high, float):
        return min(max(value, low), high)
    found, least, most = (torch.as_tensor(v, dtype=torch.float64) for v in (value, low, high))
    return found.maximum(least).minimum(most)


def _step(bound: Number) -> Number | None:
    """The bound as a whole number of steps; None if it is none."""
    if not _finite(bound):
        return bound
    whole: Number = bound.round() if isinstance(bound, Tensor) else float(round(bound))
    return whole if _all(bound - whole, lambda v: abs(v) < NEAR) else None


def _finite(value: Number) -> bool:
    return bool(torch.as_tensor(value).isfinite().all())


def _all(value: Number, holds: Any) -> bool:
    return bool(torch.as_tensor(holds(value)).all())


def _one(value: Number) -> float | None:
    """The value if it is the same everywhere."""
    if isinstance(value, float):
        return value
    first = float(value.flatten()[0])
    return first if _all(value, lambda v: abs(v - first) <= 1e-9 * max(1.0, abs(first))) else None


def _written(chain: Chain, node: Node, rewriter: Rewriter) -> Ref | None:
    """The chain as a factor, a summand, ``RELU``, a factor and a summand; those that do nothing are left out."""
    low, steps = _one(chain.low), _one(chain.high - chain.low)
    if low is None or steps is None or not math.isfinite(low) or not (1 <= steps <= MOST or steps == math.inf):
        return None
    behind = chain.b - low
    one = _one(behind)
    shift = 0.5 if one is None else one - math.floor(one + 1e-9)
    shift = min(max(round(shift, 9), 0.0), BELOW_ONE)
    size = _one(chain.c)  # of a step
    before: Number
    after: Number
    if steps == math.inf:
        if size is None:
            return None
        before, kwargs, after = chain.c, {"step": size, "shift": shift}, 1.0
    elif size is None:
        before, kwargs, after = 1 / steps, {"cap": 1.0, "levels": int(steps), "shift": shift}, chain.c * steps
    else:
        before, kwargs, after = chain.c, {"cap": size * steps, "levels": int(steps), "shift": shift}, 1.0
    parts: list[tuple[str, Number]] = [
        ("aten.mul.Tensor", _tidy(chain.a * before, 1.0)),
        ("aten.add.Tensor", _tidy((behind - shift) * before, 0.0)),
        (RELU, 0.0),
        ("aten.mul.Tensor", _tidy(after, 1.0)),
        ("aten.add.Tensor", _tidy(chain.c * low + chain.d, 0.0)),
    ]
    nothing = {"aten.mul.Tensor": 1.0, "aten.add.Tensor": 0.0}
    parts = [(op, v) for op, v in parts if op == RELU or not (isinstance(v, float) and v == nothing[op])]
    x = chain.x
    for i, (op, value) in enumerate(parts):
        name = node.name if i == len(parts) - 1 else ""
        if op == RELU:
            x = rewriter.add(node, op, x, name=name, **kwargs)
        else:
            other = rewriter.tensor(f"{node.name}_steps", value.float()) if isinstance(value, Tensor) else value
            x = rewriter.add(node, op, x, other, name=name)
    return x


def _tidy(value: Number, plain: float) -> Number:
    """The value as one number where it is one, and ``plain`` where it differs from that by rounding alone."""
    one = _one(value)
    if one is None:
        return value
    return plain if abs(one - plain) < 1e-7 else one

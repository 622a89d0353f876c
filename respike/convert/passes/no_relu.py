"""Why a network without an activation cannot be converted."""

from __future__ import annotations

from ..errors import ConversionError, Refusal
from ..graph import RELU, Graph, Ref, leaves
from ..graph.rules import LINEAR, MAXIMA, PRODUCTS, Role, in_time, refusal, short

_NO_RELU = "this network has no ReLU and no smooth activation behind weights, so nothing in it becomes spiking neurons"
_ADD_RELUS = "train with ReLUs or smooth activations between its layers"
_MAX_AS_RELU = "write max(a, b) as b + F.relu(a - b), which becomes neurons"


def without_relu(judged: Graph) -> ConversionError:
    """Why a network without a ReLU is none to convert, and what else is in it."""
    signals = judged.signals()
    others: list[Refusal] = []
    for node in judged.nodes:
        factors = [a for a in leaves((node.args, node.kwargs)) if isinstance(a, Ref) and a.name in signals]
        multiplies = short(node.op) in PRODUCTS | {"div"} and len(factors) > 1
        if node.name not in signals or node.is_shape:
            continue
        if node.op in LINEAR and node.role != Role.ANALOG and not multiplies:
            continue
        if node.op == RELU:  # part of a function of the input, which is named itself
            continue
        name = short(node.op)
        if node.op in MAXIMA:
            why = f"{name} passes the spikes of neurons before it on and sends none itself"
            pair = len([name for name in node.refs if name in signals]) == 2
            todo = f"{_MAX_AS_RELU}, or {_ADD_RELUS}" if pair else _ADD_RELUS
        elif node.role == Role.ANALOG:
            why, todo = f"{name} is kept analog", _ADD_RELUS
        elif multiplies or (node.role == Role.STATIC and in_time(node.op) is not None):
            why, todo = f"{name} has no neurons in front of it, so it is computed from the input alone", _ADD_RELUS
        elif in_time(node.op) is not None:
            why, todo = f"{name} has no synapses behind it, so it is applied to the outputs", _ADD_RELUS
        else:
            why, todo = refusal(node.op)
            todo = todo.partition("or keep")[0].rstrip(", ")  # analog it would have no neurons either
            todo = _ADD_RELUS if node.role == Role.HEAD and todo.startswith(("train with", "use another")) else todo
        others.append(Refusal(node.where, why, todo))
    if others:
        return ConversionError(f"{_NO_RELU}; what it has:", others)
    return ConversionError(f"{_NO_RELU}: its outputs are an affine function of its input; {_ADD_RELUS}")

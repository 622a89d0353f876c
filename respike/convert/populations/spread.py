"""The pass that writes sums of ReLUs in the place of smooth functions of a signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import ConversionError
from ..graph import RELU, Graph, Node, Ref, Rewriter, rewrite
from ..graph.rules import LINEAR, Role
from ..passes import prune
from ..passes.roles import verdicts
from .curves import Curve, curves
from .fit import Population

GUESS = Population((1, -1), (0.0, 0.0), (1.0, 1.0), 0.0)
"""Stands for those that are not fitted yet: what the other nodes are in time does not depend on the numbers in it."""


def to_spread(graph: Graph, analog: Sequence[str] = ()) -> list[Curve]:
    """The smooth functions that become populations.

    A function of the input alone that multiplies a signal, as a gate for which another input is the condition, is left
    as it is: computed once for each sample, it is a factor, while the product of two signals is none.

    Args:
        graph: In normal form.
        analog: As for ``set_roles``.

    Raises:
        ConversionError: there is no such function.
    """
    found = curves(graph, analog)
    while found:
        judged, refused = verdicts(_with_neurons(graph, found), analog)
        where = {refusal.where for refusal in refused}
        gates = _first_gates(judged, {curve.top.name for curve in found}, where)
        if not gates:
            break
        found = [curve for curve in found if curve.top.name not in gates]
    if not found:
        raise ConversionError(
            "population has no effect: between the layers of this network there is no smooth function of one signal, "
            "such as GELU or SiLU; omit it"
        )
    return found


def spread(graph: Graph, populations: Mapping[str, tuple[Curve, Population]]) -> Graph:
    """The graph in which these functions are sums of ReLUs, each a layer of neurons with the user's name and a number.

    Requires: normal form. Ensures: the same output, but for what the sums lack.

    Args:
        graph: The graph.
        populations: By the name of a curve's node, the curve and what stands for it.
    """

    def step(node: Node, rewriter: Rewriter) -> Any:
        if node.name not in populations:
            return rewriter.keep(node)
        curve, population = populations[node.name]
        return _sum(curve, population, node, rewriter)

    return prune(rewrite(graph, step))


def _sum(curve: Curve, population: Population, node: Node, rewriter: Rewriter) -> Ref:
    count = len(population.weights)
    total: Ref | None = None
    for i, (sign, offset, weight) in enumerate(
        zip(population.signs, population.offsets, population.weights, strict=True), 1
    ):
        x = Ref(curve.source)
        one = replace(node, kind=f"{node.kind} {i}/{count}")
        if sign < 0:
            x = rewriter.add(one, "aten.mul.Tensor", x, -1.0)
        x = rewriter.add(one, "aten.add.Tensor", x, -sign * offset)
        x = rewriter.add(one, RELU, x, name=rewriter.fresh(f"{node.name}_{i}_of_{count}"))
        x = rewriter.add(one, "aten.mul.Tensor", x, weight)
        total = x if total is None else rewriter.add(node, "aten.add.Tensor", total, x)
    if total is None:  # the curve is level where its inputs are
        total = rewriter.add(node, "aten.mul.Tensor", Ref(curve.source), 0.0)
    return rewriter.add(node, "aten.add.Tensor", total, population.constant)


def _with_neurons(graph: Graph, found: Sequence[Curve]) -> Graph:
    """The graph in which one layer of neurons, of the same name, has the place of each function."""
    sources = {curve.top.name: Ref(curve.source) for curve in found}
    nodes = [replace(n, op=RELU, args=(sources[n.name],), kwargs={}) if n.name in sources else n for n in graph.nodes]
    return prune(replace(graph, nodes=nodes))


def _first_gates(judged: Graph, tops: set[str], refused: set[str]) -> set[str]:
    """Which functions are factors in products that are refused, with nothing that varies in time before them."""
    timed, gates = set(judged.varying), set[str]()
    early: dict[str, str] = {}  # by the name of a value, the function that it comes from without synapses
    for node in judged.nodes:
        rule = LINEAR.get(node.op)
        if node.name in tops and timed.isdisjoint(node.refs):
            early[node.name] = node.name
        elif node.where in refused and rule is not None:
            gates.update(early[n] for n in node.refs if n in early)
        elif rule is not None and not rule.weighted:
            early.update({node.name: early[n] for n in node.refs if n in early})
        if node.role == Role.SPIKE or not timed.isdisjoint(node.refs):
            timed.add(node.name)
    return gates

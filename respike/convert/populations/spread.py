"""The pass that writes sums of ReLUs in the place of smooth functions of a signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..graph import RELU, Graph, Node, Population, Ref, Rewriter, rewrite
from ..passes import prune
from .curves import Curve

GUESS = Population((1, -1), (0.0, 0.0), (1.0, 1.0), 0.0)
"""Stands for those that are not fitted yet: what the other nodes are in time does not depend on the numbers in it."""


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

    found = {name: population for name, (_, population) in populations.items()}
    return replace(prune(rewrite(graph, step)), populations={**graph.populations, **found})


def _sum(curve: Curve, population: Population, node: Node, rewriter: Rewriter) -> Ref:
    count = len(population.weights)
    source, turned, total = Ref(curve.source), None, None
    for i, (sign, offset, weight) in enumerate(
        zip(population.signs, population.offsets, population.weights, strict=True), 1
    ):
        one = replace(node, kind=f"{node.kind} {i}/{count}")
        if sign < 0 and turned is None:
            turned = rewriter.add(node, "aten.mul.Tensor", source, -1.0)
        x = rewriter.add(one, "aten.add.Tensor", turned if sign < 0 else source, -sign * offset)
        x = rewriter.add(one, RELU, x, name=rewriter.fresh(f"{node.name}_{i}_of_{count}"))
        x = rewriter.add(one, "aten.mul.Tensor", x, weight)
        total = x if total is None else rewriter.add(node, "aten.add.Tensor", total, x)
    if total is None:  # the curve is level where its inputs are
        total = rewriter.add(node, "aten.mul.Tensor", source, 0.0)
    return rewriter.add(node, "aten.add.Tensor", total, population.constant)

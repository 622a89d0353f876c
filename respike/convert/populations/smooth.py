"""From a graph with smooth functions to one in which they are sums of ReLUs that fit the calibration samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...progress import SILENT, Progress
from ..errors import ConversionError
from ..graph import Graph, Population
from ..graph.rules import Role
from ..passes import set_roles, track
from ..run.execution_plan import Plan
from .curves import curves
from .gather import gathered, populations
from .spread import GUESS, spread


class Smooth:
    """The smooth functions of a network, on their way to be populations of neurons.

    Args:
        graph: In normal form; inputs that move or are encoded are known.
        k: The most ReLUs for each function.
        analog: As for ``set_roles``.
        device: Where the network will be.

    Attributes:
        guessed: The graph with roles, with sums of ReLUs that fit nothing yet: for whatever the numbers do not matter.

    Raises:
        ConversionError: as ``set_roles``; or there is no such function.
    """

    def __init__(self, graph: Graph, k: int, analog: Sequence[str], device: torch.device) -> None:
        self.k, self.analog = k, analog
        self.curves = curves(graph, analog)
        if not self.curves:
            raise ConversionError(
                f"population={k} has no effect: between the layers of this network there is no smooth function of one "
                "signal, such as GELU or SiLU; omit it"
            )
        self.graph = graph.to(device)
        self.guessed = self._spread(graph, {curve.top.name: GUESS for curve in self.curves})

    def _spread(self, graph: Graph, made: Mapping[str, Population]) -> Graph:
        found = {curve.top.name: (curve, made[curve.top.name]) for curve in self.curves}
        return set_roles(track(spread(graph, found), self.analog), self.analog)

    def fitted(self, like: Graph, data: Iterable[list[Tensor]], work: int, progress: Progress = SILENT) -> Graph:
        """The graph with roles, with sums that fit the data.

        Args:
            like: ``guessed``, maybe with other encodings, which the result has too.
            data: Batches of inputs, in the order of the graph's.
            work: Bytes that a piece of a batch may take.
            progress: Told how far the work is.

        Raises:
            ConversionError: values that are not finite.
        """
        graph = replace(self.graph, encodings=like.encodings)
        counted = gathered(graph, Plan(like), self.curves, data, work, progress)
        return self._spread(graph, populations(graph, self.curves, counted, self.k))

    def ann(self, like: Graph) -> Graph:
        """The ANN's own graph, without sums, to compare outputs with; its roles are those in ``like``."""
        roles = {node.name: node.role for node in like.nodes}
        nodes = [replace(node, role=roles.get(node.name, str(Role.ANALOG))) for node in self.graph.nodes]
        return replace(self.graph, nodes=nodes, encodings=like.encodings)


def as_in(graph: Graph, made: Mapping[str, Population], analog: Sequence[str] = ()) -> Graph:
    """A graph in normal form with the sums, and the roles, that another network of the same model has.

    Args:
        graph: Of the model.
        made: What the other network has, by the names of the functions' nodes; none may be missing here.
        analog: As for ``set_roles``.

    Raises:
        ConversionError: as ``set_roles``; or the model has no such function.
    """
    found = {curve.top.name: curve for curve in curves(graph, analog)}
    for name, population in made.items():
        if name not in found:
            raise ConversionError(f"the model has no smooth function at {population.where}, which the network has")
    there = spread(graph, {name: (found[name], population) for name, population in made.items()})
    return set_roles(track(there, analog), analog)

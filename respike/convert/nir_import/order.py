"""In which order the nodes of a NIR graph run, and all that keeps it from being a feed-forward network of IF nodes."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter

from ...text import shown
from ..errors import ConversionError, FormatError, Refusal
from ..nir_file.contents import FIELDS, NirFile

_LEAKY = "has a leak or synapses with a memory, and respike.from_nir reads integrate-and-fire nodes (IF)"
_UNKNOWN: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("LIF", "LI", "CubaLIF", "CubaLI"), (_LEAKY, "train the network with IF nodes")),
    "I": ("integrates without spikes", "end the network with a linear layer"),
    "Delay": ("waits, and all nodes of a respike network run at once", "leave it out"),
    "Threshold": ("spikes without a memory", "use an IF node"),
    "NIRGraph": ("is a graph within the graph", "write the network as one graph"),
}


def in_order(file: NirFile) -> tuple[list[str], dict[str, list[str]]]:
    """The nodes in the order in which they run, and what each of them reads.

    Raises:
        FormatError: edges that lead nowhere.
        ConversionError: unknown nodes, loops, nodes without a reader or a source: all of them listed.
    """
    sources: dict[str, list[str]] = {name: [] for name in file.nodes}
    for edge, n in Counter(file.edges).items():
        for name in edge:
            if name not in sources:
                raise FormatError(f"an edge leads to or from {shown(name)!r}, and there is no such node")
        if n > 1:
            raise FormatError(f"the edge from {shown(edge[0])!r} to {shown(edge[1])!r} is there {n} times")
        sources[edge[1]].append(edge[0])
    refused = [
        Refusal(
            f"{shown(name)} ({shown(node.type)})",
            *_UNKNOWN.get(node.type, ("is not a node that is known", "write the network with the nodes of nir 1.0.8")),
        )
        for name, node in file.nodes.items()
        if node.type not in FIELDS
    ]
    order: list[str] = []
    try:
        order = list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        loop = list(reversed(error.args[1]))
        path = " -> ".join(shown(name) for name in (loop if len(loop) <= 8 else [*loop[:7], "..."]))
        refused.append(Refusal(path, "is a loop", "give a feed-forward network: respike runs no recurrent ones"))
    refused += _ends(file, sources)
    if refused:
        raise ConversionError("this NIR graph has parts that respike does not run:", refused)
    return order, sources


def _ends(file: NirFile, sources: dict[str, list[str]]) -> list[Refusal]:
    """What is wrong with where the graph begins and ends."""
    read = {source for source, _ in file.edges}
    kinds = Counter(node.type for node in file.nodes.values())
    found = [
        Refusal("the graph", f"has {kinds[kind]} {kind} nodes", f"give it one {kind} node")
        for kind in ("Input", "Output")
        if kinds[kind] != 1
    ]
    for name, node in file.nodes.items():
        where = f"{shown(name)} ({shown(node.type)})"
        if node.type == "Input" and sources[name]:
            found.append(Refusal(where, "is read before it is given: an edge leads to it", "begin the graph with it"))
        if node.type == "Output" and name in read:
            found.append(Refusal(where, "is read by another node", "end the graph with it"))
        if node.type != "Input" and not sources[name]:
            found.append(Refusal(where, "reads nothing", "connect it with the graph, or leave it out"))
        if node.type != "Output" and name not in read:
            found.append(Refusal(where, "is read by nothing", "connect it with the graph, or leave it out"))
    return found

"""The main road from a NIR file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ...text import shown
from .. import checks
from ..caller_state import in_own_types
from ..errors import ConversionError, FormatError, Refusal
from ..graph import Graph, Ref
from ..network import SpikingNetwork
from ..nir_file.contents import FORMAT, NirFile
from ..nir_file.meaning import Reset, Spikes, neuron_options
from ..nir_file.read import read
from ..options import NeuronOptions
from ..passes import set_roles
from ..run.neurons import SpikingReLU
from ..saved.check_graph import check
from .building import Building, Place
from .neurons import integrate_and_fire
from .operators import OPERATORS
from .order import in_order

_UNSTATED = (
    "a NIR file does not say what its IF nodes do, and simulators differ: give reset='subtract', spikes='single' (at "
    "most one a step) or 'multiple' (as many as fit), floor=None or the least potential in units of the threshold, and "
    "timesteps. Sinabs runs spikes='multiple', floor=-1"
)


@in_own_types()
def from_nir(
    path: str | os.PathLike[str],
    *,
    reset: Reset | None = None,
    spikes: Spikes | None = None,
    floor: float | EllipsisType | None = ...,
    timesteps: int | None = None,
    dt: float = 1.0,
) -> SpikingNetwork:
    """A spiking network from a NIR file: feed-forward, of ``IF`` nodes and what is linear.

    What ``SpikingNetwork.to_nir`` wrote says itself how it runs, and comes back with its T and V_0. NIR does not define
    what the ``IF`` nodes of other files do in a timestep, so that has to be given. V is 0 before the first step there.

    >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
    >>> snn.quantised(8).to_nir("small.nir")
    >>> loaded, x = respike.from_nir("small.nir"), torch.rand(5, 4)
    >>> torch.allclose(loaded(x), snn.quantised(8)(x))
    True

    Args:
        path: The file.
        reset: ``"subtract"`` (soft reset) lowers V by the threshold for each spike. ``"zero"`` (hard reset) is not
            supported.
        spikes: ``"single"``: at most one a step; ``"multiple"``: as many as fit into V.
        floor: Lower bound of V in units of the threshold, applied last in each step; None for no bound.
        timesteps: T that ``snn(x)`` runs.
        dt: A timestep in the units of the file's time: V grows by r·dt·I in each. Sinabs and snnTorch write files for
            1, SpikingJelly for the ``dt`` that it was given, by default 1e-4.

    Returns:
        The network, on the CPU. ``snn(x)`` is the mean of the output node over T steps; of an output that is spikes,
        their rate.

    Raises:
        FormatError: a ``ConversionError``: the file does not exist, is no NIR file, is damaged, or exceeds a limit.
        ConversionError: nodes that are not supported (all of them listed), loops, an argument that is missing or that
            says otherwise than the file; or h5py is not installed.
    """
    checks.path("path", path)
    dt = checks.number("dt", dt, " above 0", above=0)
    try:
        file = read(Path(path))
        options, steps, about = _meaning(file, reset, spikes, floor, timesteps)
        graph, neurons = _network(file, options, dt)
        check(graph, torch.float32)
    except FormatError as error:
        raise FormatError(f"cannot import {shown(str(path), 400)}: {error}") from error
    snn = SpikingNetwork(graph, neurons, steps, calibrated_timesteps=about["calibrated_timesteps"]).eval()
    snn.fitted, snn.unit_thresholds = bool(about["fitted"]), True
    return snn


def _meaning(
    file: NirFile,
    reset: str | None,
    spikes: str | None,
    floor: float | EllipsisType | None,
    timesteps: int | None,
) -> tuple[NeuronOptions, int, dict[str, Any]]:
    """What neurons do, T, and what else a file of respike says."""
    if timesteps is not None:
        timesteps = checks.whole("timesteps", timesteps, 1, checks.STEPS)
    about = file.metadata
    if "respike_format" not in about:
        if reset is None or spikes is None or timesteps is None or isinstance(floor, EllipsisType):
            raise ConversionError(_UNSTATED)
        return neuron_options(reset, spikes, floor), timesteps, {"calibrated_timesteps": timesteps, "fitted": False}
    known = {key: _whole(file, key) for key in ("respike_format", "timesteps", "calibrated_timesteps", "fitted")}
    if known["respike_format"] > FORMAT:
        raise FormatError("a newer respike wrote it; read it with that version")
    given = {"reset": reset, "spikes": spikes, "floor": None if isinstance(floor, EllipsisType) else floor}
    for key, value in given.items():
        said = about.get(key) if key != "floor" else None
        if value is not None and value != said:
            raise ConversionError(f"{key}={value!r} is not what the file says, {key}={said!r}: leave the argument out")
    options = neuron_options(str(about.get("reset")), str(about.get("spikes")), None)
    return options, timesteps or known["timesteps"], known


def _whole(file: NirFile, key: str) -> int:
    value: Any = file.metadata.get(key)
    if value is None or isinstance(value, str) or getattr(value, "size", 0) != 1:
        raise FormatError(f"its metadata has no number {key!r}")
    low, high = (0 if key == "fitted" else 1), checks.STEPS
    if not low <= value.item() <= high or value.item() != int(value.item()):
        raise FormatError(f"{key!r} in its metadata is not a whole number from {low} to {high:,}")
    return int(value.item())


def _network(file: NirFile, options: NeuronOptions, dt: float) -> tuple[Graph, dict[str, SpikingReLU]]:
    order, sources = in_order(file)
    made, neurons, refs = Building(), {}, {}
    shape: tuple[int, ...] = ()
    output = Ref("")
    for name in order:
        place = Place(name, file.nodes[name])
        if place.node.type == "Input":
            shape = tuple(place.whole("shape", place.array("shape").size, 1))
            refs[name] = Ref("x")
            made.values["x"] = torch.empty((1, *shape), device="meta")
            continue
        x = _sum(place, [refs[source] for source in sources[name]], made)
        if place.node.type == "Output":
            wanted = tuple(place.whole("shape", place.array("shape").size, 1))
            if made.sides(x) != wanted:
                raise place.wrong(f"has the shape {wanted} and reads {made.sides(x)}")
            output = x
        elif place.node.type == "IF":
            refs[name], neuron_name, neurons[neuron_name] = integrate_and_fire(place, x, made, options, dt)
        else:
            refs[name] = OPERATORS[place.node.type](place, x, made)
    spec = pytree.tree_structure(((0,), {}))
    graph = Graph({"x": (None, *shape)}, made.tensors, made.nodes, [output], [Ref("x")], {}, spec,
                  pytree.tree_structure(0))  # fmt: skip
    if not neurons:
        raise ConversionError(
            "this NIR graph has no IF nodes", [Refusal("the graph", "does not spike", "give a spiking network")]
        )
    return set_roles(graph), neurons


def _sum(place: Place, refs: Sequence[Ref], made: Building) -> Ref:
    if any(made.sides(ref) != made.sides(refs[0]) for ref in refs):
        raise place.wrong(f"adds up values of shapes {', '.join(str(made.sides(ref)) for ref in refs[:4])}")
    total = refs[0]
    for ref in refs[1:]:
        total = made.add(place, "aten.add.Tensor", total, ref)
    return total

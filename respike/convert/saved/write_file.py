"""From a network to a file."""

from __future__ import annotations

import os
from typing import Any, get_args

import torch
from safetensors.torch import save

from ...files import written_whole
from ..choose.choice import Choice
from ..closeness import Closeness
from ..errors import FormatError
from ..graph import Node
from ..run.neurons import SpikingReLU
from ..run.simulator import Simulator
from .format import VERSION
from .json_document import Document, InputText, NeuronText, NodeText, WholeType
from .read_file import network_of
from .spell_arguments import drawn, spelled


def write(snn: Simulator, choice: Choice | None, closeness: Closeness | None, path: str | os.PathLike[str]) -> None:
    """Write the file whole or not at all, once it is clear that ``load`` will take it.

    Raises:
        FormatError: something in the network has no place in a file, or is not finite.
        FileNotFoundError: the folder does not exist.
    """
    try:
        text = document_of(snn, choice, closeness).text
        _, copy = network_of(
            text, {name: value.detach().cpu().contiguous() for name, value in snn.state_dict().items()}, Simulator
        )
    except FormatError as error:
        raise FormatError(f"this network cannot be saved: {error}") from error
    metadata = {"format": f"respike network {VERSION}", "network": text}
    with written_whole(path) as whole:
        whole.write_bytes(save(copy.state_dict(), metadata))  # save_file has a temporary file of its own


def document_of(snn: Simulator, choice: Choice | None, closeness: Closeness | None) -> Document:
    """All of the network but its tensors.

    Raises:
        FormatError: something in it has no spelling.
    """
    graph = snn.graph
    return Document(
        timesteps=snn.timesteps,
        schedule=snn.schedule,
        delay=snn.delay,
        precision=snn.precision,
        choice=choice,
        inputs=tuple(_input(name, shape, graph.integers.get(name)) for name, shape in graph.inputs.items()),
        tensors=tuple(graph.tensors),
        nodes=tuple(_node(node) for node in graph.nodes),
        outputs=tuple(spelled(x) for x in graph.outputs),
        leaves=tuple(spelled(x) for x in graph.leaves),
        arguments=drawn(graph.in_spec),
        output=drawn(graph.out_spec),
        neurons={name: _neuron(module) for name, module in snn.neurons.items()},
        calibrated_timesteps=snn.calibrated_timesteps,
        fitted=snn.fitted,
        unit_thresholds=snn.unit_thresholds,
        closeness=closeness,
        moving=tuple(sorted(graph.moving)),
        encodings=dict(graph.encodings),
        populations=dict(graph.populations),
    )


def _input(name: str, shape: tuple[int | None, ...], kind: torch.dtype | None) -> InputText:
    if kind is None:
        return InputText(name, shape, False)
    found = next((name for name in get_args(WholeType) if getattr(torch, name) is kind), None)
    if found is None:
        raise FormatError(f"the input {name!r} has the type {kind}, which cannot be saved")
    return InputText(name, shape, True, found)


def _node(node: Node) -> NodeText:
    try:
        args, kwargs = spelled(node.args), {name: spelled(value) for name, value in node.kwargs.items()}
    except FormatError as error:
        raise FormatError(f"{node.where}: {error}") from error
    return NodeText(node.name, node.op, tuple(args), kwargs, node.path, node.kind, node.shape, str(node.role))


def _neuron(module: Any) -> NeuronText:
    assert isinstance(module, SpikingReLU)
    about = module.options
    return NeuronText(about.neuron, about.max_spikes, about.tau_mem, about.levels, module.axis, about.floor)

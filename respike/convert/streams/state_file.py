"""The state of a network under way in a file: tensors as safetensors, numbers as JSON, nothing that can be run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as read_tensors
from safetensors.torch import save
from torch import Tensor

from ...files import written_whole
from ...text import shown
from ..errors import FormatError
from ..graph import Ref
from ..run.simulator import Simulator

FORMAT = "respike state 1"

About = dict[str, str | int | float | None]


def write_state(path: str | os.PathLike[str], snn: Simulator, about: About, tensors: Mapping[str, Tensor]) -> None:
    """Write a state whole or not at all.

    Args:
        path: The file.
        snn: The network that it belongs to.
        about: What the state was made with, by name; whoever reads it must say the same.
        tensors: By name.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: the system does not let it be written.
    """
    held = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    told = {**about, **_digests(snn), "tensors": _of_tensors(held)}
    metadata = {"format": FORMAT, "about": json.dumps(told, sort_keys=True)}
    with written_whole(path) as whole:
        whole.write_bytes(save(held, metadata))


def read_state(
    path: str | os.PathLike[str], snn: Simulator, about: About, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of a file, on the device of the network.

    Args:
        path: The file.
        snn: The network that goes on.
        about: What the state has to be made with.
        wanted: Tensors of the same names, shapes and types: nothing else is taken from a file.

    Raises:
        FormatError: a ``ConversionError``: no such file, one that is damaged or something else, or a state of another
            network or of other options.
    """
    name = shown(str(path), 400)
    try:
        tensors, told = _read(Path(path))
        _agree(told, {**about, **_digests(snn), "tensors": _of_tensors(tensors)})
        if tensors.keys() != wanted.keys():
            odd = min(tensors.keys() ^ wanted.keys())
            raise FormatError(f"the tensor {shown(odd)!r} is missing or not part of such a state; the file is damaged")
        for key, tensor in tensors.items():
            like = wanted[key]
            if tensor.shape != like.shape or tensor.dtype != like.dtype:
                raise FormatError(
                    f"the tensor {shown(key)!r} is {tuple(tensor.shape)} in {tensor.dtype}, expected "
                    f"{tuple(like.shape)} in {like.dtype}; the file is damaged"
                )
    except FormatError as error:
        raise FormatError(f"cannot load the state in {name}: {error}") from error
    # Laid out as they were: a sum is then taken in the same order.
    return {key: torch.empty_like(like).copy_(tensors[key]) for key, like in wanted.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        if not path.is_file():
            raise FormatError("it is not a regular file" if path.exists() else "there is no such file")
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise FormatError("it holds no state that this version of respike writes")
        told = json.loads(metadata.get("about", ""))
        if not isinstance(told, dict):
            raise FormatError("what it says of itself is no JSON object; the file is damaged")
        return read_tensors(path.read_bytes()), told
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror or error}") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        reason = shown(str(error), 200)
        raise FormatError(f"it is damaged or not a safetensors file ({reason})") from error


def _agree(told: dict[str, Any], wanted: About) -> None:
    """Raise for the first difference, with what it means."""
    if told.keys() != wanted.keys():
        raise FormatError("what it says of itself is not what a state of this kind says")
    for key, value in wanted.items():
        if told[key] == value:
            continue
        if key == "tensors":
            raise FormatError("its numbers are not those that were saved; the file is damaged")
        if key == "graph":
            raise FormatError("it is the state of another network: the layers are not those of this one")
        if key == "parameters":
            raise FormatError(
                "it is the state of another network: weights, thresholds or biases are not those of this one; load the "
                "network that it was saved with (SpikingNetwork.save)"
            )
        raise FormatError(f"it was saved with {key}={shown(repr(told[key]))}, and this has {key}={value!r}")


def _digests(snn: Simulator) -> dict[str, str]:
    """What tells a network from others: its operations and neurons, and its numbers, bit for bit."""
    graph, operations = snn.graph, hashlib.sha256()
    nodes = [[n.name, n.op, _plain(n.args), _plain(n.kwargs), _plain(n.shape)] for n in graph.nodes]
    neurons = {name: repr(neuron.options) for name, neuron in sorted(snn.layers().items())}
    encodings = {name: repr(encoding) for name, encoding in sorted(graph.encodings.items())}
    inputs = [_plain(list(graph.inputs.items())), sorted(graph.moving), encodings]
    operations.update(json.dumps([nodes, neurons, inputs, _plain(graph.outputs)]).encode())
    return {"graph": operations.hexdigest(), "parameters": _of_tensors(snn.state_dict())}


def _of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A digest of all their bits."""
    numbers = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        numbers.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.numel():
            numbers.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return numbers.hexdigest()


def _plain(value: Any) -> Any:
    """Arguments as JSON: a list and a tuple mean the same."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    return ["value", value.name] if isinstance(value, Ref) else repr(value)

"""The state of a network under way in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...sealed_file import SealError, read_sealed, write_sealed
from ...text import shown
from ..errors import FormatError
from ..identity import digests_of_network
from ..run.simulator import Simulator

FORMAT = "respike state 2"

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
    write_sealed(path, FORMAT, {**about, **digests_of_network(snn)}, tensors)


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
        told, tensors = read_sealed(path, FORMAT)
        _agree(told, {**about, **digests_of_network(snn)})
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
    except (SealError, FormatError) as error:
        raise FormatError(f"cannot load the state in {name}: {error}") from error
    # Laid out as they were: a sum is then taken in the same order.
    return {key: torch.empty_like(like).copy_(tensors[key]) for key, like in wanted.items()}


def _agree(told: dict[str, Any], wanted: About) -> None:
    """Raise for the first difference, with what it means."""
    if told.keys() != wanted.keys():
        raise FormatError("what it says of itself is not what a state of this kind says")
    for key, value in wanted.items():
        if told[key] == value:
            continue
        if key == "graph":
            raise FormatError("it is the state of another network: the layers are not those of this one")
        if key == "parameters":
            raise FormatError(
                "it is the state of another network: weights, thresholds or biases are not those of this one; load the "
                "network that it was saved with (SpikingNetwork.save)"
            )
        raise FormatError(f"it was saved with {key}={shown(repr(told[key]))}, and this has {key}={value!r}")

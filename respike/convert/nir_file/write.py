"""Writes a NIR file with the fields that its nodes have, and no others, whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...files import written_whole
from ..errors import ConversionError, FormatError
from .contents import FACTORS, GROUPS, NirFile, Value, h5py


def write(file: NirFile, path: str | os.PathLike[str]) -> None:
    """Write the file, once the ``nir`` package has read it and found its types consistent.

    ``nir.write`` is not used: it adds ``v_reset`` to IF nodes, which nir 1.0.4 refuses to read, and sorts nodes by
    name, which readers take for loops.

    Raises:
        FormatError: nir does not read it.
        ConversionError: nir or h5py is not installed.
        FileNotFoundError: the folder does not exist.
    """
    library = h5py()
    try:
        import nir
    except ImportError as error:
        raise ConversionError("NIR files need nir and h5py: pip install 'respike[nir]'") from error
    # In memory first: where the disk is full, HDF5 does not raise an error, but crashes.
    held = io.BytesIO()
    with library.File(held, "w") as out:
        out.create_dataset("version", data=nir.version, dtype=library.string_dtype())
        graph = out.create_group("node")
        _text(graph, "type", "NIRGraph")
        graph.create_dataset("edges", data=np.array(file.edges, dtype=object), dtype=library.string_dtype())
        metadata = graph.create_group("metadata")
        _fill(metadata, file.metadata)
        _fill(metadata.create_group(GROUPS), {name: n.groups for name, n in file.nodes.items() if n.groups > 1})
        _fill(metadata.create_group(FACTORS), {name: 1 for name, node in file.nodes.items() if node.factor})
        nodes = graph.create_group("nodes", track_order=True)
        for name, node in file.nodes.items():
            group = nodes.create_group(name)
            _text(group, "type", node.type)
            _fill(group, node.fields)
            if node.metadata:
                _fill(group.create_group("metadata"), node.metadata)
    with written_whole(path) as whole:
        whole.write_bytes(held.getbuffer())
        try:
            nir.read(whole)
        except Exception as error:  # nir raises most things there are
            raise FormatError(f"nir {nir.version} does not read what was written: {error}") from error


def _fill(group: Any, values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            _text(group, name, value)
        elif isinstance(value, np.ndarray) and value.ndim:
            group.create_dataset(name, data=value, compression="gzip", shuffle=True)
        else:
            group.create_dataset(name, data=value)


def _text(group: Any, name: str, value: str) -> None:
    group.create_dataset(name, data=value, dtype=h5py().string_dtype())

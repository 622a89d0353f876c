"""A NIR graph as bytes, from the process that reads it to the one that asked."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from safetensors.numpy import load, save

from .contents import NirFile, NirNode, Value

_GRAPH: Final = "graph"


def packed(file: NirFile) -> bytes:
    """The graph as JSON, one array among its arrays."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def spelled(values: dict[str, Value]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in values.items():
            found[key] = value
            if not isinstance(value, str):
                found[key] = len(arrays)
                arrays[str(len(arrays))] = np.asarray(value)
        return found

    nodes = [
        [name, n.type, spelled(n.fields), spelled(n.metadata), n.groups, n.factor] for name, n in file.nodes.items()
    ]
    text = json.dumps({"nodes": nodes, "edges": file.edges, "metadata": spelled(file.metadata)})
    return save({**arrays, _GRAPH: np.frombuffer(text.encode(), dtype=np.uint8)})


def unpacked(message: bytes) -> NirFile:
    """The graph that ``packed`` made bytes of."""
    arrays = load(message)
    document = json.loads(arrays[_GRAPH].tobytes())

    def understood(values: dict[str, Any]) -> dict[str, Value]:
        return {key: value if isinstance(value, str) else arrays[str(value)] for key, value in values.items()}

    return NirFile(
        {
            name: NirNode(kind, understood(fields), understood(metadata), groups, factor)
            for name, kind, fields, metadata, groups, factor in document["nodes"]
        },
        [(source, reader) for source, reader in document["edges"]],
        understood(document["metadata"]),
    )

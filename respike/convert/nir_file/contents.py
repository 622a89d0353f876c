"""What a NIR file holds: nodes with arrays, edges between them, and what respike writes beside NIR's own fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ..errors import ConversionError

Value = np.ndarray[Any, Any] | str | int
"""Of a field, or of an entry of the metadata."""

FORMAT: Final = 1
"""Of the metadata that respike writes."""
V_0: Final = "v_0"
"""Metadata of an IF node: the potential before the first step, an array of the shape of ``v_threshold``."""
GROUPS: Final = "groups"
"""Metadata of the graph: of convolutions by name, of how many groups their weights are, spread to dense ones."""
FACTORS: Final = "factors"
"""Metadata of the graph: by name, 1 for what multiplies each channel by a number, and may add another."""
FIELDS: Final[dict[str, tuple[str, str]]] = {
    "Input": ("shape", ""),
    "Output": ("shape", ""),
    "Affine": ("weight bias", ""),
    "Linear": ("weight", ""),
    "Conv1d": ("weight bias stride padding dilation groups", "input_shape"),
    "Conv2d": ("weight bias stride padding dilation groups", "input_shape"),
    "SumPool2d": ("kernel_size stride padding", ""),
    "AvgPool2d": ("kernel_size stride padding", ""),
    "Flatten": ("start_dim end_dim", "input_type"),
    "Scale": ("scale", ""),
    "IF": ("r v_threshold", "v_reset"),
}
"""The nodes that are read, with the fields that they must have and those that they may have."""


@dataclass
class NirNode:
    """One node.

    Attributes:
        type: NIR's name for it, ``"Conv2d"``.
        fields: Its own fields, by their names in NIR.
        metadata: What else is known of it; only of IF nodes, as nir 1.0.4 reads none of others.
        groups: Of a convolution: the groups that its weights were spread from.
        factor: Whether it stands for a factor, and for what is added, of each channel.
    """

    type: str
    fields: dict[str, Value]
    metadata: dict[str, Value] = field(default_factory=dict)
    groups: int = 1
    factor: bool = False


@dataclass
class NirFile:
    """A graph. Several edges into one node are a sum.

    Attributes:
        nodes: By name, those that are read before those that read them, if respike wrote it.
        edges: From, to.
        metadata: Of the graph.
    """

    nodes: dict[str, NirNode]
    edges: list[tuple[str, str]]
    metadata: dict[str, Value] = field(default_factory=dict)


def h5py() -> Any:
    """The library that reads and writes HDF5.

    Raises:
        ConversionError: it is not installed.
    """
    try:
        import h5py as found
    except ImportError as error:
        raise ConversionError("NIR files need nir and h5py: pip install 'respike[nir]'") from error
    return found

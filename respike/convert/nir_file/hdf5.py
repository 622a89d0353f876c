"""Reads NIR from HDF5 without believing it: no link is followed, and every size is known before a read.

HDF5 itself runs in circles on some broken files, so this runs in a process of its own, see ``read.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...text import shown
from ..errors import FormatError
from . import limits
from .contents import FACTORS, FIELDS, GROUPS, V_0, NirFile, NirNode, Value, h5py

_GRAPH_METADATA: Final = "respike_format timesteps calibrated_timesteps fitted reset spikes".split()
_FILTERS: Final = frozenset({"gzip", "shuffle", "lzf", "fletcher32"})


def contents(path: Path) -> NirFile:
    """What a file holds. Of nodes that are not in ``FIELDS`` the type alone.

    Raises:
        FormatError: it is no NIR file, is damaged, or asks for more than ``limits`` allow.
    """
    library, size = h5py(), path.stat().st_size
    with _readable("the file"), library.File(path, "r") as file:
        return _Reader(library, size).graph(file)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Whatever HDF5 finds wrong is an error of the file."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, TypeError, ValueError, RuntimeError ...
        raise FormatError(f"{what} is damaged or no HDF5: {shown(str(error), 200)}") from error


class _Reader:
    """Goes down from the root by the names that NIR has, and keeps account of what it has read.

    Args:
        library: h5py.
        size: Of the file, in bytes.
    """

    def __init__(self, library: Any, size: int) -> None:
        self.library = library
        self.size = size
        self.left = limits.array_bytes(size)

    def graph(self, file: Any) -> NirFile:
        root = self.child(file, "node", "the file")
        if self.has(root, "type") and self.text(root, "type", "the graph") != "NIRGraph":
            raise FormatError("it holds a single node and no graph")
        nodes = self.child(root, "nodes", "the graph")
        found = {name: self.node(nodes, name) for name in self.names(nodes, limits.NODES, "nodes")}
        for name, number in self.numbers(root, GROUPS, found).items():
            found[name].groups = number
        for name in self.numbers(root, FACTORS, found):
            found[name].factor = True
        return NirFile(found, self.edges(root), self.metadata(root, _GRAPH_METADATA, "the graph"))

    def node(self, nodes: Any, name: str) -> NirNode:
        what = f"the node {shown(name)!r}"
        group = self.child(nodes, name, what)
        kind = self.text(group, "type", what)
        if kind not in FIELDS:
            return NirNode(kind, {})
        must, may = (names.split() for names in FIELDS[kind])
        there = self.names(group, limits.FIELDS, f"fields of {what}")
        missing = [field for field in must if field not in there]
        odd = [field for field in there if field not in (*must, *may, "type", "metadata")]
        if missing or odd:
            problem = f"has no field {missing[0]!r}" if missing else f"has an unknown field {shown(odd[0])!r}"
            raise FormatError(f"{what} ({kind}) {problem}")
        fields = {field: self.value(group, field, f"{field} of {what}") for field in (*must, *may) if field in there}
        return NirNode(kind, fields, self.metadata(group, [V_0], what))

    def metadata(self, group: Any, known: list[str], what: str) -> dict[str, Value]:
        """Those entries that respike writes; others are the writer's own affair."""
        if not self.has(group, "metadata"):
            return {}
        inside = self.child(group, "metadata", f"the metadata of {what}")
        return {key: self.value(inside, key, f"the metadata {key} of {what}") for key in known if self.has(inside, key)}

    def numbers(self, root: Any, key: str, nodes: dict[str, NirNode]) -> dict[str, int]:
        """A whole number of some nodes, which the metadata of the graph may hold."""
        if not self.has(root, "metadata"):
            return {}
        metadata = self.child(root, "metadata", "the metadata of the graph")
        if not self.has(metadata, key):
            return {}
        what = f"the metadata {key} of the graph"
        group, found = self.child(metadata, key, what), {}
        for name in self.names(group, limits.NODES, what):
            value = self.value(group, name, what)
            if name not in nodes or isinstance(value, (str, int)) or value.shape or value.dtype.kind not in "iu":
                raise FormatError(f"{what} holds something else than whole numbers of nodes")
            found[name] = int(value)
        return found

    def edges(self, root: Any) -> list[tuple[str, str]]:
        data = self.dataset(root, "edges", "the list of edges")
        if data.ndim != 2 or data.shape[1] != 2 or data.shape[0] > limits.EDGES:
            raise FormatError(f"the edges are no list of up to {limits.EDGES:,} pairs, but {data.shape}")
        self.check_text(data, "the list of edges")
        rows, found = max(1, limits.READ_AT_ONCE // (2 * self.size)), []
        for first in range(0, data.shape[0], rows):
            for pair in data[first : first + rows]:
                source, reader = (self.decoded(name, "an edge") for name in pair)
                found.append((source, reader))
        return found

    def child(self, group: Any, name: str, what: str) -> Any:
        """A group in a group."""
        found = self.held(group, name, what)
        if not isinstance(found, self.library.Group):
            raise FormatError(f"{what} is not a group of HDF5")
        return found

    def dataset(self, group: Any, name: str, what: str) -> Any:
        """An array in a group, not yet read, that lies in this file and can be read in bounded memory."""
        found = self.held(group, name, what)
        if not isinstance(found, self.library.Dataset):
            raise FormatError(f"{what} is not an array")
        if found.shape is None or found.ndim > limits.AXES:
            raise FormatError(f"{what} is empty or has more than {limits.AXES} axes")
        if found.is_virtual or found.external:
            raise FormatError(f"{what} lies in another file")
        settings = found.id.get_create_plist()
        filters = {settings.get_filter(i)[0] for i in range(settings.get_nfilters())}
        known = {getattr(self.library.h5z, f"FILTER_{'DEFLATE' if f == 'gzip' else f.upper()}") for f in _FILTERS}
        if filters - known:
            raise FormatError(f"{what} is compressed in a way that is not read; use {', '.join(sorted(_FILTERS))}")
        if found.chunks is not None and math.prod(found.chunks) * found.dtype.itemsize > self.left:
            raise FormatError(f"{what} has chunks of {found.chunks}, more than a file of {self.size:,} bytes may have")
        return found

    def held(self, group: Any, name: str, what: str) -> Any:
        if not self.has(group, name):
            raise FormatError("it holds no NIR graph" if name == "node" else f"{what} is missing: there is no {name!r}")
        if group.id.links.get_info(name.encode()).type != self.library.h5l.TYPE_HARD:
            raise FormatError(f"{what} is a link to another place, which is not followed")
        with _readable(what):
            return group[name]

    @staticmethod
    def has(group: Any, name: str) -> bool:
        """Whether there is such a name, wherever it leads; h5py's ``in`` follows it, into other files too."""
        found: bool = group.id.links.exists(name.encode())
        return found

    def value(self, group: Any, name: str, what: str) -> Value:
        """A number, an array of numbers or a text."""
        data = self.dataset(group, name, what)
        if self.library.check_string_dtype(data.dtype) is not None:
            return self.text(group, name, what)
        if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
            raise FormatError(f"{what} holds {shown(str(data.dtype))}, not numbers")
        self.left -= data.size * data.dtype.itemsize
        if self.left < 0:
            raise FormatError(f"{what} has the shape {data.shape}: more than a file of {self.size:,} bytes may hold")
        found = np.asarray(data[()], data.dtype.newbyteorder("="), order="C")
        if not np.isfinite(found).all():
            raise FormatError(f"{what} holds numbers that are not finite")
        return found

    def text(self, group: Any, name: str, what: str) -> str:
        data = self.dataset(group, name, what)
        self.check_text(data, what)
        if data.ndim:
            raise FormatError(f"{what} has a list where one text is expected")
        return self.decoded(data[()], what)

    def check_text(self, data: Any, what: str) -> None:
        kind = self.library.check_string_dtype(data.dtype)
        if kind is None or (kind.length or 0) > limits.STRING:
            raise FormatError(f"{what} holds {shown(str(data.dtype))}, not texts of up to {limits.STRING} bytes")

    @staticmethod
    def decoded(value: Any, what: str) -> str:
        raw = value.encode() if isinstance(value, str) else bytes(value)
        if len(raw) > limits.STRING:
            raise FormatError(f"{what} holds a text of {len(raw):,} bytes; the most are {limits.STRING}")
        return raw.decode("utf-8", errors="replace")

    def names(self, group: Any, most: int, what: str) -> list[str]:
        if len(group) > most:
            raise FormatError(f"it has {len(group):,} {what}; the most that is read is {most:,}")
        found = list(group)
        for name in found:
            if len(name) > limits.STRING or not name.isprintable():
                raise FormatError(
                    f"{shown(name)!r} among the {what} is not a printable name of {limits.STRING} letters"
                )
        return found

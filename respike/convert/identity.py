"""Digests that tell networks, models and data from others: what a file of work in progress is bound to."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import textwrap
from collections.abc import Mapping, Sized
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from ..errors import InputError
from ..sealed_file import digest
from .data import is_dataset, untold
from .graph import Graph, Ref
from .run.simulator import Simulator

SAMPLES: Final = 16
"""Of a data set that are looked at."""


def digests_of_network(snn: Simulator) -> dict[str, str]:
    """What tells a network from others: ``graph``, its operations and neurons; ``parameters``, its numbers."""
    neurons = {name: repr(neuron.options) for name, neuron in snn.layers().items()}
    return {"graph": digest(_operations(snn.graph), neurons), "parameters": digest(snn.state_dict())}


def digest_of_graph(graph: Graph) -> str:
    """A digest of a graph: its operations, and its numbers bit for bit."""
    return digest(_operations(graph), graph.tensors)


def _operations(graph: Graph) -> list[Any]:
    nodes = [[n.name, n.op, _plain(n.args), _plain(n.kwargs), _plain(n.shape)] for n in graph.nodes]
    encodings = {name: repr(encoding) for name, encoding in graph.encodings.items()}
    return [nodes, _plain(list(graph.inputs.items())), sorted(graph.moving), encodings, _plain(graph.outputs)]


def digest_of_network(snn: Simulator) -> str:
    """A digest of a network and of the settings with which it runs: operations, neurons and numbers bit for bit."""
    settings = {"timesteps": snn.timesteps, "schedule": repr(snn.schedule), "precision": repr(snn.precision)}
    return digest(digests_of_network(snn), settings)


def digest_of_model(model: nn.Module) -> str:
    """A digest of a model: its modules' classes, settings and own ``forward``, and its numbers bit for bit.

    Settings are attributes without a leading ``_``, which may count runs; of an object among them only its class
    counts. Functions that ``forward`` calls are not looked at.
    """
    modules = []
    for name, module in model.named_modules():
        kind = type(module)
        settings = {key: _setting(value) for key, value in vars(module).items() if not key.startswith("_")}
        code = "" if kind.__module__.partition(".")[0] in _LIBRARIES else _code(kind.forward)
        modules.append([name, f"{kind.__module__}.{kind.__qualname__}", module.extra_repr(), settings, code])
    return digest(modules, dict(model.state_dict()), dict(model.named_buffers()))


_LIBRARIES: Final = ("torch", "torchvision", "respike")
"""Whose code is that of their version."""


def _setting(value: Any) -> Any:
    """What ``digest`` can tell from others, of an attribute."""
    if isinstance(value, (list, tuple)):
        return [_setting(v) for v in value]
    if isinstance(value, Mapping):
        return {repr(key): _setting(v) for key, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _setting(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return [type(value).__qualname__, fields]
    if isinstance(value, (torch.dtype, torch.Size)):
        return repr(value)
    return getattr(value, "__qualname__", value)


def _code(function: Any) -> str:
    """What a function or class does, whatever its comments and line breaks."""
    try:
        return ast.dump(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):  # typed at a prompt, or made by a program
        return ""


def digest_of_function(function: Any) -> str:
    """A digest of what a function, a partial one or a callable object computes, as far as it can be seen from it."""
    return digest(_of_function(function))


def _of_function(function: Any) -> Any:
    if isinstance(function, partial):
        return ["partial", _of_function(function.func), _setting(function.args), _setting(function.keywords)]
    code = getattr(function, "__code__", None)
    if code is None:
        kind = type(function)
        return [f"{kind.__module__}.{kind.__qualname__}", _code(kind), _setting(getattr(function, "__dict__", {}))]
    cells = [_setting(cell.cell_contents) for cell in function.__closure__ or ()]
    constants = [c.co_code if isinstance(c, CodeType) else _setting(c) for c in code.co_consts]
    return [code.co_code, constants, list(code.co_names), _setting(function.__defaults__ or ()), cells]


def digest_of_data(data: Any) -> str:
    """A digest of data that can be had before they are read.

    Tensors and arrays count whole. Of a Dataset count its length, 16 samples spread over it, and the names and sizes of
    the files where it is one of torchvision's folders; of samples that are not the same each time they are read only
    shapes. Of a DataLoader its data set and how it is cut into batches. Of any other iterable only its class and
    length: compare what it gives with ``Chain``.
    """
    return digest(*_of_data(untold(data)))


def _of_data(data: Any) -> list[Any]:
    if isinstance(data, (Tensor, np.ndarray)):
        return [data]
    if isinstance(data, (tuple, list)) and data and all(isinstance(x, (Tensor, np.ndarray)) for x in data):
        return ["pair", *data]
    if isinstance(data, TensorDataset):
        return ["tensors", *data.tensors]
    told: list[Any] = [f"{type(data).__module__}.{type(data).__qualname__}"]
    if isinstance(data, (list, tuple)):
        return [*told, *map(digest, data)]
    with suppress(TypeError):  # a loader of samples without end has a length in name only
        told.append(len(data))
    if isinstance(data, DataLoader):
        sampler = type(data.sampler).__name__
        return [*told, data.batch_size, data.drop_last, sampler, _of_collated(data), *_of_data(data.dataset)]
    if isinstance(data, Subset):
        told.append([int(k) for k in data.indices])
    elif is_dataset(data):
        told.append(_files(data))
    if is_dataset(data) and hasattr(data, "__getitem__") and isinstance(data, Sized):
        told += [_of_sample(data, k) for k in _spread(len(data))]
    return told


def _of_collated(loader: DataLoader[Any]) -> str:
    """Of what a loader makes of its first samples."""
    data: Any = loader.dataset
    if isinstance(data, IterableDataset) or loader.collate_fn is None or not len(data):
        return ""
    with torch.random.fork_rng(devices=[]):
        samples = [data[k] for k in range(min(2, len(data)))]
        batch = loader.collate_fn(samples if loader.batch_size is not None or loader.batch_sampler else samples[0])
        return digest(_shapes(batch)) if _varies(data) else digest(batch)


def _varies(data: Any) -> bool:
    """Whether a sample is another one each time, as where images are turned at random."""
    return digest(data[0]) != digest(data[0])


def _spread(length: int) -> list[int]:
    """Places of the samples that are looked at, the first and the last among them."""
    count = min(length, SAMPLES)
    return [round(k * (length - 1) / max(1, count - 1)) for k in range(count)]


def _of_sample(data: Any, place: int) -> str:
    """Of a sample; of one that is another each time, as where images are turned at random, its shape."""
    with torch.random.fork_rng(devices=[]):
        sample = data[place]
        found = digest(sample)
        return found if found == digest(data[place]) else digest(_shapes(sample))


def _shapes(sample: Any) -> Any:
    if isinstance(sample, (Tensor, np.ndarray)):
        return [tuple(sample.shape), str(sample.dtype)]
    if isinstance(sample, Mapping):
        return [[repr(key), _shapes(value)] for key, value in sample.items()]
    if isinstance(sample, (tuple, list)):
        return [_shapes(value) for value in sample]
    return type(sample).__qualname__


def _files(data: Any) -> list[Any]:
    """Names, sizes and classes of the files of a folder of images, see torchvision's ``DatasetFolder``."""
    root, samples = getattr(data, "root", None), getattr(data, "samples", None)
    if not isinstance(root, (str, os.PathLike)) or not isinstance(samples, list):
        return []
    found = []
    for entry in samples:
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[0], (str, os.PathLike)):
            return []
        found.append([os.path.relpath(entry[0], root), _size(Path(entry[0])), repr(entry[1])])
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _plain(value: Any) -> Any:
    """Arguments as JSON: a list and a tuple mean the same."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return ["value", value.name] if isinstance(value, Ref) else repr(value)

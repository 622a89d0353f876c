"""From a file to a network, without believing anything it says."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...text import shown
from .. import checks
from ..errors import ConversionError, FormatError
from ..graph import BATCH, Graph, Node
from ..options import NeuronOptions
from ..options.encoding import OF_FRAMES
from ..passes.quantised_activations import MOST
from ..run.neurons import SpikingReLU
from ..run.simulator import Simulator
from . import limits
from .argument_types import label
from .check_graph import check, kind_of
from .format import DTYPES, NEURONS, VERSION, WEIGHTS
from .json_document import Document, parse
from .spell_arguments import structure, understood

Network = TypeVar("Network", bound=Simulator)


def read(path: Path, kind: type[Network]) -> tuple[Document, Network]:
    """What a file holds, and the network of it.

    Args:
        path: The file.
        kind: What to make of it.

    Raises:
        FormatError: as ``respike.load``.
    """
    try:
        return network_of(*_read(path), kind)
    except FormatError as error:
        raise FormatError(f"cannot load {shown(str(path), 400)}: {error}") from error


def network_of(text: str, tensors: dict[str, Tensor], kind: type[Network]) -> tuple[Document, Network]:
    """A file's JSON, and the network of that and its tensors.

    Raises:
        FormatError: there is something wrong with them.
    """
    document = parse(text)
    graph = _graph(document, tensors)
    dtype = kind_of([*graph.tensors.values(), *(t for name, t in tensors.items() if name.startswith(NEURONS))])
    check(graph, dtype)
    return document, _network(document, graph, tensors, dtype, kind)


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The JSON, and the tensors by their names in the file."""
    try:
        if not path.is_file():
            raise FormatError("it is not a regular file" if path.exists() else "there is no such file")
        size = path.stat().st_size
        if not 0 < size <= limits.FILE_BYTES:
            raise FormatError(f"it has {size:,} bytes; networks have from 1 to {limits.FILE_BYTES:,}")
        with safe_open(path, "pt", device="cpu") as file:
            text = _text(file.metadata() or {})
            return text, {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        reason = shown(str(error), 200)
        raise FormatError(
            f"it is damaged or not a safetensors file ({reason}); get it once more, or save the network again"
        ) from error


def _text(metadata: dict[str, str]) -> str:
    found = re.fullmatch(r"respike network ([0-9]{1,6})", metadata.get("format", ""))
    if found is None or "network" not in metadata:
        raise FormatError(
            "it holds tensors but no network. respike.load reads what SpikingNetwork.save wrote; "
            "weights alone go into a model, and that into respike.from_torch"
        )
    if not 1 <= int(found[1]) <= VERSION:
        raise FormatError(
            f"it has version {int(found[1])} of the format, and this respike reads versions up to {VERSION}: "
            "load it with the respike that is as new as the one that wrote it"
        )
    return metadata["network"]


def _tensor(file: safe_open, name: str) -> Tensor:
    kind = file.get_slice(name).get_dtype()
    if kind not in DTYPES:
        raise FormatError(f"the tensor {shown(name)!r} has the type {shown(str(kind))}, which no network has")
    value: Tensor = file.get_tensor(name)  # mapped; the network makes its own copy
    return value


def _graph(document: Document, tensors: dict[str, Tensor]) -> Graph:
    """The graph, not yet checked."""
    weights = {}
    for name in document.tensors:
        if WEIGHTS + name not in tensors:
            raise FormatError(f"the tensor {shown(WEIGHTS + name)!r} is missing; the file is damaged")
        weights[name] = tensors[WEIGHTS + name]
    inputs = {x.name: x.shape for x in document.inputs}
    if len(inputs) != len(document.inputs) or len(weights) != len(document.tensors):
        raise FormatError("two inputs or two weights have one name")
    odd = [name for name in document.moving if inputs.get(name, ())[:1] != (BATCH,)]
    if odd:
        raise FormatError(f"the input {shown(odd[0])!r} has no time axis: it is no input, or begins otherwise")
    numbers = {x.name for x in document.inputs if not x.integer and x.shape[:1] == (BATCH,)}
    for name, encoding in document.encodings.items():
        if name not in numbers or encoding.scale is None:
            raise FormatError(
                f"the input {shown(name)!r} cannot be encoded: it holds no real numbers, or there is no scale"
            )
        if encoding.encoder in OF_FRAMES and name not in document.moving:
            raise FormatError(f"the input {shown(name)!r} holds still, and its encoder is for inputs that move")
    return Graph(
        inputs,
        weights,
        [
            Node(n.name, n.op, tuple(understood(list(n.args))), _keywords(n.kwargs), n.path, n.kind, n.shape, n.role)
            for n in document.nodes
        ],
        [_leaf(x) for x in document.outputs],
        [_leaf(x) for x in document.leaves],
        {x.name: getattr(torch, x.type) for x in document.inputs if x.integer},
        structure(document.arguments),
        structure(document.output),
        frozenset(document.moving),
        document.encodings,
        document.populations,
    )


def _keywords(kwargs: dict[str, object]) -> dict[str, object]:
    return {name: understood(value) for name, value in kwargs.items()}


def _leaf(value: object) -> object:
    leaf = understood(value)
    if isinstance(leaf, list):
        raise FormatError(f"{shown(repr(leaf)[:200])} is not a single input or output")
    return leaf


def _network(
    document: Document, graph: Graph, tensors: dict[str, Tensor], dtype: torch.dtype, kind: type[Network]
) -> Network:
    spiking = {node.name: node for node in graph.nodes if node.role == "spike"}
    if document.neurons.keys() != spiking.keys():
        odd = document.neurons.keys() ^ spiking.keys()
        raise FormatError(f"its neurons are not those of its spiking layers: {', '.join(map(shown, sorted(odd)[:3]))}")
    try:
        about, calibrated = document, document.calibrated_timesteps
        steps = (about.timesteps, about.delay, calibrated or 0, *(n.max_spikes for n in about.neurons.values()))
        if max(steps) > checks.STEPS:
            raise FormatError(f"its timesteps, delay or max_spikes are beyond {checks.STEPS:,}")
        neurons = {name: _neuron(node, document, tensors, dtype) for name, node in spiking.items()}
        snn = kind(graph, neurons, about.timesteps, about.schedule, about.delay, calibrated).eval()
        snn.precision = about.precision
    except FormatError:
        raise
    except (ConversionError, KeyError) as error:  # options out of range, names that a module cannot give its parts
        raise FormatError(shown(str(error), 300)) from error
    unknown = tensors.keys() - snn.state_dict().keys()
    if unknown:
        raise FormatError(f"the tensor {shown(min(unknown))!r} is not used by the network")
    snn.fitted = document.fitted
    ones = all(bool((neuron.threshold == 1).all()) for neuron in neurons.values())
    snn.unit_thresholds = ones if document.unit_thresholds is None else document.unit_thresholds
    return snn


def _is_relu(
    cap: object = None, levels: object = None, step: object = None, shift: object = 0.5, two_sided: object = False
) -> bool:
    """Whether these are arguments that ``RELU`` can have."""
    if type(two_sided) is not bool or (two_sided and (cap, levels, step, shift) != (None, None, None, 0.5)):
        return False
    sizes = all(size is None or (type(size) is float and 0 < size < math.inf) for size in (cap, step))
    counted = levels is None or (type(levels) is int and 0 < levels <= MOST and cap is not None and step is None)
    return sizes and counted and type(shift) is float and 0 <= shift < 1


def _neuron(node: Node, document: Document, tensors: dict[str, Tensor], kind: torch.dtype) -> SpikingReLU:
    about = document.neurons[node.name]
    shape = node.shape or ()
    channels = shape[about.axis] if 0 < about.axis < len(shape) else 1
    if channels is None or not 0 <= about.axis < max(len(shape), 1):
        raise FormatError(f"the neurons of {label(node)} have no channel axis {about.axis}")
    if len(node.args) != 1 or not _is_relu(**node.kwargs):
        raise FormatError(f"{label(node)} has arguments that no ReLU has")
    options = NeuronOptions(about.neuron, about.max_spikes, about.tau_mem, about.levels, about.floor)
    if node.kwargs.get("two_sided") and not options.takes_back:
        raise FormatError(f"{label(node)} needs spikes of either sign, and has {options.neuron} neurons")
    neuron = SpikingReLU(node, options, about.axis)
    for name in ("threshold", "bias", "start"):
        key = f"{NEURONS}{node.name}.{name}"
        value = tensors.get(key)
        if value is None:
            raise FormatError(f"the tensor {shown(key)!r} is missing; the file is damaged")
        each = neuron.spread(torch.empty(channels, device="meta")) if channels > 0 and len(shape) > 1 else neuron.start
        if value.shape not in (torch.Size([1] * each.dim()), each.shape) or value.dtype != kind:
            raise FormatError(
                f"the tensor {shown(key)!r} is {tuple(value.shape)} in {value.dtype}; "
                f"its layer wants {tuple(each.shape)} in {kind}"
            )
        if not bool(value.isfinite().all()):
            raise FormatError(f"the tensor {shown(key)!r} holds numbers that are not finite")
        setattr(neuron, name, value.clone())
    if not bool((neuron.threshold > 0).all()):
        raise FormatError(f"a threshold of {label(node)} is not above 0")
    return neuron

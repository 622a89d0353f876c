"""Hold an imported network against another implementation of the same file."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConversionError
from .module import OnnxModule, example
from .node_order import put_in_order

TOLERANCE = 1e-3
"""Largest difference that two implementations may have, relative to the largest output."""


def session_outputs(net: OnnxModule, path: str | os.PathLike[str], inputs: Sequence[Tensor]) -> list[Tensor]:
    """What onnxruntime computes; onnx's own reference for operator sets that it does not know yet.

    Where the file takes only the batch size that it declares, and the network any, the samples go through in batches
    of that size, the last one filled up.

    Args:
        net: Whose inputs and outputs are meant.
        path: The file.
        inputs: The net's, in order.

    Raises:
        ConversionError: onnxruntime is not installed.
        Exception: what onnxruntime says of a file that it cannot run.
    """
    session, names, types = _session(net, path)
    given = {spec.name: x for spec, x in zip(net.inputs, inputs, strict=True)}
    missing = [name for name in names if name not in given]
    if missing:
        raise ConversionError(f"the file takes the input {missing[0]!r}, which no output depends on; cannot verify")
    feed = {name: _as(given[name], kind) for name, kind in zip(names, types, strict=True)}
    size = _declared(net)
    if size is None:
        return [torch.from_numpy(y.copy()) for y in session.run(list(net.outputs), feed)]
    count = len(inputs[0])
    places = [np.arange(start, start + size) % count for start in range(0, count, size)]
    parts = [session.run(list(net.outputs), {name: x[rows] for name, x in feed.items()}) for rows in places]
    return [_joined(batches, size, count) for batches in zip(*parts, strict=True)]


def _declared(net: OnnxModule) -> int | None:
    """The one batch size that the file takes where the network takes any."""
    sizes = {spec.shape[0] if spec.shape else None for spec in net.inputs}
    return sizes.pop() if net.batch is None and len(sizes) == 1 else None


def _joined(batches: Sequence[Any], size: int, count: int) -> Tensor:
    """The batches as one; of an output without a batch, the first."""
    first = torch.from_numpy(batches[0].copy())
    if size == count:
        return first
    if size == 1 and first.shape[:1] != (1,):  # the file squeezes its batch of one
        return torch.from_numpy(np.stack(batches))
    if first.shape[:1] != (size,):
        return first
    return torch.from_numpy(np.concatenate(batches)[:count])


def _session(net: OnnxModule, path: str | os.PathLike[str]) -> tuple[Any, list[str], list[str]]:
    """What runs the file, and the names and types of its inputs."""
    import onnx

    try:
        import onnxruntime
    except ImportError as error:
        raise ConversionError("verifying needs onnxruntime: pip install 'respike[verify]'") from error
    known = [o.name for o in onnx.load(path, load_external_data=False).graph.output]
    inner = [name for name in net.outputs if name not in known]
    source: Any = os.fspath(path)
    if inner:
        model = onnx.load(path)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
        source = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session: Any = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        if "opset" not in str(error).lower():
            raise
        model = onnx.load(path)
        put_in_order(model.graph)
        session = onnx.reference.ReferenceEvaluator(model)
        return session, session.input_names, [""] * len(session.input_names)
    return session, [i.name for i in session.get_inputs()], [i.type for i in session.get_inputs()]


def _as(x: Tensor, kind: str) -> Any:
    """In the type that the file declares, ``tensor(uint8)`` say."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    name = {"float": "float32", "double": "float64", "": str(x.dtype).removeprefix("torch.")}.get(name, name)
    return x.detach().cpu().numpy().astype(name)


def verify(net: OnnxModule, path: str | os.PathLike[str], inputs: Sequence[Tensor] | None = None) -> float:
    """See ``verify_onnx``."""
    inputs = inputs if inputs is not None else example(net)
    if inputs is None:
        raise ConversionError(f"{path} leaves the shape of its input open; verify it on samples of your own")
    with torch.no_grad():
        found = net(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = session_outputs(net, path, inputs)
    except ConversionError:
        raise
    except Exception as error:
        raise ConversionError(f"onnxruntime cannot run {path}: {str(error)[:400]}") from error
    worst = 0.0
    for name, y, z in zip(net.outputs, found, expected, strict=True):
        if y.shape != z.shape:
            raise ConversionError(
                f"output {name!r} has the shape {tuple(y.shape)}, and onnxruntime says {tuple(z.shape)}"
            )
        if y.numel():
            worst = max(worst, _difference(y.double(), z.double()))
    if not worst <= TOLERANCE:
        _, _, types = _session(net, path)
        why = "That is a bug in respike: please report it with the file"
        if "tensor(double)" in types:
            why = "The file computes in float64 and respike in float32; scale its inputs, or subtract what they share"
        raise ConversionError(
            f"the imported network differs from onnxruntime's by {worst:.2g} of its largest output. {why}"
        )
    return worst


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value; infinite where only one of them is finite."""
    finite = expected.isfinite()
    same = torch.where(expected.isnan(), found.isnan(), found == expected)
    if not bool(same[~finite].all()) or not bool(found[finite].isfinite().all()):
        return math.inf
    gap, largest = (found - expected)[finite].abs(), expected[finite].abs()
    return float(gap.max() / largest.max().clamp(min=1e-12)) if gap.numel() else 0.0

"""Hold an imported network against another implementation of the same file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ConversionError
from .module import OnnxModule, example
from .order import put_in_order

TOLERANCE = 1e-3
"""Largest difference that two implementations may have, relative to the largest output."""


def session_outputs(net: OnnxModule, path: str | os.PathLike[str], inputs: Sequence[Tensor]) -> list[Tensor]:
    """What onnxruntime computes; onnx's own reference for operator sets that it does not know yet.

    Args:
        net: Whose inputs and outputs are meant.
        path: The file.
        inputs: The net's, in order.

    Raises:
        ConversionError: onnxruntime is not installed.
        Exception: what onnxruntime says of a file that it cannot run.
    """
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
        names = [i.name for i in session.get_inputs()]
        types = [i.type for i in session.get_inputs()]
    except Exception as error:  # onnxruntime's own exceptions have no common base
        if "opset" not in str(error).lower():
            raise
        model = onnx.load(path)
        put_in_order(model.graph)
        session = onnx.reference.ReferenceEvaluator(model)
        names, types = session.input_names, [""] * len(session.input_names)
    given = {spec.name: x for spec, x in zip(net.inputs, inputs, strict=True)}
    missing = [name for name in names if name not in given]
    if missing:
        raise ConversionError(f"the file takes the input {missing[0]!r}, which no output depends on; cannot verify")
    feed = {name: _as(given[name], kind) for name, kind in zip(names, types, strict=True)}
    found = session.run(list(net.outputs), feed)
    return [torch.from_numpy(y.copy()) for y in found]


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
    if net.batch is None and all(spec.shape and spec.shape[0] for spec in net.inputs):
        # The file itself takes only the batch size it declares.
        inputs = [x[: spec.shape[0]] for spec, x in zip(net.inputs, inputs, strict=True) if spec.shape]
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
            worst = max(worst, float((y.double() - z.double()).abs().max() / z.double().abs().max().clamp(min=1e-12)))
    if not worst <= TOLERANCE:
        raise ConversionError(
            f"the imported network differs from onnxruntime's by {worst:.2g} of its largest output. That is a bug in "
            "respike: please report it with the file"
        )
    return worst

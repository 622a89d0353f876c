"""From a file to a graph whose structure can be relied on, without believing anything it says."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx.helper import OP_SET_ID_VERSION_MAP

from ...text import shown
from ..errors import ConversionError
from . import limits
from .node_order import label, put_in_order
from .operator_table import VERSIONS
from .tensors import check_external


def read(path: str | os.PathLike[str]) -> onnx.ModelProto:
    """The file's model, without the weights that lie in other files.

    Raises:
        ConversionError: no such file, not ONNX, damaged, or with a structure that cannot be converted.
    """
    path = Path(path)
    try:
        return _read(path)
    except (DecodeError, UnicodeDecodeError) as error:
        name = shown(str(path), 400)
        raise ConversionError(f"{name} is not an ONNX file, or it is damaged: it cannot be parsed") from error


def _read(path: Path) -> onnx.ModelProto:
    name = shown(str(path), 400)
    data = _bytes(path, name)
    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    if not model.HasField("graph") or not (graph.node or graph.output):
        raise ConversionError(f"{name} is not an ONNX file, or it is damaged: there is no graph in it")
    if len(graph.node) > limits.NODES:
        raise ConversionError(f"{name} has {len(graph.node):,} nodes; the most that is read is {limits.NODES:,}")
    if model.functions:
        raise ConversionError(
            f"{name} defines {len(model.functions)} functions of its own ({shown(model.functions[0].name)!r}, ...); "
            "inline them first: onnx.inliner.inline_local_functions"
        )
    if graph.sparse_initializer:
        weight = shown(graph.sparse_initializer[0].values.name)
        raise ConversionError(f"{name} has sparse weights ({weight!r}); save them dense")
    _check_versions(model, name)
    _check_names(model, name)
    _check_inputs(model)
    put_in_order(graph)
    check_external([t for t in graph.initializer if t.data_location], path.parent)
    _check(model, path, name)
    return model


def _bytes(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():
            raise ConversionError(f"{name} is not a regular file" if path.exists() else f"there is no file {name}")
        size = path.stat().st_size
        if not 0 < size < limits.FILE_BYTES:
            why = "is empty" if not size else f"has {size / 2**30:.1f} GiB, and ONNX files end at 2 (use external data)"
            raise ConversionError(f"{name} {why}")
        return path.read_bytes()
    except OSError as error:
        raise ConversionError(f"cannot read {name}: {error.strerror}") from error


def _check_versions(model: onnx.ModelProto, name: str) -> None:
    """The checker lets pass operator sets that do not exist yet."""
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        raise ConversionError(
            f"{name} has IR version {model.ir_version}; onnx {onnx.__version__} reads 1 to {onnx.IR_VERSION}"
        )
    declared = {(entry.domain or "ai.onnx", entry.version) for entry in model.opset_import}  # skl2onnx says some twice
    for domain, count in Counter(domain for domain, _ in declared).items():
        if count > 1:
            raise ConversionError(f"{name} declares {count} different opsets of {shown(domain)!r}")
    known = [(domain or "ai.onnx", version) for domain, version in OP_SET_ID_VERSION_MAP]
    newest = {domain: max(v for d, v in known if d == (domain or "ai.onnx")) for domain in VERSIONS}
    for domain, version in opsets(model).items():
        if domain in VERSIONS and not VERSIONS[domain] <= version <= newest[domain]:
            raise ConversionError(
                f"{name} uses operator set {version} of {domain or 'ai.onnx'}; onnx {onnx.__version__} and respike "
                f"know {VERSIONS[domain]} to {newest[domain]}. Export it with another opset_version"
            )


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Operator set by domain; ONNX's own has two names."""
    return {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}


def _check_names(model: onnx.ModelProto, name: str) -> None:
    """Text that is not UTF-8 comes as bytes."""
    graph = model.graph
    names: list[Any] = [x.name for x in (*graph.input, *graph.output, *graph.initializer)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    if any(isinstance(text, bytes) for text in names):
        raise ConversionError(f"{name} is damaged: a name in it is not UTF-8 text")


def _check_inputs(model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        if not value.HasField("type"):
            raise ConversionError(f"the input {shown(value.name)!r} has no type")
        rank = len(value.type.tensor_type.shape.dim)
        if rank > limits.AXES:
            raise ConversionError(f"the input {shown(value.name)!r} has {rank:,} axes, a shape that no network takes")


def _check(model: onnx.ModelProto, path: Path, name: str) -> None:
    """Run onnx's checker on the file's structure; sizes of weights are checked when they are read."""
    # Before IR version 4 weights had to be listed among the inputs; many files never did.
    light = onnx.ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    for source, copies in ((model.graph.input, light.graph.input), (model.graph.output, light.graph.output)):
        for value in source:
            copy = copies.add()
            copy.CopyFrom(value)
            if copies is light.graph.output and not value.HasField("type"):  # runtimes infer it
                copy.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
            if copy.type.HasField("tensor_type"):  # a tensor of unknown rank is valid, and the checker refuses it
                copy.type.tensor_type.shape.SetInParent()
    for tensor in model.graph.initializer:
        light.graph.initializer.add(name=tensor.name, data_type=onnx.TensorProto.FLOAT, dims=[0])
    try:
        onnx.checker.check_model(light)
    except Exception as error:  # its own, and what the C++ below it throws at odd files
        raise ConversionError(f"{name} is not valid ONNX: {_culprit(light)}{_reason(error)}") from error
    if any(tensor.data_location for tensor in model.graph.initializer):
        _check_by_path(path, name)


def _check_by_path(path: Path, name: str) -> None:
    """What only the checker by path looks at: where external data lies."""
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:
        # Faults that are none, see above.
        if "shape" not in str(error) and "in initializer but not in graph input" not in str(error):
            raise ConversionError(f"{name} is not valid ONNX: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return shown(str(error).strip().split("\n")[0], 400)


def _culprit(model: onnx.ModelProto) -> str:
    """The node that the checker stumbles over, which it does not say itself."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {e.domain: e.version for e in model.opset_import if abs(e.version) < 2**31}
    for index, node in enumerate(model.graph.node):
        try:
            onnx.checker.check_node(node, context)
        except Exception:
            return f"node {shown(label(node, index))!r} ({shown(node.op_type)}): "
    return ""

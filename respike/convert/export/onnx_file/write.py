"""Writes a network as an ONNX file, whole or not at all."""

from __future__ import annotations

import json
import os
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ....files import check_writable, written_whole
from ... import checks
from ...caller_state import undisturbed
from ...errors import ConversionError
from ...run.neurons import SpikingReLU
from ...run.simulator import Simulator
from .loop import looped
from .one_step import STEPS
from .traced_step import after, before, check_packages, traced

if TYPE_CHECKING:
    import onnx

Form = Literal["loop", "step"]
FORMS: Final = get_args(Form)
MOST = 2**31 - 2**20
"""Bytes of weights that a file may hold: protobuf's limit for all of it, less room for the graph."""


def to_onnx(snn: Simulator, path: str | os.PathLike[str], form: Form) -> None:
    """See ``SpikingNetwork.to_onnx``."""
    checks.path("path", path)
    checks.one_of("form", form, FORMS)
    check_writable(path)
    model = model_of(snn, form)
    with written_whole(path) as whole:
        whole.write_bytes(model.SerializeToString())


@undisturbed()
def model_of(snn: Simulator, form: Form) -> onnx.ModelProto:
    """The network as an ONNX model that the checker has passed.

    Raises:
        ConversionError: as ``SpikingNetwork.to_onnx``.
    """
    check_packages()
    if snn.schedule != "synchronous":
        raise ConversionError(
            f"an ONNX file runs step by step; convert with schedule='synchronous' (this network's is {snn.schedule!r})"
        )
    if snn.graph.varying and form == "loop":
        raise ConversionError(
            "the loop holds its input still, and this network's moves or is encoded; take form='step', which is given "
            "a frame for each step: for an encoded input, those of snn.frames(x)"
        )
    if snn.graph.weight_bytes > MOST:
        raise ConversionError(
            f"the weights take {snn.graph.weight_bytes / 2**30:.1f} GiB, and an ONNX file holds less than 2 GiB; "
            "save the network with snn.save(path)"
        )
    import onnx
    from onnx import numpy_helper

    model, step = traced(snn, from_zero=form == "step")
    if form == "loop":
        initial = {name: value.numpy() for name, value in step.initial.items() if name != STEPS}
        starts = [numpy_helper.from_array(value, before(name)) for name, value in initial.items()]
        model = looped(model, (before(STEPS), after(STEPS)), {before(name): after(name) for name in initial}, starts)
    _describe(model, snn, form)
    onnx.checker.check_model(model, full_check=True)
    return model


def _describe(model: onnx.ModelProto, snn: Simulator, form: Form) -> None:
    """Say what the file is, in the place of what the exporter says of its own work."""
    from onnx import helper

    version = _version()
    model.producer_name, model.producer_version, model.graph.name = "respike", version, f"respike {form}"
    _clean(model.graph)
    del model.metadata_props[:]
    about = {
        "respike.version": version,
        "respike.form": form,
        "respike.timesteps": str(snn.timesteps),
        "respike.code": json.dumps(_codes(snn)),
    }
    if form == "step":
        states = {value.name: f"next_{value.name}" for value in model.graph.input if value.name.startswith("state.")}
        about["respike.states"] = json.dumps(states)
    helper.set_model_props(model, about)


def _clean(graph: onnx.GraphProto) -> None:
    """Without the exporter's notes, which hold paths of the machine and are longer than the network."""
    from .names import subgraphs

    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for inner in subgraphs(node):
            _clean(inner)


def _codes(snn: Simulator) -> list[dict[str, Any]]:
    """The kinds of neurons, each once."""
    found: list[dict[str, Any]] = []
    for layer in snn.layers().values():
        code = _code(layer)
        if code not in found:
            found.append(code)
    return found


def _code(layer: SpikingReLU) -> dict[str, Any]:
    options = layer.options
    code: dict[str, Any] = {"neuron": options.neuron, "max_spikes": options.max_spikes}
    if options.neuron == "lif":
        code["tau_mem"] = options.tau_mem
    if options.neuron == "multi_threshold":
        code["levels"] = options.levels
    if options.floor is not None:
        code["floor"] = options.floor
    return code


def _version() -> str:
    try:
        return metadata.version("respike")
    except metadata.PackageNotFoundError:
        return "not installed"

"""The network's module as a Python file that a person can read and change, and its tensors beside it."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from safetensors.torch import save
from torch import fx, nn

from ...files import written_whole
from ...layers import OfSums, RateNeuron, RunningMean
from ...text import shown
from ..errors import ConversionError
from ..run.simulator import Simulator
from .module import to_module

_HEAD = '''"""A spiking network of {count} layers of neurons for T = {timesteps}, written by respike.

    from {stem} import load
    network = load()                                  # reads {tensors}, which lies beside this file
    estimate = network(x[:, None].expand(-1, {timesteps}, *x.shape[1:]))[:, -1]

It takes and gives (batch, time, ...): inputs for each step, and the estimate of the ANN's output after each step. Its
neurons go on from call to call: respike.layers.reset_states(network) starts anew.
"""

from math import inf
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn, tensor

from respike.layers import OfSums, RateNeuron, RunningMean
{imports}

def place(module, path, layer):
    """Put a layer at its place in the network, net.2 for example."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(module, parent):
            module.add_module(parent, nn.Module())
        module = getattr(module, parent)
    module.add_module(name, layer)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
'''
_TAKEN = {*keyword.kwlist, *re.findall(r"^(?:from|import) (\w+)", _HEAD, re.MULTILINE)}
"""Names that cannot be imported, and those of what the file imports, in whose place it would come."""
_TAIL = '''

def load(file=Path(__file__).with_name("{tensors}")):
    """The network with its weights, thresholds, biases and potentials."""
    network = Network()
    network.load_state_dict(load_file(file))
    return network.eval()
'''


def to_python(snn: Simulator, path: str | os.PathLike[str]) -> None:
    """See ``SpikingNetwork.to_python``."""
    module, target = to_module(snn), Path(path)
    if target.suffix != ".py" or not target.stem.isidentifier() or target.stem in _TAKEN:
        raise ConversionError(f"{shown(str(target))} cannot be imported; give a name such as net.py")
    tensors = target.with_suffix(".safetensors")
    head = _HEAD.format(
        count=len(snn.layers()),
        timesteps=snn.timesteps,
        stem=target.stem,
        tensors=tensors.name,
        imports=_imports(module),
    )
    text = head + "\n".join([*_layers(module), "", *_forward(module)])
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }
    # Both are written before either takes its place: the code and the tensors of two networks would not fit.
    with written_whole(target) as code, written_whole(tensors) as whole:
        whole.write_bytes(save(state))
        code.write_text(text + _TAIL.format(tensors=tensors.name), encoding="utf-8")


def _layers(module: fx.GraphModule) -> list[str]:
    """Lines of ``__init__``, a layer or tensor each."""
    lines, wrong, inside = [], [], ""
    for name, layer in module.named_modules():
        if not name or type(layer) is nn.Module or (inside and name.startswith(inside)):
            continue
        spelled = _spelled(layer)
        if spelled is None:
            wrong.append(f"{name} ({layer})")
            continue
        inside = f"{name}."
        lines.append(f'        place(self, "{name}", {spelled})')
    if wrong:
        raise ConversionError(
            f"these layers have no spelling in a Python file: {', '.join(wrong)}; snn.to_module() has them as they are"
        )
    for name, value in module.named_parameters(recurse=False):
        lines.append(f"        self.{name} = nn.Parameter(torch.zeros({tuple(value.shape)}))")
    for name, held in module.named_buffers(recurse=False):
        lines.append(f'        self.register_buffer("{name}", torch.zeros({tuple(held.shape)}, dtype={held.dtype}))')
    return lines + _shared(module)


def _shared(module: nn.Module) -> list[str]:
    """Lines that make one parameter of those that are one, as of a layer that is used twice."""
    first: dict[nn.Parameter, str] = {}
    lines = []
    for name, value in module.named_parameters(remove_duplicate=False):
        if value in first:
            (place, _, part), (other, _, its) = name.rpartition("."), first[value].rpartition(".")
            lines.append(f'        self.get_submodule("{place}").{part} = self.get_submodule("{other}").{its}')
        first.setdefault(value, name)
    return lines


def _spelled(layer: nn.Module) -> str | None:
    """The call that makes a layer with tensors of the right shapes."""
    if isinstance(layer, RateNeuron):
        rule, shapes = layer.rule, [tuple(p.shape) for p in (layer.spike_threshold, layer.bias, layer.start)]
        options: dict[str, Any] = {"max_spikes": rule.most, "signed": rule.signed, "levels": rule.levels}
        options |= {"tau_mem": layer.tau_mem, "floor": rule.floor, "two_sided": rule.two_sided}
        usual = {"max_spikes": 1, "signed": False, "levels": 1, "tau_mem": None, "floor": None}
        usual["two_sided"] = False
        given = [f"{name}={value!r}" for name, value in options.items() if value != usual[name]]
        made = [f"torch.{kind}({shape})" for kind, shape in zip(("ones", "zeros", "zeros"), shapes, strict=True)]
        return f"RateNeuron({', '.join([*made, *given])})"
    if isinstance(layer, RunningMean):
        return "RunningMean()"
    if isinstance(layer, OfSums):
        inner = _spelled(layer.function) if isinstance(layer.function, nn.Module) else None
        return None if inner is None or len(layer.sums) != 1 or layer.of_means else f"OfSums({inner})"
    if type(layer).__module__.startswith("torch.nn.modules."):
        return "nn." + re.sub(r"padding=(same|valid)", r'padding="\1"', repr(layer))
    return None


def _imports(module: fx.GraphModule) -> str:
    """Lines that import the functions that ``forward`` calls by names of ``torch.fx``'s own."""
    found = module.graph.python_code("self").globals
    called = {name: f for name, f in found.items() if isinstance(f, FunctionType) and f"{name}(" in module.code}
    return "".join(f"from {f.__module__} import {f.__name__} as {name}\n" for name, f in sorted(called.items()))


def _forward(module: fx.GraphModule) -> list[str]:
    """The method ``forward``, indented."""
    code = module.code.strip("\n").splitlines()
    return ["    " + re.sub(r";  [\w =]+ = None$", "", line) for line in code if line.strip()]

"""The ways out of respike, as methods of a network."""

from __future__ import annotations

import os

from torch.fx import GraphModule

from .. import checks
from ..run.simulator import Simulator
from .module import to_module
from .nir import to_nir
from .onnx_file.write import Form, to_onnx
from .python_file import to_python


class WaysOut(Simulator):
    """A network that can leave: as a module, as Python code, as a NIR file, as an ONNX file."""

    def to_module(self) -> GraphModule:
        """The network as a plain module of torch's layers and those of ``respike.layers``, to read, hook and train.

        It takes and gives ``(batch, time, ...)``: inputs for each step, and the estimate after each step, as
        ``simulate`` gives it. Layers have the names that they have in the user's model, ``RateNeuron`` in the place of
        ReLU; weights, thresholds, biases and potentials V_0 are parameters, and gradients go through the spikes.
        Its neurons go on from call to call: call ``respike.layers.reset_states(module)`` between unrelated inputs.
        It computes in float32, and its spikes are those of the network. Where the engine's order of sums is another
        one, as behind a few operations that move values, outputs may differ by a rounding error.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> module, x = snn.to_module(), torch.rand(5, 4)
        >>> inputs = x[:, None].expand(-1, 8, -1)  # the same input in each of 8 steps
        >>> torch.equal(module(inputs), snn.simulate(x))
        True

        Raises:
            ConversionError: another schedule than ``synchronous``, or a network in which samples meet.
        """
        return to_module(self)

    def to_python(self, path: str | os.PathLike[str]) -> None:
        """Write the module that ``to_module`` gives as Python code, and its tensors beside it as safetensors.

        The file, ``net.py``, can be read, changed and imported; ``load()`` in it gives the network with its tensors. It
        needs torch, safetensors and ``respike.layers``. Both files are written whole, or neither.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> snn.to_python("small.py")

        Args:
            path: A name that can be imported, with the ending ``.py``.

        Raises:
            ConversionError: as ``to_module``; or layers that have no spelling in code, all of them listed.
            FileNotFoundError: the folder does not exist.
        """
        checks.path("path", path)
        to_python(self, path)

    def to_nir(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a NIR file, which other simulators read, whole or not at all.

        Neurons become ``IF`` nodes with thresholds of 1, what θ was is in the weights: as in ``normalised``. NIR has no
        fields for T, the reset and V_0; they are in the metadata, and V_0 has to be set by who reads the file. The mean
        of the output over T timesteps estimates the ANN's output. ``docs/interop.md`` shows how to load it in other
        simulators so that their spikes are those of this network; ``respike.from_nir`` reads it back.

        Args:
            path: The file to write; its name usually ends in ``.nir``.

        Raises:
            ConversionError: parts that NIR, or its readers, cannot say (all of them listed): max-pools, other neurons
                than ``"iaf"`` with one spike a step, another schedule than ``"synchronous"``, operations other than
                convolutions, linear layers, average-pools, sums, factors and flattening; or nir is not installed.
            FileNotFoundError: the folder does not exist.
        """
        to_nir(self, path)

    def to_onnx(self, path: str | os.PathLike[str], form: Form = "loop") -> None:
        """Write the network as an ONNX file, which onnxruntime and others run without respike and PyTorch.

        As a *loop* it takes the ANN's inputs and the number of steps, ``timesteps`` (int64, a scalar), and gives the
        estimates after so many. What does not vary in time is computed once, before and behind the loop.

        As a *step* it takes the inputs and states, ``state.*``, and gives the estimates so far and the states behind
        the step, ``next_state.*``, in the same order. All states are float32 and zero before the first step.

        The batch size is free where it is free in the network. The operator set is 18. The file's metadata say the
        version of respike, the form, T and the code. It computes in float32, whatever ``precision`` is, with the
        engine's equations; where the runtime adds up a current in another order, a current that is within a rounding
        error of the threshold may fire a step earlier or later. Needs the package onnxscript
        (``pip install 'respike[onnx-export]'``).

        Args:
            path: The file to write, whole or not at all; its name usually ends in ``.onnx``.
            form: ``"loop"`` or ``"step"``.

        Raises:
            ConversionError: another schedule than ``synchronous``, operations that PyTorch's exporter has no ONNX for
                (all of them listed), 2 GiB of weights or more, or onnxscript is missing.
            FileNotFoundError: the folder does not exist.
        """
        to_onnx(self, path, form)

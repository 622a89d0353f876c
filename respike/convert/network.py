"""The spiking network as users have it: runs, saves itself, gives variants of itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from . import checks
from .caller_state import in_own_types
from .closeness import Closeness
from .count.fan_out import FanOut, fan_out
from .encoded_inputs import Encodable
from .errors import ConversionError
from .export.take_back import taken_back
from .options import Encoding
from .saved.read_file import read
from .saved.write_file import write
from .summary import describe, synapses_of, table
from .variants.floor import bounded_neurons
from .variants.moving import with_encodings, with_moving
from .variants.normalised import normalise_thresholds
from .variants.quantised import quantise
from .variants.recalibrate import recalibrate

_SHORTCUTS: dict[str, Callable[..., Any]] = {}


def add_shortcut(name: str, function: Callable[..., Any]) -> None:
    """Let a method of ``SpikingNetwork`` call a function of a room that stands below this one and imports it."""
    _SHORTCUTS[name] = function


class SpikingNetwork(Encodable):
    """The spiking network that ``respike.from_torch`` returns: it takes the ANN's inputs and estimates its outputs.

    Calls are independent: the same input always gives the same output. ``stream`` gives a run that goes on from call to
    call.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> snn = respike.from_torch(model, torch.rand(64, 4), timesteps=8)
    >>> snn(torch.rand(5, 4)).shape, snn.simulate(torch.rand(5, 4)).shape  # the estimate after each of 8 steps
    (torch.Size([5, 2]), torch.Size([5, 8, 2]))

    Args:
        graph: With roles set.
        neurons: One layer for each node of role ``spike``, by node name.
        timesteps: T that ``snn(x)`` runs.
        schedule: ``"synchronous"``, ``"layerwise"`` or ``"pipelined"``.
        delay: Steps of head start for each layer of a pipelined network.
        calibrated_timesteps: T that its thresholds were chosen for; None for ``timesteps``.

    Attributes:
        timesteps: T used by ``snn(x)`` and, unless given, by ``simulate``. Like ``schedule``, ``delay``,
            ``precision`` and ``memory_budget`` it may be changed at any time; an invalid value raises a ``ValueError``.
        calibrated_timesteps: T that thresholds were chosen for, whatever ``timesteps`` is now.
        fitted: Whether thresholds and biases were fitted to that T (``threshold="mse"`` with a correction), so that
            longer runs can be worse: the first one brings a ``ConversionWarning``. False in files of older versions.
        precision: The arithmetic of the synapses: ``"float32"``; ``"bfloat16"``, which rounds weights and sums; or
            ``"int8"``, which rounds weights alone and adds up whole numbers, as an 8-bit chip does, the same on every
            machine. Spikes are exact in all of them. With the schedule ``layerwise`` there are none, and it is
            always float32.
        memory_budget: Bytes that the values of a run may take, about: batches go through in pieces, one for each of
            torch's threads at a time, and timesteps in blocks. None, the default: a quarter of what is free. A
            pipelined run is one block, whatever it takes. ``recalibrated`` and ``diagnose`` keep to it when they
            calibrate; None means at most 2 GiB there.
        origin: The ANN's graph in normal form, with its weights, which ``diagnose`` holds the network against; None
            if the network was loaded from a file, or has unit thresholds.
        unit_thresholds: Whether it computes in units of its thresholds and not in the ANN's, as ``normalised`` and
            ``quantised`` make it.
        choice: Why this T and this code, if they were left to ``timesteps="auto"``, else None.
        closeness: How close it came to the ANN when it was converted, on samples that did not calibrate it: the share
            of decisions in which they agree, the relative error, how many samples. With the T, schedule and precision
            that it had then. None if it is not known: of fewer than 8 samples, of networks in which samples meet, and
            of what ``recalibrated`` and ``quantised`` make.
    """

    closeness: Closeness | None = None

    @property
    def fan_out(self) -> FanOut:
        """Synapses behind each neuron, counted exactly, borders included."""
        return fan_out(self.graph, self.held_graph().tensors)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file, whole or not at all; ``respike.load`` reads it.

        Tensors are stored as safetensors, the graph as JSON in its header: nothing in the file can be run.

        Args:
            path: The file to write; its name usually ends in ``.respike``.

        Raises:
            FormatError: a ``ConversionError``: a part of the network cannot be saved, say an operation kept analog
                that is not in the table.
            FileNotFoundError: the folder does not exist.
        """
        checks.path("path", path)
        write(self, self.choice, self.closeness, path)

    def normalised(self) -> SpikingNetwork:
        """An equivalent network in which every threshold is 1 and a spike carries 1; weights and biases make up for it.

        Its spikes are the same but for rounding: a current that is within a rounding error of the threshold may fire a
        step earlier or later.
        """
        made = self.like(*normalise_thresholds(self.held_graph(), self.layers()))
        made.unit_thresholds, made.origin, made.closeness = True, None, self.closeness
        return made

    def quantised(
        self, bits: int = 8, scale: Literal["channel", "layer"] = "channel", bias_bits: int | None = None
    ) -> SpikingNetwork:
        """The normalised network with weights and thresholds in whole numbers, as a chip holds them.

        For each output channel there is an e so that its weights, times 2^e, are whole numbers of so many bits, and its
        threshold is 2^e. Its ``precision`` is float32, which holds them exactly. Compare both networks with
        ``respike.evaluate`` to see the loss of accuracy.

        Args:
            bits: From 2 to 16, sign included.
            scale: ``"channel"``, or ``"layer"``: one e for all channels of a layer, and for all layers whose currents
                meet in the same neurons, so that a layer of neurons has one threshold, as many chips want it. A channel
                that would spoil the unit of its layer gets a threshold that is 2, 4, ... times as large.
            bias_bits: With ``scale="layer"``: the neurons' constant currents are numbers of so many bits too, sign
                included, in the unit of the weights (times what an average before them takes together, as a chip adds
                up). Where a constant is large, the layer's unit is coarser then. None: as many bits as they need.

        Raises:
            ConversionError: another number of bits, another scale, or bias_bits with a scale for each channel.
        """
        made = self.like(*quantise(self.held_graph(), self.layers(), self.timesteps, bits, scale, bias_bits))
        made.unit_thresholds, made.origin = True, None
        made.precision = "float32"  # in which these whole numbers are exact
        return made

    def with_time(self, inputs: Iterable[str] | bool = True, *, events: bool = False) -> SpikingNetwork:
        """The network for inputs that differ in every step, ``(N, T, ...)``: one frame for each timestep.

        A rate code reads their mean over time, and so the ANN's output on the mean of the frames is what the network
        estimates. T equal frames are a constant input: the same spikes. The first layer is computed in every step.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> frames = torch.rand(5, 8, 4)
        >>> snn.with_time()(frames).shape
        torch.Size([5, 2])

        Args:
            inputs: Names of those that move, see ``snn.graph.inputs``; True: all that hold real numbers; False: none.
                What was encoded is not any more.
            events: Whether frames are whole numbers of events, which are counted as such, see ``respike.Frames``.

        Raises:
            ConversionError: an unknown name, an input that does not begin with the samples, or nodes that multiply
                frames by spikes; all of these are listed.
        """
        checks.flag("events", events)
        graph = with_moving(self.graph, inputs)
        if events:
            graph = with_encodings(graph, Encoding("events"), sorted(graph.moving))
        return self.retimed(graph)

    def with_floor(self, floor: float | None) -> SpikingNetwork:
        """The network with a lower bound under every potential, as chips with few bits of state have it.

        After each step, v ← max(v, floor·θ). Negative charge below it is forgotten, so that a neuron that was inhibited
        for long fires earlier than it would. Without a floor potentials can sink as far as the weights take them.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> [neurons.options.floor for neurons in snn.with_floor(-1).layers().values()]
        [-1]

        Args:
            floor: In thresholds, 0 or less; None for no bound.

        Raises:
            ConversionError: a floor above 0.
        """
        return self.like(self.held_graph(), bounded_neurons(self.layers(), floor))

    def with_module(self, module: nn.Module) -> SpikingNetwork:
        """A network with the parameters that the module of this one has now, after training for example.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> module, x = snn.to_module(), torch.rand(5, 4)
        >>> inputs, optimizer = x[:, None].expand(-1, 8, -1), torch.optim.SGD(module.parameters(), 0.01)
        >>> module(inputs)[:, -1].square().sum().backward()
        >>> optimizer.step()
        >>> respike.layers.reset_states(module)
        >>> torch.equal(snn.with_module(module).simulate(x), module(inputs).detach())
        True

        Args:
            module: What ``to_module`` gave, or a copy of it.

        Raises:
            ConversionError: another module, a threshold that is not positive, or numbers that are not finite.
        """
        return self.like(*taken_back(self, module))

    def recalibrated(
        self, calibration: Any, layers: str | Sequence[str], *, ann: nn.Module | None = None, samples: int = 512
    ) -> SpikingNetwork:
        """A network in which these layers are calibrated again, from unlabelled data; all others are kept.

        Args:
            calibration: As for ``respike.from_torch``.
            layers: Names of layers as ``summary`` shows them, or module paths, ``"features.2"``.
            ann: The model that the network was made from; needed if it was loaded from a file.
            samples: The most samples used.

        Raises:
            ConversionError: an unknown layer, no ANN to calibrate against, or unusable calibration data.
        """
        made = self.like(*recalibrate(self, calibration, layers, ann, samples=samples))
        made.fitted = True
        return made

    def diagnose(self, data: Any, ann: nn.Module | None = None, **options: Any) -> Any:
        """The same as ``respike.diagnose(snn, data, ann, **options)``.

        Raises:
            ConversionError: as there; or ``respike.evaluation`` has not been imported.
        """
        if "diagnose" not in _SHORTCUTS:
            raise ConversionError("call respike.diagnose(snn, data), or import respike.evaluation before")
        return _SHORTCUTS["diagnose"](self, data, ann, **options)

    def synapses(self) -> dict[str, str]:
        """How each layer of synapses behind neurons gets its currents, by its place in the user's model.

        It depends on the network's precision and schedule, the shape of the layer and the device; in 8 bits, where both
        ways give the same sums, also on the share of active spikes.
        """
        return synapses_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Settings and layers in numbers and words, for JSON."""
        return describe(self, self.fan_out, self.choice, self.closeness)

    def summary(self) -> str:
        """A table of the spiking layers: neuron, size, thresholds, fan-out; and how close it came to the ANN."""
        return table(self.as_dict(), self.closeness)


@in_own_types()
def load(path: str | os.PathLike[str]) -> SpikingNetwork:
    """A network from the file that ``SpikingNetwork.save`` wrote.

    It gives the same spikes, bit for bit on the same machine: T, schedule, precision, neurons, ``choice``,
    ``closeness`` and the structure of inputs and outputs are those of the network that was saved. ``memory_budget`` is
    not kept, as it depends on the machine. Nothing in a file is run: it holds numbers and the names of operations,
    which must be those of the library's own table.

    >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
    >>> snn.save("small.respike")
    >>> loaded, x = respike.load("small.respike"), torch.rand(5, 4)
    >>> torch.equal(loaded(x), snn(x))
    True

    Args:
        path: The file.

    Returns:
        The network, on the CPU; ``.to(device)`` moves it.

    Raises:
        FormatError: a ``ConversionError``: the file does not exist, is not a saved network, is damaged, has a newer
            format, or exceeds a limit.
    """
    checks.path("path", path)
    document, snn = read(Path(path), SpikingNetwork)
    snn.choice, snn.closeness = document.choice, document.closeness
    return snn

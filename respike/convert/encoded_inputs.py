"""What a network is given in each timestep: inputs that are encoded, and what the network then sees."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

from .caller_state import Inference
from .choose.choice import Choice
from .errors import ConversionError
from .graph import Graph
from .options import EncoderName, Encoding, encoding_of
from .run.moving_inputs import over_time, steps_of
from .run.neurons import SpikingReLU
from .streams.streamed import Streamed
from .variants.moving import retimed, with_encodings


class Encodable(Streamed):
    """A network whose inputs can be made events."""

    choice: Choice | None = None

    def like(self, graph: Graph, neurons: Mapping[str, SpikingReLU]) -> Self:
        """A network of another graph and other neurons, with this one's settings and the choices that led to them.

        It lies where this one does, wherever its parts were made.
        """
        made = type(self)(graph, neurons, self.timesteps, self.schedule, self.delay, self.calibrated_timesteps).eval()
        made.to(next(self.buffers()).device)
        made.precision, made.memory_budget = self.precision, self.memory_budget
        made.fitted, made._told = self.fitted, self._told
        made.choice, made.origin = self.choice, self.origin
        made.unit_thresholds = self.unit_thresholds
        return made

    def retimed(self, graph: Graph) -> Self:
        """The same network, whose inputs move and are encoded as those of a graph.

        Raises:
            ConversionError: nodes that have no place in time then.
        """
        made = self.like(retimed(self.held_graph(), graph), copy.deepcopy(self.layers()))
        if self.origin is not None:
            made.origin = replace(self.origin, moving=graph.moving, encodings=graph.encodings)
        return made

    def encoded(self, encode: EncoderName | Encoding | None, inputs: Iterable[str] | bool = True) -> Self:
        """The network with an encoder in front: it is given its inputs as before, and sees events in each timestep.

        Thresholds stay as they are; a network that is calibrated with ``respike.Encoded`` fits its events better.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> snn.encoded(respike.Encoding("poisson", scale=1.0))(torch.rand(5, 4)).shape
        torch.Size([5, 2])

        Args:
            encode: How, with a scale; None: the network sees what it is given.
            inputs: Names of those that are encoded, see ``snn.graph.inputs``; True: all that hold real numbers.

        Raises:
            ConversionError: an unknown name; no scale, which there are no samples to find; an encoder of inputs that
                move for one that holds still; or nodes that multiply events by spikes.
        """
        encoding = None if encode is None else encoding_of(encode)
        if encoding is not None and encoding.scale is None:
            raise ConversionError(
                f"scale: give the largest magnitude, respike.Encoding({encoding.encoder!r}, scale=1.0) for images in "
                "[0, 1]; or convert with respike.Encoded(calibration, ...), which finds it"
            )
        return self.retimed(with_encodings(self.graph, encoding, inputs))

    @Inference()
    def frames(self, *args: Any, timesteps: int | None = None) -> Any:
        """What the network sees of its inputs in each step: the events that an encoder makes of them.

        It is what ``to_module``, ``to_onnx`` and ``to_nir`` take, whose files hold the network without its encoder.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> snn.encoded(respike.Encoding("rate", scale=1.0)).frames(torch.rand(5, 4)).unique()
        tensor([0., 1.])

        Args:
            *args: Inputs, as for ``simulate``.
            timesteps: As for ``simulate``.

        Returns:
            Each input as ``(N, T, ...)``, all at once; a tuple where there are several.

        Raises:
            ValueError: as for ``simulate``.
        """
        inputs = self._inputs(self.graph.flatten(args))
        found = self.graph.unflatten(
            over_time(self.graph, inputs, steps_of(self.graph, inputs, timesteps, self.timesteps))
        )
        return found[0] if len(found) == 1 else found

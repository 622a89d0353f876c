"""The base of all neurons: what one timestep does, repeated over the time axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from .constants import finite
from .stateful import StatefulLayer


class SpikingLayer(StatefulLayer):
    """A neuron model: subclasses say what one timestep does in ``step``.

    >>> class Forgetful(SpikingLayer):  # fires when its inputs add up to more than 1, then starts from 0
    ...     def step(self, current, state):
    ...         v = state["v_mem"] + current
    ...         spikes = (v > 1).to(v.dtype)
    ...         return spikes, {"v_mem": v * (1 - spikes)}
    >>> Forgetful(["v_mem"])(torch.full((1, 6, 1), 0.4)).flatten()
    tensor([0., 0., 1., 0., 0., 1.])

    Args:
        state_names: Names of the states.
        record_states: Keep all states over time in ``recordings``, each ``(batch, time, ...)``.
        v_init: Potential before the first step.
    """

    membrane = "v_mem"
    """Name of the state that starts at ``v_init``."""

    def __init__(
        self, state_names: Sequence[str], record_states: bool = False, v_init: float | Tensor | None = 0.0
    ) -> None:
        super().__init__(state_names)
        self.record_states = record_states
        self.recordings: dict[str, Tensor] = {}
        self.v_init: Tensor
        self.register_buffer("v_init", finite("v_init", v_init))

    @property
    def does_spike(self) -> bool:
        """Whether the layer's output is spikes."""
        return True

    def _constants(self) -> dict[str, Tensor]:
        """The tensors of the model itself: all but its states."""
        tensors = [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]
        return {name: tensor for name, tensor in tensors if name not in self.state_names}

    @property
    def neuron_shape(self) -> torch.Size:
        """The trailing shape that the parameters broadcast to: ``()`` where all neurons are alike."""
        return torch.Size(torch.broadcast_shapes(*(tensor.shape for tensor in self._constants().values())))

    def _fill(self, like: Tensor) -> None:
        neurons = like.shape[1:]
        for name, tensor in self._constants().items():
            if not _fits(tensor.shape, neurons):
                raise InputError(
                    f"{type(self).__name__}: {name} of shape {tuple(tensor.shape)} does not fit neurons of shape "
                    f"{tuple(neurons)}; give a number, or a tensor that broadcasts to that shape"
                )
        super()._fill(like)

    def initial_state(self, name: str, like: Tensor) -> Tensor:
        if name == self.membrane:
            return self.v_init.to(like).expand(like.shape).clone()
        return torch.zeros_like(like)

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """One timestep of the class's equations: ``(spikes, new state)`` for a current ``(batch, ...)``."""
        raise NotImplementedError

    def feedback(self, spikes: Tensor) -> Tensor | None:
        """Current that a step's spikes add to the next step's input; None in feed-forward layers."""
        return None

    def scan(
        self, currents: Tensor, state: dict[str, Tensor], dim: int = 1
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """All timesteps of ``currents``, whose time axis is ``dim``, without touching the layer's own state.

        Returns:
            Spikes, of the shape of ``currents``; the state after the last step; recorded states.
        """
        outputs: list[Tensor] = []
        recordings: dict[str, list[Tensor]] = {name: [] for name in self.state_names}
        feedback: Tensor | None = None
        for current in currents.unbind(dim):
            spikes, state = self.step(current if feedback is None else current + feedback, state)
            feedback = self.feedback(spikes)
            outputs.append(spikes)
            if self.record_states:
                for name, values in recordings.items():
                    values.append(state[name])
        kept = recordings if self.record_states else {}
        if not outputs:
            return torch.zeros_like(currents), state, {name: torch.zeros_like(currents) for name in kept}
        return stacked(outputs, dim), state, {name: stacked(values, dim) for name, values in kept.items()}

    def forward(self, input_data: Tensor) -> Tensor:
        """Spikes ``(batch, time, ...)`` for currents of the same shape; the states go on from the last call.

        They are of the input's type; states, recordings and all sums are of float32 at least.

        Raises:
            TypeError: no tensor of real numbers.
            ValueError: no time axis, constants that do not fit the neurons, or states of another shape that
                were not reset.
        """
        currents = self._prepare(input_data)
        state = {name: getattr(self, name) for name in self.state_names}
        spikes, state, self.recordings = self.scan(currents, state)
        self._keep(state)
        self.firing_rate = spikes.mean()
        return spikes.to(input_data.dtype) if input_data.is_floating_point() else spikes

    def _keep(self, state: dict[str, Tensor]) -> None:
        """Go on from these states with the next input."""
        for name, value in state.items():
            setattr(self, name, value)
        self._fresh = False

    def keep(self, name: str, value: float | Tensor, learn: bool = False) -> None:
        """Hold a constant of the model under ``name``: a parameter if it is learned, else a buffer."""
        tensor = finite(name, value)
        if learn:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)


def stacked(steps: Sequence[Tensor], dim: int) -> Tensor:
    """All steps ``(batch, ...)`` along a new axis, each laid out in memory as the first: channels last stay last."""
    strides = steps[0].stride()
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    if dim != 1 or order[:1] != [0]:
        return torch.stack(list(steps), dim)
    found = torch.stack([step.permute(order) for step in steps], 1)
    back = [order.index(axis) for axis in range(1, len(order))]
    return found.permute(0, 1, *(1 + axis for axis in back))


def through(module: Callable[[Tensor], Tensor], spikes: Tensor) -> Tensor:
    """What a connection gives back for spikes ``(batch, ...)``, in their shape.

    Spikes get the number format of its weights: sums are float32 in a layer of half precision too.

    Raises:
        ValueError: it gives something else than one current for each neuron.
    """
    weights = module.parameters() if isinstance(module, nn.Module) else ()
    kind = next((weight.dtype for weight in weights if weight.is_floating_point()), spikes.dtype)
    current = module(spikes.to(kind))
    if not isinstance(current, Tensor) or current.numel() != spikes.numel():
        found = tuple(current.shape) if isinstance(current, Tensor) else type(current).__name__
        raise InputError(f"rec_connect must give one current for each of {tuple(spikes.shape)} spikes, got {found}")
    return current.reshape(spikes.shape)


def _fits(shape: torch.Size, neurons: torch.Size) -> bool:
    """Whether a constant broadcasts to the neurons of a sample, and not beyond them."""
    missing = 1 + len(neurons) - len(shape)
    sizes = zip((1,) * missing + tuple(shape), (1, *neurons), strict=False)
    return missing >= 0 and all(size in (1, wanted) for size, wanted in sizes)

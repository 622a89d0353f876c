"""The base of all neurons: what one timestep does, repeated over the time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .stateful import StatefulLayer


class SpikingLayer(StatefulLayer):
    """A neuron model: subclasses say what one timestep does in ``step``.

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
        self.register_buffer("v_init", torch.as_tensor(v_init, dtype=torch.get_default_dtype()).clone())

    @property
    def neuron_shape(self) -> torch.Size:
        """The trailing shape that the parameters broadcast to: ``()`` where all neurons are alike."""
        tensors = dict([*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)])
        shapes = (tensor.shape for name, tensor in tensors.items() if name not in self.state_names)
        return torch.Size(torch.broadcast_shapes(*shapes))

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
        if not outputs:
            return torch.zeros_like(currents), state, {}
        recorded = {k: torch.stack(v, dim) for k, v in recordings.items()} if self.record_states else {}
        return torch.stack(outputs, dim), state, recorded

    def forward(self, input_data: Tensor) -> Tensor:
        """Spikes ``(batch, time, ...)`` for currents of the same shape; the states go on from the last call.

        Raises:
            ValueError: no time axis, or states of another shape that were not reset.
        """
        input_data = self._prepare(input_data)
        state = {name: getattr(self, name) for name in self.state_names}
        spikes, state, self.recordings = self.scan(input_data, state)
        for name, value in state.items():
            setattr(self, name, value)
        self._fresh = False
        self.firing_rate = spikes.detach().mean()
        return spikes

    def keep(self, name: str, value: float | Tensor, learn: bool = False) -> None:
        """Hold a constant of the model under ``name``: a parameter if it is learned, else a buffer."""
        tensor = as_tensor(value)
        if learn:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)


def as_tensor(value: Any) -> Tensor:
    """A copy of a number or tensor, in the default floating-point type."""
    return torch.as_tensor(value).detach().to(torch.get_default_dtype()).clone()


def positive(name: str, value: Any) -> Tensor:
    """The same for what must be above zero.

    Raises:
        ValueError: some of it is not.
    """
    tensor = as_tensor(value)
    if not bool((tensor > 0).all()):
        raise ValueError(f"{name} must be positive, got {short(tensor)}")
    return tensor


def share(name: str, value: Any) -> Tensor:
    """The same for a decay factor, the share left after one timestep.

    Raises:
        ValueError: some of it is not in [0, 1].
    """
    tensor = as_tensor(value)
    if not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise ValueError(f"{name} must be in [0, 1], the share left after one timestep, got {short(tensor)}")
    return tensor


def short(value: Tensor) -> str:
    """A tensor in a few characters: its number, or its range."""
    if value.numel() == 1:
        return f"{value.item():.4g}"
    return f"{value.min().item():.4g}..{value.max().item():.4g}"

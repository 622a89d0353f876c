"""The base of all layers that remember something from one timestep to the next."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from .constants import whole


class StatefulLayer(nn.Module):
    """A layer with named states, each a buffer of shape ``(batch, ...)`` without the time axis.

    States start at their initial value with the first input (or with ``shape``), are kept from call to
    call, and start from the initial value again after ``reset_states``. Before the first input their shape is
    ``(0,)``. They are at least of float32, whatever the input is. They are not part of the ``state_dict``: a checkpoint
    holds parameters, not the membrane potentials of whichever batch came last.

    >>> layer = IAF()
    >>> _ = layer(torch.full((1, 1, 1), 0.75))
    >>> layer.shape, layer.v_mem
    (torch.Size([1, 1]), tensor([[0.7500]]))
    >>> layer(torch.full((1, 1, 1), 0.75))  # goes on from the state: 1.5 is over the threshold
    tensor([[[1.]]])
    """

    def __init__(self, state_names: Sequence[str]) -> None:
        super().__init__()
        self.state_names = tuple(state_names)
        for name in self.state_names:
            self.register_buffer(name, torch.zeros(0), persistent=False)
        self._fresh = True

    @property
    def does_spike(self) -> bool:
        """Whether the layer's output is spikes."""
        return False

    def initial_state(self, name: str, like: Tensor) -> Tensor:
        """The value a state starts at: zeros, unless a subclass says otherwise."""
        return torch.zeros_like(like)

    def init_state_with_shape(self, shape: Sequence[int], randomize: bool = False) -> None:
        """Give all states this shape, ``(batch, ...)``, and their initial (or uniform random) values.

        Raises:
            ValueError: no shape of at least a batch axis, or one that the layer's constants do not fit.
        """
        if not isinstance(shape, Sequence) or not shape:
            raise InputError(f"shape must be (batch, ...), got {shape!r}")
        sizes = [whole("each size of shape", size, 0) for size in shape]
        like = next((p for p in self.parameters() if p.is_floating_point()), None)
        self._fill(torch.zeros(sizes, **_kind(like)))
        if randomize:
            self.reset_states(randomize=True)

    def is_state_initialised(self) -> bool:
        """Whether the states have a shape yet."""
        return all(getattr(self, name).shape != (0,) for name in self.state_names)

    def reset_states(self, randomize: bool = False, value_ranges: dict[str, tuple[float, float]] | None = None) -> None:
        """Reset the states to initial values, or to uniform random ones in ``value_ranges[name]`` (default [0, 1]).

        Raises:
            ValueError: a range that is not two finite numbers. Those of states that the layer lacks are not read.
        """
        if not self.is_state_initialised():
            return
        for name in self.state_names:
            state: Tensor = getattr(self, name).detach()
            if randomize:
                low, high = _range(name, (value_ranges or {}).get(name, (0.0, 1.0)))
                state = torch.rand_like(state) * (high - low) + low
            else:
                state = self.initial_state(name, state)
            setattr(self, name, state)
        # Random states are meant for the batch they were drawn for; initial ones fit any.
        self._fresh = not randomize

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of the parameters and cut the states off from the steps behind them."""
        super().zero_grad(set_to_none)
        for name in self.state_names:
            setattr(self, name, getattr(self, name).detach())

    @property
    def shape(self) -> torch.Size | None:
        """Shape of the states, ``(batch, ...)``; None before the first input."""
        if self.is_state_initialised():
            return torch.Size(getattr(self, self.state_names[0]).shape)
        return None

    def _prepare(self, input_data: Tensor) -> Tensor:
        """States for an input ``(batch, time, ...)``, and the input itself, in float32 at least.

        Sums of many steps need more digits than half precision has: 0.5 + 0.001 is 0.5 in bfloat16.

        Raises:
            TypeError: the input is no tensor of real numbers.
            ValueError: the input has no time axis, or other states than the layer's would go on from it.
        """
        name = type(self).__name__
        if not isinstance(input_data, Tensor) or input_data.is_complex():
            found = input_data.dtype if isinstance(input_data, Tensor) else type(input_data).__name__
            raise TypeError(f"{name} takes a tensor of real numbers (batch, time, ...), got {found}")
        if input_data.dim() < 2:
            raise InputError(f"{name} takes (batch, time, ...), got shape {tuple(input_data.shape)}")
        if not input_data.is_floating_point():
            input_data = input_data.to(torch.get_default_dtype())
        input_data = input_data.to(torch.promote_types(input_data.dtype, torch.float32))
        step = input_data[:, 0] if input_data.shape[1] else input_data.sum(1)
        first = getattr(self, self.state_names[0])
        fits = (first.shape, first.dtype, first.device) == (step.shape, step.dtype, step.device)
        if not self.is_state_initialised() or (self._fresh and not fits and self._untouched()):
            self._fill(step)
        elif self.shape != step.shape:
            raise InputError(
                f"{name} holds states of shape {tuple(self.shape or ())} and got an input for "
                f"{tuple(step.shape)}; call reset_states() between unrelated inputs"
            )
        elif self._fresh and not fits:
            for state in self.state_names:
                setattr(self, state, getattr(self, state).to(step))
        if not torch.compiler.is_compiling():  # which cannot ask for inference mode
            for state in self.state_names:
                if getattr(self, state).is_inference():  # refused by autograd, which takes a copy
                    setattr(self, state, getattr(self, state).clone())
        return input_data

    def _untouched(self) -> bool:
        """Whether fresh states are at their initial values: those that the user has set belong to their batch."""
        states = {name: getattr(self, name) for name in self.state_names}
        return all(state.is_meta or torch.equal(state, self.initial_state(n, state)) for n, state in states.items())

    def _fill(self, like: Tensor) -> None:
        for name in self.state_names:
            setattr(self, name, self.initial_state(name, like.detach()))
        self._fresh = True

    def __deepcopy__(self, memo: dict[int, Any]) -> StatefulLayer:
        # torch refuses to copy tensors that are part of a graph, which states are during training.
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        for key, value in self.__dict__.items():
            if key == "_buffers":
                value = {k: None if v is None else v.detach() for k, v in value.items()}
            elif key == "recordings":
                value = {k: v.detach() for k, v in value.items()}
            elif isinstance(value, Tensor):
                value = value.detach()
            new.__dict__[key] = copy.deepcopy(value, memo)
        return new


def _range(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = map(float, value)
        if math.isfinite(high - low):
            return low, high
    except (TypeError, ValueError):
        pass
    raise InputError(f"value_ranges[{name!r}] must be (low, high), two finite numbers, got {value!r}")


def _kind(like: Tensor | None) -> dict[str, Any]:
    return {} if like is None else {"dtype": like.dtype, "device": like.device}


def reset_states(model: nn.Module) -> None:
    """Reset the states of every stateful layer in the model, the model itself included.

    >>> network = nn.Sequential(nn.Linear(3, 3), IAF())
    >>> _ = network(torch.ones(2, 5, 3))
    >>> reset_states(network)
    >>> network[1].v_mem
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    for layer in model.modules():
        if isinstance(layer, StatefulLayer):
            layer.reset_states()


def zero_grad(model: nn.Module) -> None:
    """Zero the gradients and detach the states of every stateful layer, the model itself included.

    >>> layer = LIF(tau_mem=20.0)
    >>> layer(torch.ones(1, 5, 1)).sum().backward()
    >>> zero_grad(layer)
    >>> layer.tau_mem.grad is None, layer.v_mem.requires_grad
    (True, False)
    """
    for layer in model.modules():
        if isinstance(layer, StatefulLayer):
            layer.zero_grad()

"""The base of the neurons whose leaks are given as decay factors: snnTorch's family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, get_args

import torch
from torch import Tensor

from ...errors import InputError
from .. import equations
from ..constants import as_tensor, positive, short
from ..spike_fn import StrictSpike, Surrogate, check_surrogate
from ..spiking import SpikingLayer
from ..surrogate import ATan

State = dict[str, Tensor]
ResetMechanism = Literal["subtract", "zero", "none"]


class Options(TypedDict, total=False):
    """Keywords of all neurons of this family; what they mean stands in ``BetaNeuron``."""

    spike_grad: Surrogate
    surrogate_disable: bool
    inhibition: bool
    learn_threshold: bool
    reset_mechanism: ResetMechanism | float
    state_quant: Callable[[Tensor], Tensor] | None
    graded_spikes_factor: float | Tensor
    learn_graded_spikes_factor: bool
    reset_delay: bool
    shape: Sequence[int] | None
    record_states: bool
    v_init: float | Tensor


class BetaNeuron(SpikingLayer):
    """What the neurons of snnTorch share: the spike s = [v > θ], the reset and when it comes.

    Names and defaults are those of snnTorch 1.0, except that a layer always keeps its states (there,
    ``init_hidden=True``) and shows them through ``record_states`` (there, ``output=True``).

    >>> leaky = Leaky(beta=0.9, reset_mechanism="zero", reset_delay=False)
    >>> leaky(torch.full((1, 6, 1), 0.4)).flatten()
    tensor([0., 0., 1., 0., 0., 1.])

    Args:
        state_names: Names of the states besides ``mem``, the membrane potential.
        threshold: θ > 0, a number or a tensor that broadcasts over the trailing dimensions.
        spike_grad: Stand-in for ds/dv in the backward pass, a function of (v, θ) such as ``ATan()``.
        surrogate_disable: No gradient through spikes at all.
        inhibition: Only the neuron with the largest potential of each sample may fire. It alone is reset,
            as in snnTorch 0.2; version 1.0 also empties those that it kept from firing.
        learn_threshold: Train ``threshold``.
        reset_mechanism: ``"subtract"`` θ, to ``"zero"``, to a given potential (a number), or ``"none"``.
        state_quant: Applied to the states after each update; a straight-through quantiser, say.
        graded_spikes_factor: What a spike is worth.
        learn_graded_spikes_factor: Train it.
        reset_delay: The reset comes with the next timestep's update, so that the recorded potential of a
            step that fires is above θ, and no gradient goes through it. False resets in the same step, with
            gradient. (snnTorch then resets a neuron that stays above θ a step too soon and takes that back
            when it ends below: such neurons can miss spikes there, and do not here.)
        shape: Shape ``(batch, ...)`` to give the states at once.
        record_states: Keep all states over time in ``recordings``.
        v_init: Potential before the first step.

    Raises:
        TypeError: something else than a number, a surrogate or a function where one belongs.
        ValueError: a threshold that is not positive, or an unknown reset mechanism.
    """

    membrane = "mem"
    spike_delay = False
    """Whether a spike leaves one timestep after θ was crossed, as in snnTorch 0.2."""
    hard_reset_first = False
    """Whether a delayed hard reset comes before the step's update, which keeps the step's own input."""

    extra_states: tuple[str, ...] = ()
    threshold: Tensor
    graded_spikes_factor: Tensor

    def __init__(
        self,
        state_names: Sequence[str],
        threshold: float | Tensor,
        *,
        spike_grad: Surrogate = ATan(),  # noqa: B008 (frozen)
        surrogate_disable: bool = False,
        inhibition: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: ResetMechanism | float = "subtract",
        state_quant: Callable[[Tensor], Tensor] | None = None,
        graded_spikes_factor: float | Tensor = 1.0,
        learn_graded_spikes_factor: bool = False,
        reset_delay: bool = True,
        shape: Sequence[int] | None = None,
        record_states: bool = False,
        v_init: float | Tensor = 0.0,
    ) -> None:
        super().__init__([*state_names, "mem", *self.extra_states], record_states, v_init)
        if isinstance(reset_mechanism, str) and reset_mechanism not in get_args(ResetMechanism):
            known = ", ".join(get_args(ResetMechanism))
            raise InputError(f"reset_mechanism must be {known} or a potential, got {reset_mechanism!r}")
        check_surrogate("spike_grad", spike_grad)
        if state_quant is not None and not callable(state_quant):
            raise TypeError(f"state_quant must be a function of a state, got {state_quant!r}")
        self.spike_grad = spike_grad
        self.surrogate_disable = surrogate_disable
        self.inhibition = inhibition
        self.reset_mechanism = reset_mechanism
        self.state_quant = state_quant
        self.reset_delay = reset_delay
        self.keep("threshold", positive("threshold", threshold), learn_threshold)
        self.keep("graded_spikes_factor", as_tensor(graded_spikes_factor), learn_graded_spikes_factor)
        if self.spike_delay and not reset_delay:
            raise InputError(f"{type(self).__name__} fires and resets one step late: reset_delay must be True")
        if shape is not None:
            self.init_state_with_shape(shape)

    def charge(self, current: Tensor, state: State) -> State:
        """The states after a step's current, as if nothing fired."""
        raise NotImplementedError

    def reset(self, state: State, fired: Tensor, before: State) -> State:
        """The states after a reset where ``fired``; ``before`` are those before this step's update."""
        return state | {"mem": self.reset_membrane(state["mem"], fired)}

    def reset_membrane(self, mem: Tensor, fired: Tensor) -> Tensor:
        """What ``reset_mechanism`` does to the potential."""
        if self.reset_mechanism == "subtract":
            return equations.subtract_reset(mem, fired, self.threshold)
        if self.reset_mechanism == "none":
            return mem
        return mem - fired * (mem - self.reset_value)

    @property
    def is_hard(self) -> bool:
        """Whether a reset goes to a fixed potential."""
        return self.reset_mechanism not in ("subtract", "none")

    @property
    def reset_value(self) -> float:
        """The potential that a hard reset goes to."""
        return 0.0 if isinstance(self.reset_mechanism, str) else self.reset_mechanism

    def fire(self, mem: Tensor) -> Tensor:
        """Spikes 0 or 1, with the surrogate's gradient."""
        spikes: Tensor = StrictSpike.apply(mem, self.threshold, self.spike_grad)
        if self.inhibition:
            rest = (mem - self.threshold).reshape(len(mem), -1)
            winner = torch.zeros_like(rest).scatter(1, rest.argmax(1, keepdim=True), 1.0)
            spikes = spikes * winner.reshape(mem.shape)
        return spikes.detach() if self.surrogate_disable else spikes

    def step(self, current: Tensor, state: State) -> tuple[Tensor, State]:
        late = self.fire(state["mem"])
        fired, first = late.detach(), self.hard_reset_first and self.is_hard
        if self.reset_delay and first:
            state = self.reset(state, fired, state)
        new = self.charge(current, state)
        if self.reset_delay and not first:
            new = self.reset(new, fired, state)
        if self.state_quant is not None:
            new = {name: self.state_quant(value) for name, value in new.items()}
        spikes = late if self.spike_delay else self.fire(new["mem"])
        if not self.reset_delay:
            new = self.reset(new, spikes, state)
        return spikes * self.graded_spikes_factor, new

    def extra_repr(self) -> str:
        wanted = ("R", "C", "alpha", "beta", "V", "threshold")
        given = {name: getattr(self, name, None) for name in wanted}
        parts = [f"{name}={short(value)}" for name, value in given.items() if isinstance(value, Tensor)]
        return ", ".join([*parts, f"reset_mechanism={self.reset_mechanism!r}"])

"""The leaky integrate-and-fire neuron: the base of every spiking layer here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import equations
from .reset_fn import MembraneSubtract, ResetFn
from .spike_fn import MultiSpike, SpikeFn, Surrogate
from .stateful import StatefulLayer
from .surrogate import SingleExponential


class LIF(StatefulLayer):
    r"""Leaky integrate-and-fire neurons.

    In each timestep, with α = exp(−1/τ_mem)::

        i <- α_syn (i + I)                       only with tau_syn, else i = I
        v <- α v + (1 − α) i                     without norm_input: α v + i
        s  = spike_fn(v, θ)
        v <- reset_fn(v, s, θ)
        v <- max(v, min_v_mem)

    Names, defaults and the order of update are those of Sinabs 3.1; ``v_init``, thresholds per channel
    and ``leak_compensation`` come on top.

    Args:
        tau_mem: Membrane time constant in timesteps; a number or a tensor that broadcasts over the
            trailing dimensions. A learnable parameter.
        tau_syn: Synaptic time constant in timesteps; None for no synaptic dynamics.
        spike_threshold: θ > 0; a number or a tensor that broadcasts over the trailing dimensions, say
            ``(C, 1, 1)`` for one threshold per channel.
        spike_fn: ``SingleSpike``, ``MultiSpike`` (the classes) or ``MaxSpike(n)``.
        reset_fn: ``MembraneSubtract()`` or ``MembraneReset()``, or a function of (v_mem, spikes, θ).
        surrogate_grad_fn: Stand-in for ds/dv in the backward pass, a function of (v_mem, θ).
        min_v_mem: Lower bound of the potential, applied last in each step.
        train_alphas: Learn the decay factors ``alpha_mem``, ``alpha_syn`` instead of the time constants.
        shape: Shape ``(batch, ...)`` to give the states at once, rather than with the first input.
        norm_input: Scale the input by (1 − α), so that the potential tends to a constant input.
        record_states: Keep all states over time in ``recordings``, each ``(batch, time, ...)``.
        v_init: Potential before the first step.
        leak_compensation: Add (1 − α)·θ/2 to the membrane in each step, which makes the transfer curve
            that of a ReLU again (see ``equations.leak_compensation``).

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep.

    Raises:
        ValueError: a threshold or time constant that is not positive.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_syn: float | Tensor | None = None,
        spike_threshold: float | Tensor | None = 1.0,
        spike_fn: SpikeFn | None = MultiSpike,
        reset_fn: ResetFn | None = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: Surrogate | None = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | None = None,
        train_alphas: bool = False,
        shape: Sequence[int] | None = None,
        norm_input: bool = True,
        record_states: bool = False,
        *,
        v_init: float | Tensor = 0.0,
        leak_compensation: bool = False,
    ) -> None:
        super().__init__(["v_mem"] if tau_syn is None else ["v_mem", "i_syn"])
        self.spike_fn = spike_fn
        self.reset_fn = reset_fn
        self.surrogate_grad_fn = surrogate_grad_fn
        self.train_alphas = train_alphas
        self.norm_input = norm_input
        self.record_states = record_states
        self.leak_compensation = leak_compensation
        self.recordings: dict[str, Tensor] = {}
        self.spike_threshold = _constant("spike_threshold", spike_threshold, positive=True)
        self.min_v_mem = _constant("min_v_mem", min_v_mem)
        self.v_init: Tensor
        self.register_buffer("v_init", torch.as_tensor(v_init, dtype=torch.get_default_dtype()).clone())
        self._set_time_constants(tau_mem, tau_syn)
        if shape is not None:
            self.init_state_with_shape(shape)

    def _set_time_constants(self, tau_mem: float | Tensor, tau_syn: float | Tensor | None) -> None:
        for name, value in (("mem", tau_mem), ("syn", tau_syn)):
            tau = _constant(f"tau_{name}", value, positive=True)
            if tau is not None and self.train_alphas:
                tau = nn.Parameter(equations.decay(tau.data))
            elif tau is not None:
                tau.requires_grad_(True)
            setattr(self, f"{'alpha' if self.train_alphas else 'tau'}_{name}", tau)

    @property
    def alpha_mem_calculated(self) -> Tensor | None:
        """exp(−1/τ_mem); None for a membrane that does not leak."""
        return self._alpha("mem")

    @property
    def alpha_syn_calculated(self) -> Tensor | None:
        """exp(−1/τ_syn); None without synaptic dynamics."""
        return self._alpha("syn")

    def _alpha(self, name: str) -> Tensor | None:
        value: Tensor | None = getattr(self, f"alpha_{name}" if self.train_alphas else f"tau_{name}")
        return value if value is None or self.train_alphas else equations.decay(value)

    def initial_state(self, name: str, like: Tensor) -> Tensor:
        if name == "v_mem":
            return self.v_init.to(like).expand(like.shape).clone()
        return torch.zeros_like(like)

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """One timestep of the class's equations: ``(spikes, new state)`` for a current ``(batch, ...)``."""
        alpha_mem, alpha_syn = self.alpha_mem_calculated, self.alpha_syn_calculated
        state = dict(state)
        if alpha_syn is not None:
            current = state["i_syn"] = equations.filter_synapse(state["i_syn"], current, alpha_syn)
        v_mem = equations.integrate(state["v_mem"], current, alpha_mem, self.norm_input)
        if self.leak_compensation and alpha_mem is not None and self.spike_threshold is not None:
            v_mem = v_mem + equations.leak_compensation(alpha_mem, self.spike_threshold)
        spikes = v_mem
        if self.spike_fn is not None and self.reset_fn is not None:
            spikes = self.spike_fn.apply(v_mem, self.spike_threshold, self.surrogate_grad_fn)  # type: ignore[arg-type]
            v_mem = self.reset_fn(v_mem, spikes, self.spike_threshold)  # type: ignore[arg-type]
        if self.min_v_mem is not None:
            v_mem = equations.bound_below(v_mem, self.min_v_mem)
        state["v_mem"] = v_mem
        return spikes, state

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

    def extra_repr(self) -> str:
        wanted = ("tau_mem", "tau_syn", "alpha_mem", "alpha_syn", "spike_threshold", "min_v_mem")
        given = {name: getattr(self, name, None) for name in wanted}
        parts = [f"{name}={_short(value)}" for name, value in given.items() if value is not None]
        if self.spike_fn is not None:
            parts.append(f"spike_fn={getattr(self.spike_fn, '__name__', self.spike_fn)}")
        return ", ".join(parts)


def _constant(name: str, value: Any, positive: bool = False) -> nn.Parameter | None:
    """A parameter that is not trained, as Sinabs keeps thresholds and bounds."""
    if value is None:
        return None
    tensor = torch.as_tensor(value).detach().to(torch.get_default_dtype()).clone()
    if positive and not bool((tensor > 0).all()):
        raise ValueError(f"{name} must be positive, got {_short(tensor)}")
    return nn.Parameter(tensor, requires_grad=False)


def _short(value: Tensor) -> str:
    if value.numel() == 1:
        return f"{value.item():.4g}"
    return f"{value.min().item():.4g}..{value.max().item():.4g}"

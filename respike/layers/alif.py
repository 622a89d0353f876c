"""The adaptive leaky integrate-and-fire neuron: each spike makes the next one harder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from . import equations
from .constants import positive
from .reset_fn import MembraneSubtract, ResetFn
from .spike_fn import SingleSpike, SpikeFn, Surrogate
from .surrogate import SingleExponential
from .tau_neuron import TauNeuron


class ALIF(TauNeuron):
    r"""Leaky integrate-and-fire neurons whose threshold rises with their own spikes.

    In each timestep, with α = exp(−1/τ_mem) and ρ = exp(−1/τ_adapt)::

        i <- α_syn (i + I)                       only with tau_syn, else i = I
        v <- α v + (1 − α) i                     without norm_input: α v + i
        θ  = b0 + adapt_scale · b
        s  = spike_fn(v, θ)
        v <- reset_fn(v, s, θ)
        b <- ρ b + (1 − ρ) s
        v <- max(v, min_v_mem)

    From Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons",
    NeurIPS 2018, in the order of Sinabs 3.1. This layer corrects four errors of Sinabs, where the threshold
    reads 0 rather than ``b0`` before the first step, the synaptic current shrinks by 1 − α in each step
    with ``norm_input`` and is lost between calls, and recordings hold the last step only.

    >>> alif = ALIF(tau_mem=20.0, tau_adapt=50.0, adapt_scale=5.0, norm_input=False)
    >>> spikes = alif(torch.full((1, 60, 1), 0.4))  # a constant current for 60 timesteps
    >>> int(spikes[0, :20].sum()), int(spikes[0, -20:].sum())  # it fires less as it adapts
    (6, 4)

    Args:
        tau_mem: Membrane time constant in timesteps; learnable, as all time constants are.
        tau_adapt: Time constant of the adaptation in timesteps.
        tau_syn: Synaptic time constant in timesteps; None for no synaptic dynamics.
        adapt_scale: How far the threshold rises per unit of ``b``.
        spike_threshold: b0 > 0, the threshold at rest.
        spike_fn: As for ``LIF``. With ``StrictSpike`` the gradient also goes through the threshold to
            ``tau_adapt``; with the others, as in Sinabs, only through the reset.
        reset_fn, surrogate_grad_fn, min_v_mem, shape, train_alphas, norm_input, record_states, v_init:
            As for ``LIF``.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep. The states are ``v_mem``, ``b``
        and ``spike_threshold``, the threshold that the next step is held against.

    Raises:
        ValueError: a threshold or time constant that is not positive.
    """

    b0: Tensor
    adapt_scale: Tensor

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_adapt: float | Tensor,
        tau_syn: float | Tensor | None = None,
        adapt_scale: float | Tensor = 1.8,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = SingleSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: Surrogate = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | None = None,
        shape: Sequence[int] | None = None,
        train_alphas: bool = False,
        norm_input: bool = True,
        record_states: bool = False,
        *,
        v_init: float | Tensor = 0.0,
    ) -> None:
        super().__init__(
            {"mem": tau_mem, "adapt": tau_adapt, "syn": tau_syn},
            ["b", "spike_threshold"],
            spike_fn=spike_fn,
            reset_fn=reset_fn,
            surrogate_grad_fn=surrogate_grad_fn,
            min_v_mem=min_v_mem,
            train_alphas=train_alphas,
            norm_input=norm_input,
            record_states=record_states,
            v_init=v_init,
        )
        self.keep("b0", positive("spike_threshold", spike_threshold))
        self.keep("adapt_scale", adapt_scale)
        if shape is not None:
            self.init_state_with_shape(shape)

    def _renamed(self) -> dict[str, Any]:
        return {"spike_threshold": self.b0}

    @property
    def alpha_adapt_calculated(self) -> Tensor | None:
        """ρ = exp(−1/τ_adapt), the share of the adaptation that one timestep leaves over."""
        return self.alpha("adapt")

    def initial_state(self, name: str, like: Tensor) -> Tensor:
        if name == "spike_threshold":
            return self.b0.to(like).expand(like.shape).clone()
        return super().initial_state(name, like)

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        state = dict(state)
        state["v_mem"] = self.charge(current, state)
        spikes = self.fire(state, state["spike_threshold"])
        rho = self.alpha("adapt")
        assert rho is not None
        state["b"] = equations.adapt(state["b"], spikes, rho)
        state["spike_threshold"] = self.b0 + self.adapt_scale * state["b"]
        return spikes, state

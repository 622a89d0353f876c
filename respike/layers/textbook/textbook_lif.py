"""The leaky integrate-and-fire neuron of the textbooks, with its units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import InputError
from .. import equations
from ..constants import as_tensor, finite, positive, short
from ..integration import Integration, check_integration
from ..spike_fn import StrictSpike, Surrogate, check_surrogate
from ..spiking import SpikingLayer
from ..surrogate import ATan

Reset = Literal["value", "subtract", "none"]


class TextbookLIF(SpikingLayer):
    r"""Leaky integrate-and-fire neurons: τ v' = −(v − v_rest) + R·I, with an absolute refractory period.

    In each timestep, with v_∞ = v_rest + R·I::

        v <- v + Δt/τ (v_∞ − v)                  "euler", as textbooks and Norse's LIFBox do
        v <- v_∞ + (v − v_∞) exp(−Δt/τ)          "exponential": exact while I is constant
        s  = [v > θ]
        v <- v_reset where s = 1                 or v − (θ − v_reset) with "subtract"

    and for t_ref after a spike v stays where it is and nothing fires. That time begins after the timestep that
    fires, as in Norse; Brian2 counts this step in, so its 4 ms are 3 ms here at Δt = 1 ms.

    Under a constant current the firing rate is ``equations.lif_rate``, 1 / (t_ref + τ ln((v_∞ − v_reset)/(v_∞ − θ))),
    as Δt → 0; a spike waits for the end of its timestep, so exact integration gives at most that. Gerstner et al.,
    "Neuronal Dynamics", 2014, section 1.3. The class is not called LIF because that is Sinabs' layer, whose
    time is counted in steps and whose current has no resistance.

    >>> cell = TextbookLIF(tau_mem=10.0, spike_threshold=-50.0, v_rest=-65.0, R=10.0, t_ref=3.0)  # ms, mV, MΩ
    >>> rheobase(cell)  # nA
    tensor(1.5000)
    >>> transfer_curve(cell, torch.tensor([1.0, 2.0, 3.0]), timesteps=1000)  # spikes per ms
    tensor([0.0000, 0.0590, 0.1000])

    Args:
        tau_mem: τ > 0, in the unit of time that ``dt`` and ``t_ref`` have too, say ms.
        spike_threshold: θ, above ``v_reset``; in the unit of voltage of all potentials, say mV.
        R: Resistance; R·I is a voltage.
        v_rest: Resting potential.
        v_reset: Potential after a spike; None for ``v_rest``.
        t_ref: Absolute refractory period, rounded to a whole number of timesteps.
        dt: Timestep Δt.
        integration: ``"euler"`` or ``"exponential"``.
        reset_mechanism: To a ``"value"``, v_reset; ``"subtract"``; or ``"none"``.
        surrogate_grad_fn: Stand-in for ds/dv in the backward pass, a function of (v, θ).
        learn_tau: Train ``tau_mem``.
        learn_threshold: Train ``spike_threshold``.
        shape: Shape ``(batch, ...)`` to give the states at once.
        record_states: Keep all states over time in ``recordings``.
        v_init: Potential before the first step; None for ``v_rest``.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep. The states are ``v_mem`` and
        ``refractory``, the timesteps left in which nothing happens.

    Raises:
        ValueError: a time constant, resistance or timestep that is not positive, a negative ``t_ref``, a
            threshold that is not above ``v_reset``, an unknown name, or forward Euler with Δt > τ.
    """

    tau_mem: Tensor
    spike_threshold: Tensor
    R: Tensor
    v_rest: Tensor
    v_reset: Tensor
    dt: Tensor

    def __init__(
        self,
        tau_mem: float | Tensor = 20.0,
        spike_threshold: float | Tensor = 1.0,
        R: float | Tensor = 1.0,  # noqa: N803 (the field's own)
        v_rest: float | Tensor = 0.0,
        v_reset: float | Tensor | None = None,
        t_ref: float = 0.0,
        dt: float = 1.0,
        integration: Integration = "euler",
        reset_mechanism: Reset = "value",
        *,
        surrogate_grad_fn: Surrogate = ATan(),  # noqa: B008 (frozen)
        learn_tau: bool = False,
        learn_threshold: bool = False,
        shape: Sequence[int] | None = None,
        record_states: bool = False,
        v_init: float | Tensor | None = None,
    ) -> None:
        super().__init__(["v_mem", "refractory"], record_states, v_rest if v_init is None else v_init)
        if reset_mechanism not in get_args(Reset):
            raise InputError(f"reset_mechanism must be one of {', '.join(get_args(Reset))}; got {reset_mechanism!r}")
        if not finite("t_ref", t_ref) >= 0:
            raise InputError(f"t_ref must be 0 or a positive time, got {t_ref}")
        check_surrogate("surrogate_grad_fn", surrogate_grad_fn)
        self.reset_mechanism, self.surrogate_grad_fn = reset_mechanism, surrogate_grad_fn
        self.keep("tau_mem", positive("tau_mem", tau_mem), learn_tau)
        self.keep("spike_threshold", as_tensor(spike_threshold), learn_threshold)
        self.keep("R", positive("R", R))
        self.keep("v_rest", as_tensor(v_rest))
        self.keep("v_reset", as_tensor(v_rest if v_reset is None else v_reset))
        self.keep("dt", positive("dt", dt))
        if not bool((self.spike_threshold > self.v_reset).all()):
            raise InputError(
                f"spike_threshold must be above v_reset, got {short(self.spike_threshold)} and {short(self.v_reset)}"
            )
        self.refractory_steps = round(t_ref / dt)
        self._integrate = check_integration(integration, self.dt / self.tau_mem.detach(), "lower dt")
        if shape is not None:
            self.init_state_with_shape(shape)

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        ready, v_mem = state["refractory"] <= 0, state["v_mem"]
        charged = self._integrate(v_mem, self.v_rest + self.R * current, self.dt / self.tau_mem)
        v_mem = torch.where(ready, charged, v_mem)
        spikes = StrictSpike.apply(v_mem, self.spike_threshold, self.surrogate_grad_fn) * ready
        if self.reset_mechanism == "subtract":
            v_mem = equations.subtract_reset(v_mem, spikes, self.spike_threshold - self.v_reset)
        elif self.reset_mechanism == "value":
            v_mem = v_mem - spikes * (v_mem - self.v_reset)
        left = equations.count_down(state["refractory"], spikes.detach(), self.refractory_steps)
        return spikes, {"v_mem": v_mem, "refractory": left}

    def extra_repr(self) -> str:
        given = {name: getattr(self, name) for name in ("tau_mem", "spike_threshold", "R", "v_rest", "v_reset", "dt")}
        parts = [f"{name}={short(value)}" for name, value in given.items()]
        return ", ".join([*parts, f"refractory_steps={self.refractory_steps}"])

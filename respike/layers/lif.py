"""The leaky integrate-and-fire neuron of Sinabs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from . import equations
from .reset_fn import MembraneSubtract, ResetFn
from .spike_fn import MultiSpike, SpikeFn, Surrogate
from .surrogate import SingleExponential
from .tau_neuron import TauNeuron, threshold_parameter


class LIF(TauNeuron):
    r"""Leaky integrate-and-fire neurons.

    In each timestep, with α = exp(−1/τ_mem)::

        i <- α_syn (i + I)                       only with tau_syn, else i = I
        v <- α v + (1 − α) i                     without norm_input: α v + i
        s  = spike_fn(v, θ)
        v <- reset_fn(v, s, θ)
        v <- max(v, min_v_mem)

    Names, defaults and the order of update are those of Sinabs 3.1; ``v_init``, thresholds per channel
    and ``leak_compensation`` come on top.

    >>> lif = LIF(tau_mem=10.0, norm_input=False, record_states=True)
    >>> spikes = lif(torch.full((1, 5, 1), 0.5)).detach()  # (batch, time, neurons)
    >>> spikes.flatten()
    tensor([0., 0., 1., 0., 1.])
    >>> lif.recordings["v_mem"].detach().flatten()  # after the reset
    tensor([0.5000, 0.9524, 0.3618, 0.8274, 0.2486])

    Args:
        tau_mem: Membrane time constant in timesteps; a number or a tensor that broadcasts over the
            trailing dimensions. A learnable parameter.
        tau_syn: Synaptic time constant in timesteps; None for no synaptic dynamics.
        spike_threshold: θ > 0; a number or a tensor that broadcasts over the trailing dimensions, say
            ``(C, 1, 1)`` for one threshold per channel.
        spike_fn: ``SingleSpike``, ``MultiSpike`` (the classes) or ``MaxSpike(n)``.
        reset_fn: ``MembraneSubtract()``, ``MembraneReset()`` or ``NoReset()``, or a function of (v_mem, spikes, θ)
            that gives v_mem.
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
        TypeError: something else than a number, a spike function or a reset function where one belongs.
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
        min_v_mem: float | Tensor | None = None,
        train_alphas: bool = False,
        shape: Sequence[int] | None = None,
        norm_input: bool = True,
        record_states: bool = False,
        *,
        v_init: float | Tensor = 0.0,
        leak_compensation: bool = False,
    ) -> None:
        super().__init__(
            {"mem": tau_mem, "syn": tau_syn},
            spike_fn=spike_fn,
            reset_fn=reset_fn,
            surrogate_grad_fn=surrogate_grad_fn,
            min_v_mem=min_v_mem,
            train_alphas=train_alphas,
            norm_input=norm_input,
            record_states=record_states,
            v_init=v_init,
        )
        self.leak_compensation = leak_compensation
        if spike_threshold is None and spike_fn is not None:
            raise TypeError(
                "spike_threshold must be a number or a tensor, got None; a layer without it has spike_fn=None"
            )
        self.spike_threshold = threshold_parameter(spike_threshold)
        if shape is not None:
            self.init_state_with_shape(shape)

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        state = dict(state)
        v_mem, alpha = self.charge(current, state), self.alpha("mem")
        if self.leak_compensation and alpha is not None and self.spike_threshold is not None:
            v_mem = v_mem + equations.leak_compensation(alpha, self.spike_threshold)
        state["v_mem"] = v_mem
        return self.fire(state, self.spike_threshold), state

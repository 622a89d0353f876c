"""The integrate-and-fire neuron, whose transfer curve is a ReLU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .lif import LIF
from .reset_fn import MembraneSubtract, ResetFn
from .spike_fn import MultiSpike, SpikeFn, Surrogate
from .surrogate import SingleExponential


class IAF(LIF):
    """Integrate-and-fire neurons: ``LIF`` without the leak.

    With ``SingleSpike``, soft reset and ``v_init = θ/2`` the number of spikes after T steps of a
    constant current is ``equations.iaf_count``: the clipped ReLU in T+1 values.

    >>> iaf = IAF(spike_threshold=1.0, v_init=0.5)
    >>> iaf(torch.full((1, 8, 1), 0.25)).flatten()  # a quarter of the threshold: every fourth step
    tensor([0., 1., 0., 0., 0., 1., 0., 0.])

    Args:
        spike_threshold: θ > 0, a number or a tensor that broadcasts over the trailing dimensions.
        spike_fn: ``SingleSpike``, ``MultiSpike`` (the classes) or ``MaxSpike(n)``.
        reset_fn: ``MembraneSubtract()``, ``MembraneReset()`` or ``NoReset()``.
        surrogate_grad_fn: Stand-in for ds/dv in the backward pass.
        tau_syn: Synaptic time constant in timesteps; None for no synaptic dynamics.
        min_v_mem: Lower bound of the potential.
        shape: Shape ``(batch, ...)`` to give the states at once.
        record_states: Keep all states over time in ``recordings``.
        v_init: Potential before the first step.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep.
    """

    def __init__(
        self,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = MultiSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: Surrogate = SingleExponential(),  # noqa: B008 (frozen)
        tau_syn: float | Tensor | None = None,
        min_v_mem: float | Tensor | None = None,
        shape: Sequence[int] | None = None,
        record_states: bool = False,
        *,
        v_init: float | Tensor = 0.0,
    ) -> None:
        super().__init__(
            tau_mem=float("inf"),
            tau_syn=tau_syn,
            spike_threshold=spike_threshold,
            spike_fn=spike_fn,
            reset_fn=reset_fn,
            surrogate_grad_fn=surrogate_grad_fn,
            min_v_mem=min_v_mem,
            shape=shape,
            norm_input=False,
            record_states=record_states,
            v_init=v_init,
        )
        self.tau_mem = None

    @property
    def alpha_mem_calculated(self) -> Tensor:
        """1: the membrane does not leak."""
        return self.v_init.new_ones(())

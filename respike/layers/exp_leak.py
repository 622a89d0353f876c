"""The leaky integrator that does not fire."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .lif import LIF


class ExpLeak(LIF):
    """Leaky integrator: ``LIF`` without spikes; the output is the membrane potential.

    >>> leak = ExpLeak(tau_mem=10.0)
    >>> leak(torch.tensor([[[1.0], [0.0], [0.0]]])).detach().flatten()  # exp(-1/10) is left after each step
    tensor([1.0000, 0.9048, 0.8187])

    Args:
        tau_mem: Membrane time constant in timesteps.
        shape: Shape ``(batch, ...)`` to give the states at once.
        train_alphas: Learn the decay factor instead of the time constant.
        min_v_mem: Lower bound of the potential.
        norm_input: Scale the input by (1 − α).
        record_states: Keep the potential over time in ``recordings``.

    Shape:
        Input ``(batch, time, ...)``; output the same: the potential after each timestep.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        shape: Sequence[int] | None = None,
        train_alphas: bool = False,
        min_v_mem: float | None = None,
        norm_input: bool = False,
        record_states: bool = False,
    ) -> None:
        super().__init__(
            tau_mem=tau_mem,
            spike_threshold=None,
            spike_fn=None,
            reset_fn=None,
            surrogate_grad_fn=None,
            min_v_mem=min_v_mem,
            train_alphas=train_alphas,
            shape=shape,
            norm_input=norm_input,
            record_states=record_states,
        )

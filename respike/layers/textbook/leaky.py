"""The leaky integrate-and-fire neuron with a decay factor."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from .. import equations
from ..constants import share
from .beta_neuron import BetaNeuron, Options, State


class Leaky(BetaNeuron):
    r"""Leaky integrate-and-fire neurons with decay factor β: snnTorch's first-order neuron.

    With the delayed reset r = [v > θ] of the step before::

        v <- β v + I − r θ                       "subtract"
        v <- β (1 − r) v + I                     "zero"
        s  = [v > θ]

    β = exp(−1/τ) for a time constant of τ timesteps: 0.8187 at τ = 5. From Eshraghian et al., "Training
    spiking neural networks using lessons from deep learning", Proceedings of the IEEE 2023. With
    ``"none"`` the neuron integrates without ever being reset.

    >>> leaky = Leaky(beta=0.9, record_states=True)
    >>> leaky(torch.full((1, 6, 1), 0.4)).flatten()
    tensor([0., 0., 1., 0., 0., 1.])
    >>> leaky.recordings["mem"].flatten()  # above the threshold for one step: the reset comes with the next
    tensor([0.4000, 0.7600, 1.0840, 0.3756, 0.7380, 1.0642])

    Args:
        beta: β in [0, 1]; a number or a tensor that broadcasts over the trailing dimensions.
        threshold: θ > 0.
        learn_beta: Train ``beta``, which counts as 0 below 0 and as 1 above 1.
        **options: As for ``BetaNeuron``.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep. The state is ``mem``.

    Raises:
        ValueError: ``beta`` outside [0, 1], or what ``BetaNeuron`` refuses.
    """

    hard_reset_first = True
    beta: Tensor

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        learn_beta: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__([], threshold, **options)
        self.keep("beta", share("beta", beta), learn_beta)

    def charge(self, current: Tensor, state: State) -> State:
        return {"mem": equations.integrate(state["mem"], current, self.beta.clamp(0, 1), False)}

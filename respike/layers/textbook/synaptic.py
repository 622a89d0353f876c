"""Leaky neurons whose input first charges a synapse."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from .. import equations
from ..constants import share
from ..surrogate import LeakySpikeOperator
from .beta_neuron import BetaNeuron, Options, State


class Synaptic(BetaNeuron):
    r"""Leaky integrate-and-fire neurons with a synaptic current: snnTorch's second-order neuron.

    With the delayed reset r = [v > θ] of the step before::

        i <- α i + I
        v <- β v + i − r θ                       "subtract"
        v <- (1 − r) (β v + i)                   "zero": the step after a spike passes the membrane by
        s  = [v > θ]

    The synaptic current is never reset. Eshraghian et al., Proceedings of the IEEE 2023.

    >>> layer = Synaptic(alpha=0.5, beta=0.9, record_states=True)
    >>> _ = layer(torch.tensor([[[0.4], [0.0], [0.0]]]))
    >>> layer.recordings["syn"].flatten(), layer.recordings["mem"].flatten()
    (tensor([0.4000, 0.2000, 0.1000]), tensor([0.4000, 0.5600, 0.6040]))

    Args:
        alpha: α in [0, 1], the decay factor of the synaptic current.
        beta: β in [0, 1], that of the membrane.
        threshold: θ > 0.
        learn_alpha: Train ``alpha``.
        learn_beta: Train ``beta``.
        **options: As for ``BetaNeuron``.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep. The states are ``syn`` and ``mem``.

    Raises:
        ValueError: a decay factor outside [0, 1], or what ``BetaNeuron`` refuses.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(["syn"], threshold, **options)
        self.keep("alpha", share("alpha", alpha), learn_alpha)
        self.keep("beta", share("beta", beta), learn_beta)

    def charge(self, current: Tensor, state: State) -> State:
        syn = equations.fill_synapse(state["syn"], current, self.alpha.clamp(0, 1))
        return {"syn": syn, "mem": equations.integrate(state["mem"], syn, self.beta.clamp(0, 1), False)}


class Stein(Synaptic):
    """Stein's neuron as snnTorch 0.2 had it: ``Synaptic`` whose spikes leave one timestep late.

    A potential above θ after step t gives the spike of step t + 1, together with the reset. The default
    surrogate is 0.2's too: the gradient passes where there is a spike. Stein, "A theoretical analysis of
    neuronal variability", Biophysical Journal 1965.

    >>> pulse = torch.tensor([[[1.5], [0.0], [0.0]]])
    >>> Synaptic(alpha=0.1, beta=0.9)(pulse).flatten(), Stein(alpha=0.1, beta=0.9)(pulse).flatten()
    (tensor([1., 0., 0.]), tensor([0., 1., 0.]))

    Args:
        alpha, beta, threshold, learn_alpha, learn_beta, options: As for ``Synaptic``.

    Raises:
        ValueError: ``reset_delay=False``, which this neuron cannot do, or what ``Synaptic`` refuses.
    """

    spike_delay = True

    def __init__(
        self,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        **options: Unpack[Options],
    ) -> None:
        options.setdefault("spike_grad", LeakySpikeOperator(0.0))
        super().__init__(alpha, beta, threshold, learn_alpha=learn_alpha, learn_beta=learn_beta, **options)

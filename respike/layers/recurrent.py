"""Recurrent forms: a layer's spikes come back to it, through any module, in the next timestep."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .alif import ALIF
from .iaf import IAF
from .lif import LIF
from .spiking import through


def connection(rec_connect: nn.Module) -> nn.Module:
    """Refuse what cannot be called.

    Raises:
        TypeError: it cannot.
    """
    if not callable(rec_connect) or isinstance(rec_connect, type):
        raise TypeError(f"rec_connect must be a module, say nn.Linear(n, n), got {rec_connect!r}")
    return rec_connect


class LIFRecurrent(LIF):
    """``LIF`` whose spikes pass through ``rec_connect`` and add to the input of the next timestep.

    >>> inhibition = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.constant_(inhibition.weight, -0.5)
    >>> layer = LIFRecurrent(tau_mem=20.0, rec_connect=inhibition, norm_input=False)
    >>> layer(torch.full((1, 10, 2), 0.6)).sum(1).detach()  # spikes of each neuron in 10 steps
    tensor([[3., 3.]])

    Args:
        tau_mem: Membrane time constant in timesteps.
        rec_connect: Maps spikes ``(batch, ...)`` to a current with as many elements, say ``nn.Linear``.
        **kwargs: As for ``LIF``.

    Shape:
        Input ``(batch, time, ...)``; output the same. The feedback of a call's last step is not carried
        over to the next call (as in Sinabs).
    """

    def __init__(self, tau_mem: float | Tensor, rec_connect: nn.Module, **kwargs: Any) -> None:
        super().__init__(tau_mem=tau_mem, **kwargs)
        self.rec_connect = connection(rec_connect)

    def feedback(self, spikes: Tensor) -> Tensor:
        return through(self.rec_connect, spikes)


class IAFRecurrent(IAF):
    """``IAF`` whose spikes pass through ``rec_connect`` and add to the input of the next timestep.

    >>> layer = IAFRecurrent(rec_connect=nn.Identity())  # each neuron excites itself
    >>> layer(torch.tensor([[[1.0], [0.0], [0.0]]])).flatten()  # one spike keeps itself alive
    tensor([1., 1., 1.])

    Args:
        rec_connect: Maps spikes ``(batch, ...)`` to a current with as many elements.
        **kwargs: As for ``IAF``.
    """

    def __init__(self, rec_connect: nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rec_connect = connection(rec_connect)

    feedback = LIFRecurrent.feedback


class ALIFRecurrent(ALIF):
    """``ALIF`` whose spikes pass through ``rec_connect`` and add to the input of the next timestep.

    >>> layer = ALIFRecurrent(tau_mem=20.0, tau_adapt=20.0, rec_connect=nn.Linear(3, 3))
    >>> layer(torch.rand(2, 5, 3)).shape
    torch.Size([2, 5, 3])

    Args:
        tau_mem: Membrane time constant in timesteps.
        tau_adapt: Time constant of the adaptation in timesteps.
        rec_connect: Maps spikes ``(batch, ...)`` to a current with as many elements.
        **kwargs: As for ``ALIF``.
    """

    def __init__(
        self, tau_mem: float | Tensor, tau_adapt: float | Tensor, rec_connect: nn.Module, **kwargs: Any
    ) -> None:
        super().__init__(tau_mem, tau_adapt, **kwargs)
        self.rec_connect = connection(rec_connect)

    feedback = LIFRecurrent.feedback

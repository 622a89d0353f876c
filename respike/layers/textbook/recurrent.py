"""Neurons that hear their own layer's spikes in the next timestep."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from ...errors import InputError
from ..constants import as_tensor
from ..spiking import through
from .beta_neuron import BetaNeuron, Options, State
from .leaky import Leaky
from .synaptic import Synaptic

Kernel = int | tuple[int, int]


class _Recurrent(BetaNeuron):
    """Feedback from the last step's spikes, which are a state."""

    extra_states = ("spk",)
    V: Tensor
    recurrent: nn.Module | None

    def _connect(
        self,
        v: float | Tensor,
        all_to_all: bool,
        features: int | None,
        channels: int | None,
        kernel: Kernel | None,
        learn: bool,
    ) -> None:
        self.recurrent = self._module(all_to_all, features, channels, kernel)
        self.feedback_shape = (features,) if features is not None else (channels or 1, 1, 1)
        if self.recurrent is None:
            self.keep("V", as_tensor(v), learn)
        else:
            self.recurrent.requires_grad_(learn)

    def _module(
        self, all_to_all: bool, features: int | None, channels: int | None, kernel: Kernel | None
    ) -> nn.Module | None:
        name, dense, convolution = type(self).__name__, features is not None, channels is not None
        if not all_to_all:
            if dense or convolution or kernel is not None:
                raise InputError(
                    f"{name} with all_to_all=False feeds back through V alone: leave out linear_features, "
                    "conv2d_channels and kernel_size"
                )
            return None
        if dense == convolution or convolution != (kernel is not None):
            raise InputError(
                f"{name} needs either linear_features, or conv2d_channels and kernel_size, or all_to_all=False"
            )
        if features is not None:
            return nn.Linear(features, features)
        assert channels is not None and kernel is not None
        sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
        if not all(size % 2 for size in sizes):
            raise InputError(f"kernel_size must be odd, so that the feedback has the shape of the spikes, got {kernel}")
        return nn.Conv2d(channels, channels, sizes, padding=(sizes[0] // 2, sizes[1] // 2))

    @property
    def neuron_shape(self) -> torch.Size:
        own = super().neuron_shape
        return own if self.recurrent is None else torch.Size(torch.broadcast_shapes(own, self.feedback_shape))

    def charge(self, current: Tensor, state: State) -> State:
        spikes = state["spk"]
        back = self.V * spikes if self.recurrent is None else through(self.recurrent, spikes)
        return super().charge(current + back, state)

    def step(self, current: Tensor, state: State) -> tuple[Tensor, State]:
        spikes, new = super().step(current, state)
        return spikes, new | {"spk": spikes}


class RLeaky(_Recurrent, Leaky):
    """``Leaky`` whose spikes come back as a current in the next timestep.

    v ← β·v + I + F(s) with the spikes s of the step before; a hard reset then empties the membrane after
    this update (``Leaky`` does it before). Eshraghian et al., Proceedings of the IEEE 2023.

    >>> layer = RLeaky(beta=0.5, V=1.5, all_to_all=False, learn_recurrent=False)
    >>> layer(torch.tensor([[[1.5], [0.0], [0.0]]])).flatten()  # each spike brings back 1.5 in the next step
    tensor([1., 1., 1.])

    Args:
        beta: β in [0, 1].
        V: Weight of a neuron's feedback to itself, F(s) = V·s, with ``all_to_all=False``.
        all_to_all: Feed back through ``recurrent``, a module of the kind that the next arguments say.
        linear_features: For an ``nn.Linear`` on ``(batch, linear_features)``.
        conv2d_channels: For an ``nn.Conv2d`` on ``(batch, conv2d_channels, height, width)``.
        kernel_size: Its kernel, of odd size.
        threshold: θ > 0.
        learn_beta: Train ``beta``.
        learn_recurrent: Train ``recurrent`` or ``V``.
        **options: As for ``BetaNeuron``.

    Shape:
        Input ``(batch, time, ...)``; output the same. The states are ``mem`` and ``spk``, the last spikes:
        unlike in ``LIFRecurrent`` the feedback goes on from call to call.

    Raises:
        ValueError: feedback of no or of two kinds, an even ``kernel_size``, or what ``Leaky`` refuses.
    """

    hard_reset_first = False

    def __init__(
        self,
        beta: float | Tensor,
        V: float | Tensor = 1.0,  # noqa: N803 (snnTorch's name)
        all_to_all: bool = True,
        linear_features: int | None = None,
        conv2d_channels: int | None = None,
        kernel_size: Kernel | None = None,
        threshold: float | Tensor = 1.0,
        *,
        learn_beta: bool = False,
        learn_recurrent: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(beta, threshold, learn_beta=learn_beta, **options)
        self._connect(V, all_to_all, linear_features, conv2d_channels, kernel_size, learn_recurrent)


class RSynaptic(_Recurrent, Synaptic):
    """``Synaptic`` whose spikes come back as a current in the next timestep: i ← α·i + I + F(s).

    ``reset_delay=False`` works, which in snnTorch 1.0 fails. Eshraghian et al., Proceedings of the IEEE 2023.

    >>> layer = RSynaptic(alpha=0.8, beta=0.9, linear_features=3)
    >>> layer(torch.rand(2, 5, 3)).shape
    torch.Size([2, 5, 3])

    Args:
        alpha, beta, threshold, learn_alpha, learn_beta, options: As for ``Synaptic``.
        V, all_to_all, linear_features, conv2d_channels, kernel_size, learn_recurrent: As for ``RLeaky``.

    Shape:
        Input ``(batch, time, ...)``; output the same. The states are ``syn``, ``mem`` and ``spk``.

    Raises:
        ValueError: feedback of no or of two kinds, an even ``kernel_size``, or what ``Synaptic`` refuses.
    """

    def __init__(
        self,
        alpha: float | Tensor,
        beta: float | Tensor,
        V: float | Tensor = 1.0,  # noqa: N803 (snnTorch's name)
        all_to_all: bool = True,
        linear_features: int | None = None,
        conv2d_channels: int | None = None,
        kernel_size: Kernel | None = None,
        threshold: float | Tensor = 1.0,
        *,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_recurrent: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(alpha, beta, threshold, learn_alpha=learn_alpha, learn_beta=learn_beta, **options)
        self._connect(V, all_to_all, linear_features, conv2d_channels, kernel_size, learn_recurrent)

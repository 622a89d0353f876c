"""Squeeze forms: batch and time share the first axis, so that layers fit between convolutions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from .constants import whole
from .exp_leak import ExpLeak
from .iaf import IAF
from .lif import LIF


class _Squeezed(LIF):
    """Input and output ``(batch * time, ...)``; one of ``batch_size`` and ``num_timesteps`` is enough."""

    def _init_squeeze(self, batch_size: int | None, num_timesteps: int | None) -> None:
        if batch_size is None and num_timesteps is None:
            raise InputError(f"{type(self).__name__} needs batch_size or num_timesteps")
        name = type(self).__name__
        self.batch_size = None if batch_size is None else whole(f"{name}: batch_size", batch_size, 1)
        self.num_timesteps = None if num_timesteps is None else whole(f"{name}: num_timesteps", num_timesteps, 1)

    def forward(self, input_data: Tensor) -> Tensor:
        """Spikes ``(batch * time, ...)`` for currents of the same shape.

        Raises:
            ValueError: no tensor with a first axis, or one that is not ``batch_size * num_timesteps``.
        """
        if not isinstance(input_data, Tensor) or input_data.dim() < 1:
            found = tuple(input_data.shape) if isinstance(input_data, Tensor) else type(input_data).__name__
            raise InputError(f"{type(self).__name__} takes a tensor (batch * time, ...), got {found}")
        n = len(input_data)
        batch = self.batch_size or n // (self.num_timesteps or 1)
        steps = self.num_timesteps or n // batch
        if batch * steps != n:
            raise InputError(
                f"{type(self).__name__} cannot split {n} rows into batch_size={self.batch_size} "
                f"x num_timesteps={self.num_timesteps}"
            )
        return super().forward(input_data.reshape(batch, steps, *input_data.shape[1:])).flatten(0, 1)


class LIFSqueeze(_Squeezed):
    """``LIF`` for ``(batch * time, ...)``; arguments as there, by name.

    >>> images = torch.rand(2 * 10, 1, 8, 8)  # 2 samples of 10 timesteps
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), LIFSqueeze(batch_size=2, tau_mem=20.0))
    >>> network(images).shape
    torch.Size([20, 4, 6, 6])
    """

    def __init__(self, batch_size: int | None = None, num_timesteps: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._init_squeeze(batch_size, num_timesteps)


class IAFSqueeze(_Squeezed, IAF):
    """``IAF`` for ``(batch * time, ...)``; arguments as there, by name.

    >>> IAFSqueeze(num_timesteps=4)(torch.full((4, 1), 0.5)).flatten()  # one sample of 4 timesteps
    tensor([0., 1., 0., 1.])
    """

    def __init__(self, batch_size: int | None = None, num_timesteps: int | None = None, **kwargs: Any) -> None:
        IAF.__init__(self, **kwargs)
        self._init_squeeze(batch_size, num_timesteps)


class ExpLeakSqueeze(_Squeezed, ExpLeak):
    """``ExpLeak`` for ``(batch * time, ...)``; arguments as there, by name.

    >>> ExpLeakSqueeze(batch_size=1, tau_mem=10.0)(torch.tensor([[1.0], [0.0]])).detach().flatten()
    tensor([1.0000, 0.9048])
    """

    def __init__(self, batch_size: int | None = None, num_timesteps: int | None = None, **kwargs: Any) -> None:
        ExpLeak.__init__(self, **kwargs)
        self._init_squeeze(batch_size, num_timesteps)


def set_batch_size(model: nn.Module, batch_size: int) -> None:
    """Give every squeeze form in the model, the model itself included, another batch size.

    The states of layers that had another batch size are reset.

    >>> network = nn.Sequential(nn.Linear(3, 3), IAFSqueeze(batch_size=2))
    >>> set_batch_size(network, 5)
    >>> network(torch.rand(5 * 4, 3)).shape
    torch.Size([20, 3])

    Raises:
        ValueError: a batch size below 1.
    """
    for layer in model.modules():
        if isinstance(layer, _Squeezed) and layer.batch_size != batch_size:
            layer._init_squeeze(batch_size, layer.num_timesteps)
            layer.reset_states()

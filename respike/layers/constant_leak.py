"""The integrate-and-fire neuron that leaks the same amount in every timestep."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .constants import as_tensor
from .iaf import IAF


class ConstantLeakIAF(IAF):
    """``IAF`` that loses ``v_leak`` in each timestep, whatever its potential.

    v ← v + i − v_leak, then spike, reset and lower bound as in ``IAF``. Its transfer curve is a ReLU that
    starts at I = v_leak. The neuron of analog chips (Fusi and Mattia, "Collective behavior of networks
    with linear (VLSI) integrate-and-fire neurons", Neural Computation 1999), who also put a floor at 0
    under it: without one, a silent neuron sinks for ever.

    >>> neuron = ConstantLeakIAF(v_leak=0.25)
    >>> transfer_curve(neuron, torch.tensor([0.25, 0.5, 1.0]), timesteps=100)
    tensor([0.0000, 0.2500, 0.7500])

    Args:
        v_leak: What is lost per timestep, in the units of the potential; negative for a constant drive.
        min_v_mem: Lower bound of the potential; None for no floor.
        **kwargs: As for ``IAF``.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep.
    """

    v_leak: Tensor

    def __init__(self, v_leak: float | Tensor = 0.0, *, min_v_mem: float | None = 0.0, **kwargs: Any) -> None:
        super().__init__(min_v_mem=min_v_mem, **kwargs)
        self.keep("v_leak", as_tensor(v_leak))

    def charge(self, current: Tensor, state: dict[str, Tensor]) -> Tensor:
        return super().charge(current, state) - self.v_leak

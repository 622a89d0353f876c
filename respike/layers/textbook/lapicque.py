"""The RC circuit that fires."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from ...errors import InputError
from ..constants import as_tensor, positive, short
from ..integration import Integration, check_integration
from .beta_neuron import BetaNeuron, Options, State


class Lapicque(BetaNeuron):
    r"""Lapicque's neuron: a resistor and a capacitor, τ = RC, and a spike at the threshold.

    RC v' = −v + R·I. With r = [v > θ] of the step before, f the share Δt/RC and v_∞ = R·I::

        v <- v + f (v_∞ − v)                     "euler", as snnTorch
        v <- v_∞ + (v − v_∞) exp(−f)             "exponential"
        v <- v − r θ                             "subtract"
        v <- (1 − r) v                           "zero": the step after a spike passes the membrane by
        s  = [v > θ]

    Δt/RC = ln(1/β): any one missing of ``beta``, ``R`` and ``C`` is derived from the other two, as in
    snnTorch 1.0, and ``R`` is 1 Ω where only ``beta`` is given. The factor that is left of v is β itself with
    ``"exponential"``; with ``"euler"`` it is 1 − ln(1/β), which is close to it for slow leaks only.
    ``learn_beta`` trains it by name and by effect (snnTorch fixes R and C at the start, and its second
    backward pass fails). Lapicque, J. Physiol. Pathol. Gen. 9, 1907.

    >>> lapicque = Lapicque(R=5.0, C=0.01, time_step=0.001)
    >>> lapicque.beta  # exp(-time_step / RC)
    tensor(0.9802)
    >>> rheobase(lapicque)  # the current that it must exceed to fire, θ/R
    tensor(0.2000)

    Args:
        beta: β in (0, 1), the decay factor per timestep; None to derive it.
        R: Resistance in Ω.
        C: Capacitance in F.
        time_step: Δt in s; any other consistent units will do.
        threshold: θ > 0 in V.
        learn_beta: Train ``beta``, and with it C at the given R.
        integration: ``"euler"`` or ``"exponential"``.
        **options: As for ``BetaNeuron``.

    Shape:
        Input ``(batch, time, ...)``, currents in A; output the same: spikes per timestep. The state is ``mem``.

    Raises:
        ValueError: none of ``beta`` and the pair R, C given, or all three; a constant that is not positive; a
            ``beta`` that is not below 1; forward Euler with Δt > RC; or what ``BetaNeuron`` refuses.
    """

    beta: Tensor
    R: Tensor
    time_step: Tensor
    _share: Tensor

    def __init__(
        self,
        beta: float | Tensor | None = None,
        R: float | Tensor | None = None,  # noqa: N803 (the field's own)
        C: float | Tensor | None = None,  # noqa: N803
        time_step: float | Tensor = 1.0,
        threshold: float | Tensor = 1.0,
        *,
        learn_beta: bool = False,
        integration: Integration = "euler",
        **options: Unpack[Options],
    ) -> None:
        super().__init__([], threshold, **options)
        if beta is None and (R is None or C is None):
            raise InputError("Lapicque needs beta, or both R and C, for its time constant")
        if beta is not None and R is not None and C is not None:
            raise InputError("Lapicque takes two of beta, R and C; the third follows from them")
        self.learn_beta = learn_beta
        self.keep("time_step", positive("time_step", time_step))
        if beta is None:
            resistance = positive("R", R)
            share = self.time_step / (resistance * positive("C", C))
            beta = torch.exp(-share)
        else:
            beta = as_tensor(beta)
            if not bool(((beta > 0) & (beta < 1)).all()):
                raise InputError(f"beta must be above 0 and below 1 for a time constant, got {short(beta)}")
            share = -torch.log(beta)
            derived = 1.0 if C is None else self.time_step / (share * positive("C", C))
            resistance = positive("R", derived if R is None else R)
        self.keep("beta", beta, learn_beta)
        self.keep("R", resistance)
        self.keep("_share", share)
        self._integrate = check_integration(integration, share, "raise beta or R·C, or lower time_step")

    @property
    def share(self) -> Tensor:
        """Δt/RC, which follows ``beta`` where that is learned."""
        return -torch.log(self.beta.clamp(0, 1)) if self.learn_beta else self._share

    @property
    def C(self) -> Tensor:  # noqa: N802 (the field's own)
        """The capacitance, Δt/(R·ln(1/β))."""
        return self.time_step / (self.R * self.share)

    def charge(self, current: Tensor, state: State) -> State:
        mem: Tensor = self._integrate(state["mem"], self.R * current, self.share)
        return {"mem": mem}

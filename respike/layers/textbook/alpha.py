"""Neurons whose response to a spike rises before it falls: a difference of two exponentials."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ...errors import InputError
from .. import equations
from ..constants import share
from ..surrogate import LeakySpikeOperator
from .beta_neuron import BetaNeuron, Options, State


class Alpha(BetaNeuron):
    r"""Neurons with an alpha-shaped membrane response, by snnTorch.

    With r = [v > θ] of the step before and τ_α = ln α / (ln β − ln α) + 1::

        e <- α e + I                             syn_exc
        h <- β h − I                             syn_inh
        v  = τ_α (e + h)
        e, h, v <- (1 − r) (e, h, v)             "zero", the default here
        s  = [v > θ]

    ``"subtract"`` takes θ from e, empties h and, for one step, adds the h of before to v, as snnTorch
    does: as v is computed anew from e and h each time, θ itself cannot be taken from it. A potential as
    ``reset_mechanism`` leaves e with what gives this potential. ``learn_alpha`` works, which in
    snnTorch 1.0 it does not. Eshraghian et al., Proceedings of the IEEE 2023.

    >>> alpha = Alpha(alpha=0.7, beta=0.5, record_states=True)
    >>> spikes = alpha(torch.tensor([[[1.0], [0.0], [0.0], [0.0], [0.0]]]))
    >>> alpha.recordings["mem"].flatten()  # the response to a pulse rises before it falls
    tensor([0.0000, 0.4120, 0.4944, 0.4491, 0.3659])

    Args:
        alpha: α in [0, 1], above β.
        beta: β in [0, 1].
        threshold: θ > 0.
        learn_alpha: Train ``alpha``.
        learn_beta: Train ``beta``.
        **options: As for ``BetaNeuron``, with ``reset_mechanism="zero"`` as default.

    Shape:
        Input ``(batch, time, ...)``; output the same: spikes per timestep. The states are ``syn_exc``,
        ``syn_inh`` and ``mem``. The potential starts at 0: with ``v_init`` only the first step's reset sees it.

    Raises:
        ValueError: not 0 <= β < α <= 1, or what ``BetaNeuron`` refuses.
    """

    synapses: tuple[str, ...] = ("syn_exc", "syn_inh")
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
        options.setdefault("reset_mechanism", "zero")
        super().__init__(self.synapses, threshold, **options)
        self.keep("alpha", share("alpha", alpha), learn_alpha)
        self.keep("beta", share("beta", beta), learn_beta)
        if not bool((self.alpha > self.beta).all()):
            raise InputError(f"alpha must be above beta for the response to be positive, got {alpha} and {beta}")

    @property
    def gain(self) -> Tensor:
        """τ_α, from the synapses to the potential."""
        return equations.alpha_gain(self.alpha.clamp(0, 1), self.beta.clamp(0, 1))

    def charge(self, current: Tensor, state: State) -> State:
        slow, fast, *_ = self.synapses
        e = equations.fill_synapse(state[slow], current, self.alpha.clamp(0, 1))
        h = equations.fill_synapse(state[fast], -current, self.beta.clamp(0, 1))
        return {slow: e, fast: h, "mem": self.gain * (e + h)}

    def reset(self, state: State, fired: Tensor, before: State) -> State:
        slow, fast, *_ = self.synapses
        e, h, mem = state[slow], state[fast], state["mem"]
        if self.reset_mechanism == "none":
            return state
        if self.reset_mechanism == "subtract":
            e = equations.subtract_reset(e, fired, self.threshold)
            mem = mem + fired * before[fast]
        else:
            e = e - fired * (e - self.reset_value / self.gain)
            mem = self.reset_membrane(mem, fired)
        return state | {slow: e, fast: h - fired * h, "mem": mem}


class SRM0(Alpha):
    r"""The spike response model of snnTorch 0.2: ``Alpha`` with a residual, and spikes one timestep late.

    With the spike s = r = [v > θ] of the step before::

        e <- (1 − r) (α e + I)                   syn_pre
        h <- (1 − r) (β h − I)                   syn_post
        z <- z / τ_α + r (v − θ)                 mem_residual, only with "subtract", the default
        v  = τ_α (e + h) + z

    snnTorch keeps z outside the states, so that it leaks from one input into the next; here it is a state.
    The default surrogate is 0.2's. Gerstner and Kistler, "Spiking Neuron Models", 2002, section 4.2.

    >>> srm = SRM0(alpha=0.7, beta=0.5)
    >>> srm(torch.full((1, 8, 1), 2.0)).flatten()
    tensor([0., 0., 0., 1., 0., 0., 1., 0.])

    Args:
        alpha, beta, threshold, learn_alpha, learn_beta, options: As for ``Alpha``; ``reset_mechanism`` is
            ``"subtract"`` unless given.

    Raises:
        ValueError: ``reset_delay=False``, which this neuron cannot do, or what ``Alpha`` refuses.
    """

    synapses = ("syn_pre", "syn_post", "mem_residual")
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
        options.setdefault("reset_mechanism", "subtract")
        options.setdefault("spike_grad", LeakySpikeOperator(0.0))
        super().__init__(alpha, beta, threshold, learn_alpha=learn_alpha, learn_beta=learn_beta, **options)

    def charge(self, current: Tensor, state: State) -> State:
        new = super().charge(current, state)
        residual = state["mem_residual"] / self.gain
        return new | {"mem_residual": residual, "mem": new["mem"] + residual}

    def reset(self, state: State, fired: Tensor, before: State) -> State:
        if self.reset_mechanism != "subtract":
            return super().reset(state, fired, before)
        slow, fast, _ = self.synapses
        e, h = ((1 - fired) * state[name] for name in (slow, fast))
        residual = state["mem_residual"] + fired * (before["mem"] - self.threshold)
        return {slow: e, fast: h, "mem_residual": residual, "mem": self.gain * (e + h) + residual}

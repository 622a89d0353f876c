"""The neuron that takes a ReLU's place, as a layer that can be trained."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .. import equations, kernels
from ..constants import finite, positive, short
from ..kernels.eager import fire
from ..kernels.rule import Rule
from ..spike_fn import Surrogate, check_surrogate
from ..spiking import SpikingLayer

COUNTED = 2**31
"""Fewer spikes than this in a step are counted in whole numbers."""


class RateNeuron(SpikingLayer):
    r"""Integrate-and-fire neurons whose firing-rate curve is the ReLU's; a spike carries θ.

    In each timestep, with soft reset::

        v <- v + I + bias           with tau_mem: α v + I + bias + (1 − α)·θ/2, with α = exp(−1/τ_mem)
        s  = ⌊v/θ⌋                  at most n; see Rule for spikes of either sign and of several weights
        v <- v − s·θ
        v <- max(v, floor·θ)        with a floor
        output: s·θ

    Its spikes are those of a converted network, bit for bit. The spikes s themselves, whole numbers (or multiples of
    1/2^(levels−1)), go through the module ``spikes``, to which a hook can be attached.

    Gradients: s is taken for ⌊·⌋ smoothed by one spike, clip(v/θ − ½, lowest, n), whose derivative by v is 1/θ in a
    range as wide as the spikes that can be sent (the straight-through estimator of quantisation: Bengio et al.,
    "Estimating or propagating gradients through stochastic neurons", 2013), and that of s·θ by θ is what learned step
    sizes have (Esser et al., "Learned step size quantization", ICLR 2020).

    >>> neuron = RateNeuron(spike_threshold=0.5)
    >>> neuron(torch.full((1, 8, 1), 0.125)).detach().flatten()  # V_0 is θ/2, so that a count is the rounded one
    tensor([0.0000, 0.5000, 0.0000, 0.0000, 0.0000, 0.5000, 0.0000, 0.0000])

    Args:
        spike_threshold: θ > 0, a number or a tensor that broadcasts over the trailing dimensions. A parameter.
        bias: Constant current of each step, likewise a parameter.
        start: V_0 in units of the smallest spike, likewise; it follows θ.
        max_spikes: n, the most spikes a step.
        signed: Whether spikes can be taken back, never below a net count of zero.
        levels: Weights 1, 1/2, ... of a spike, of either sign.
        tau_mem: Membrane time constant in timesteps; None without leak.
        floor: Lower bound of the potential in units of θ, 0 or less; None without one.
        two_sided: Whether the net count of a signed neuron may be below zero, too: it follows currents of either sign.
        surrogate_grad_fn: Instead of the derivative above, a function of (v_mem, θ).
        record_states: Keep all states over time in ``recordings``.

    Shape:
        Input ``(batch, time, ...)``; output the same.

    Raises:
        ValueError: a threshold or time constant that is not positive, or spikes that are no ``Rule``.
    """

    def __init__(
        self,
        spike_threshold: float | Tensor = 1.0,
        bias: float | Tensor = 0.0,
        start: float | Tensor = 0.5,
        max_spikes: int = 1,
        signed: bool = False,
        levels: int = 1,
        tau_mem: float | None = None,
        floor: float | None = None,
        two_sided: bool = False,
        surrogate_grad_fn: Surrogate | None = None,
        record_states: bool = False,
    ) -> None:
        alpha = None if tau_mem is None else float(equations.decay(positive("tau_mem", tau_mem)))
        self.rule = Rule(max_spikes, signed, levels, alpha, floor, two_sided)
        super().__init__(["v_mem", "net"] if self.rule.counts else ["v_mem"], record_states)
        self.register_buffer("v_init", torch.zeros(()), persistent=False)  # θ and ``start`` say where it begins
        self.tau_mem = tau_mem
        self.spike_threshold = nn.Parameter(finite("spike_threshold", positive("spike_threshold", spike_threshold)))
        self.bias = nn.Parameter(finite("bias", bias))
        self.start = nn.Parameter(finite("start", start))
        if surrogate_grad_fn is not None:
            check_surrogate("surrogate_grad_fn", surrogate_grad_fn)
        self.surrogate_grad_fn = surrogate_grad_fn
        self.spikes = nn.Identity()

    def initial_state(self, name: str, like: Tensor) -> Tensor:
        if name != "v_mem":
            return torch.zeros_like(like)
        first = self.spike_threshold * self.start * self.rule.finest
        return torch.zeros_like(like) + first.to(like)  # laid out as the current is

    def _untouched(self) -> bool:
        return True  # its initial state changes as θ and V_0 are learned: fresh states are those of now

    def step(self, current: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        theta, v_mem, current = self.spike_threshold, state["v_mem"], current + self.bias
        if self.rule.alpha is None:
            v_mem = v_mem + current
        else:
            lost = equations.leak_compensation(torch.tensor(self.rule.alpha, device=theta.device), theta)
            v_mem = self.rule.alpha * v_mem + current + lost
        net = state.get("net")
        spikes: Tensor = _Spikes.apply(v_mem, theta, net, self.rule, self.surrogate_grad_fn)
        after = {"v_mem": equations.subtract_reset(v_mem, spikes, theta)}
        if self.rule.floor is not None:
            after["v_mem"] = equations.bound_below(after["v_mem"], self.rule.floor * theta)
        if net is not None:
            after["net"] = net + spikes.detach()
        return spikes, after

    def scan(
        self, currents: Tensor, state: dict[str, Tensor], dim: int = 1
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """As in all layers; with the derivative above and float32 on the CPU, all steps in one compiled pass."""
        found = self._compiled(currents, state, weighted=False) if dim == 1 else None
        return super().scan(currents, state, dim) if found is None else (found[0], found[2], {})

    def forward(self, input_data: Tensor) -> Tensor:
        """θ·s ``(batch, time, ...)`` for currents of the same shape; the states go on from the last call."""
        if self._fresh and self.is_state_initialised():
            self.reset_states()
        spikes: Tensor
        currents = self._prepare(input_data)
        if not torch.compiler.is_compiling() and input_data.dtype == torch.float32 and not self._listened():
            found = self._compiled(currents, {name: getattr(self, name) for name in self.state_names}, weighted=True)
            if found is not None:
                spikes, self.firing_rate, state = found
                self._keep(state)
                self.recordings = {}
                return spikes
        spikes = self.spikes(super().forward(input_data))
        return spikes * self.spike_threshold.to(spikes)

    def _listened(self) -> bool:
        """Whether anybody may look at the spikes s, or change them, on their way through the module ``spikes``."""
        changed = any(found for name, found in vars(self.spikes).items() if "hooks" in name or name == "forward")
        own = type(self.spikes) is not nn.Identity or type(self).scan is not RateNeuron.scan
        return changed or own or bool(nn.modules.module._has_any_global_hook())

    def _compiled(
        self, currents: Tensor, state: dict[str, Tensor], weighted: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]] | None:
        """Spikes s, or θ·s, the mean s, and the states after them, in one pass; None where no kernel does that."""
        if self.surrogate_grad_fn is not None or self.record_states or torch.compiler.is_compiling():
            return None
        if self.rule.two_sided:
            return None  # the kernel takes the net count for the bound of what is sent
        if weighted and not (self.rule.most or math.inf) < COUNTED:
            return None
        fused = kernels.differentiable_scan(currents)
        if fused is None or self.spike_threshold.dtype != torch.float32:
            return None
        spikes, rate, v_mem, *net = fused(
            currents, self.spike_threshold, self.bias, state["v_mem"], state.get("net"), self.rule, weighted
        )
        return spikes, rate, {"v_mem": v_mem, **({"net": net[0]} if net else {})}

    def extra_repr(self) -> str:
        rule = self.rule
        parts = [f"spike_threshold={short(self.spike_threshold)}", f"max_spikes={rule.most}"]
        parts += ["signed=True"] if rule.signed else []
        parts += ["two_sided=True"] if rule.two_sided else []
        parts += [f"levels={rule.levels}"] if rule.levels > 1 else []
        parts += [] if self.tau_mem is None else [f"tau_mem={self.tau_mem:g}"]
        parts += [] if rule.floor is None else [f"floor={rule.floor:g}"]
        return ", ".join(parts)


class _Spikes(torch.autograd.Function):
    """Spikes of one step; backward is that of clip(v/θ − ½ of the smallest spike, lowest, most)."""

    @staticmethod
    def forward(
        ctx: Any, v_mem: Tensor, theta: Tensor, net: Tensor | None, rule: Rule, surrogate: Surrogate | None
    ) -> Tensor:
        ctx.save_for_backward(v_mem, theta, *([] if net is None else [net]))
        ctx.rule, ctx.surrogate = rule, surrogate
        return fire(rule, v_mem, net, theta)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        v_mem, theta, *rest = ctx.saved_tensors
        rule, units = ctx.rule, v_mem / theta
        if ctx.surrogate is not None:
            slope = ctx.surrogate(v_mem, theta)
        else:
            lowest = torch.minimum(rest[0], torch.as_tensor(float(rule.most))).neg() if rest else torch.zeros(())
            if rule.two_sided:
                lowest = torch.as_tensor(-float(rule.most))
            smooth = units - rule.finest / 2
            slope = ((smooth > lowest) & (smooth < rule.most)) / theta
        by_v = grads[0] * slope
        by_theta = -(by_v * units).sum_to_size(theta.shape) if ctx.needs_input_grad[1] else None
        return by_v, by_theta, None, None, None

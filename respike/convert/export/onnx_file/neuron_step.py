"""One step of a layer of neurons as a function of its state, in operations that ONNX has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....layers import equations
from ....layers.kernels import Rule
from ...run.neurons import SpikingReLU

FAR = 2.0**30
"""A net count above any that limits a spike."""


class NeuronStep(nn.Module):
    """One step of such neurons: the engine's equations, in its order, so that only currents can differ by rounding.

    Args:
        neuron: The layer.
    """

    bias: Tensor
    threshold: Tensor
    v_init: Tensor
    lost: Tensor

    def __init__(self, neuron: SpikingReLU) -> None:
        super().__init__()
        self.rule = neuron.rule
        threshold = neuron.threshold.detach().cpu().float()
        self.register_buffer("threshold", threshold)
        self.register_buffer("bias", neuron.bias.detach().cpu().float())
        self.register_buffer("v_init", (threshold * neuron.start.detach().cpu().float() * self.rule.finest)[None])
        self.shifted = bool(self.bias.any())
        if self.rule.alpha is not None:
            self.register_buffer("lost", equations.leak_compensation(torch.tensor(self.rule.alpha), threshold))

    def forward(self, current: Tensor, v_mem: Tensor, net: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What is sent, θ·s, and the potential and net count behind the step; all ``(N, ...)``."""
        if self.shifted:
            current = current + self.bias
        v_mem = v_mem + current if self.rule.alpha is None else self.rule.alpha * v_mem + current + self.lost
        spikes = fired(self.rule, v_mem, net, self.threshold)
        sent = spikes * self.threshold
        v_mem = v_mem - sent
        if self.rule.floor is not None:
            v_mem = equations.bound_below(v_mem, self.rule.floor * self.threshold)
        return sent, v_mem, None if net is None else net + spikes


def fired(rule: Rule, v_mem: Tensor, net: Tensor | None, threshold: Tensor) -> Tensor:
    """Spikes as ``kernels.eager.fire`` gives them, without logarithms and truncation: ONNX has none that are exact."""
    if rule.levels > 1:
        return _graded(v_mem, net, threshold, rule.levels)
    if rule.signed:
        assert rule.most is not None
        spikes = torch.floor(v_mem / threshold).clamp(-rule.most, rule.most)
        return spikes if net is None else spikes.maximum(-net)
    if rule.most == 1:
        return (v_mem >= threshold).to(v_mem.dtype)
    return torch.floor(v_mem / threshold).clamp(0, rule.most)


def _graded(v_mem: Tensor, net: Tensor | None, threshold: Tensor, levels: int) -> Tensor:
    """``equations.graded_spike``: the exponent is how many of the powers of two are reached, one after the other."""
    finest = 2 ** (levels - 1)
    wanted = torch.floor(v_mem / threshold * finest)
    size = wanted.abs()
    limit = torch.full_like(size, FAR) if net is None else torch.where(wanted < 0, net * finest, FAR)
    weight = torch.ones_like(size)
    for k in range(1, levels):
        # Halfway between two powers of two lies 1.5 times the smaller one.
        reached = (size >= 1.5 * 2 ** (k - 1)) & (limit >= 2**k)
        weight = weight + reached.to(size.dtype) * 2 ** (k - 1)
    possible = wanted > 0
    possible = possible | (wanted < 0 if net is None else (wanted < 0) & (net > 0))
    return torch.where(possible, weight * wanted.sign() / finest, 0.0)

"""What a random network must give, by the network itself: with quantised ReLUs, and with weights of one."""

from __future__ import annotations

from typing import Any

import torch
from random_networks import RandomNet
from torch import Tensor


def inputs(net: RandomNet, seed: int, samples: int = 6) -> tuple[Tensor, ...]:
    """Inputs for the network: multiples of 1/8, the mask zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randint(-8, 9, (samples, *shape), generator=generator) / 8 for shape in net.shapes]
    if net.masked:
        found[-1] = (found[-1] > 0).float()
    return tuple(found)


def exact(snn: Any) -> None:
    """Set each threshold to a power of two, a quarter at least, where it is not one yet."""
    for layer in snn.neurons.values():
        theta = layer.threshold.flatten()
        layer.set_threshold(2.0 ** torch.log2(theta).round().clamp(min=-2))


@torch.no_grad()
def quantised(net: RandomNet, args: tuple[Tensor, ...], layers: list[Any], steps: int, most: int = 1) -> Any:
    """The network's output with each ReLU in turn in T·n + 1 values: ``clip(floor(T·z/θ + 1/2), 0, T·n)·θ/T``.

    Args:
        net: The network.
        args: Its inputs.
        layers: With a ``threshold``, in the order of the ReLUs.
        steps: T.
        most: n, the most spikes a step.
    """
    left = iter(layers)

    def hook(z: Tensor) -> Tensor:
        theta = next(left).threshold.to(z)
        return torch.clamp(torch.floor(z * steps / theta + 0.5), 0, most * steps) * theta / steps

    net.hook = hook
    try:
        found = net(*args)
    finally:
        net.hook = None
    assert next(left, None) is None, "more layers of neurons than ReLUs"
    return found


def synapses_behind(net: RandomNet, args: tuple[Tensor, ...]) -> list[Tensor] | None:
    """How many synapses stand behind each value of each ReLU, ``(N, ...)``; None where this cannot be told so simply.

    It is the gradient of the sum of all layers' outputs where all weights are 1 and biases 0, and where the inputs are
    0, events 1 and what a layer of synapses gives is infinite: an event that is added to that is an event no more.
    """
    if not all(step.countable for step in net.steps):
        return None
    sources: list[Tensor] = []

    def hook(z: Tensor) -> Tensor:
        sources.append(torch.ones_like(z, requires_grad=True))
        return sources[-1]

    net.hook, net.counting, net.synapses = hook, True, torch.zeros(())
    try:
        net(*(torch.zeros_like(x) for x in args))
        gradients = torch.autograd.grad(net.synapses, sources, allow_unused=True)
    finally:
        net.hook, net.counting, net.synapses = None, False, torch.zeros(())
    return [torch.zeros_like(s) if g is None else g for s, g in zip(sources, gradients, strict=True)]

"""The spiking neurons that take a ReLU's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..layers import IAF, LIF, MaxSpike, SingleSpike, equations, kernels
from .errors import ConversionError
from .graph import Graph, Node

NeuronName = Literal["iaf", "lif"]


@dataclass(frozen=True)
class NeuronOptions:
    """Which neuron stands in for a ReLU.

    Attributes:
        neuron: ``"iaf"``, or ``"lif"`` with leak compensation.
        max_spikes: Most spikes per timestep; 1 is binary.
        tau_mem: Membrane time constant of ``"lif"``, in timesteps.
    """

    neuron: NeuronName = "iaf"
    max_spikes: int = 1
    tau_mem: float = 20.0

    def __post_init__(self) -> None:
        if self.neuron not in ("iaf", "lif"):
            raise ConversionError(f"neuron must be 'iaf' or 'lif', got {self.neuron!r}")
        if not isinstance(self.max_spikes, int) or self.max_spikes < 1:
            raise ConversionError(f"max_spikes must be 1 or more, a whole number, got {self.max_spikes!r}")
        if not self.tau_mem > 0:
            raise ConversionError(f"tau_mem must be positive, got {self.tau_mem}")


class SpikingReLU(nn.Module):
    """A layer of soft-reset neurons that starts at θ/2 and whose spikes carry θ.

    Args:
        node: The ReLU in the graph.
        options: Which neuron.
        axis: Channel axis of the current ``(N, ...)``; 0 if there is none.

    Attributes:
        threshold: θ, one per channel, ``(C, 1, ...)``, or one for the layer, ``(1, ...)``.
        bias: Constant current added in each step, of the threshold's shape: the calibration's correction.
        where: The ReLU's place in the user's model.
        cap: Upper bound of the ReLU, None if there is none.
    """

    threshold: Tensor
    bias: Tensor

    def __init__(self, node: Node, options: NeuronOptions, axis: int) -> None:
        super().__init__()
        self.options = options
        self.where = node.where
        self.cap: float | None = node.kwargs.get("cap")
        self.axis = axis
        rank = len(node.shape or ()) - 1
        self.register_buffer("threshold", torch.ones([1] * rank))
        self.register_buffer("bias", torch.zeros([1] * rank))

    @property
    def layer(self) -> LIF:
        """The same neurons as a layer of ``respike.layers``, for ``(batch, time, ...)`` currents plus ``bias``."""
        fire = SingleSpike if self.options.max_spikes == 1 else MaxSpike(self.options.max_spikes)
        start = self.threshold / 2
        if self.options.neuron == "iaf":
            made: LIF = IAF(self.threshold, fire, v_init=start)
        else:
            made = LIF(
                self.options.tau_mem,
                spike_threshold=self.threshold,
                spike_fn=fire,
                norm_input=False,
                v_init=start,
                leak_compensation=True,
            )
        return made.to(self.threshold.device)

    def run(self, currents: Tensor, v_mem: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spikes ``(T, N, ...)`` for currents of that shape from a potential ``(N, ...)``, and the last potential."""
        if v_mem is None:
            v_mem = (self.threshold / 2).expand(currents.shape[1:])
        alpha = None if self.options.neuron == "iaf" else self._alpha
        return kernels.soft_reset_scan(currents, v_mem, self.threshold, alpha, self.options.max_spikes)

    @property
    def _alpha(self) -> Tensor:
        return equations.decay(torch.tensor(self.options.tau_mem, device=self.threshold.device))

    def count(self, current: Tensor, steps: Tensor) -> Tensor:
        """Spikes after ``steps`` of a constant current, in closed form (for IAF), or simulated."""
        if self.options.neuron == "iaf":
            return equations.iaf_count(current, self.threshold, steps, self.threshold / 2, self.options.max_spikes)
        longest = int(steps.max())
        shape = torch.broadcast_shapes(current.shape, steps.shape)
        spikes, _ = self.run(current.expand(longest, *shape))
        clock = torch.arange(1, longest + 1, device=current.device).reshape(-1, *[1] * len(shape))
        return (spikes * (clock <= steps)).sum(0)

    def trial(self, threshold: Tensor) -> SpikingReLU:
        """Neurons of this kind for currents ``(N, C)``, with other thresholds."""
        other = SpikingReLU(Node("", "", (), shape=(None, 1)), self.options, 1)
        other.threshold = threshold
        return other

    def set_threshold(self, values: Tensor) -> None:
        """Set θ from one value per channel, ``(C,)``, or one for the layer, ``(1,)``; the cap is respected."""
        if self.cap is not None:
            values = values.clamp(max=self.cap / self.options.max_spikes)
        self.threshold = self.spread(values).to(self.threshold)

    def spread(self, values: Tensor) -> Tensor:
        """One value per channel, ``(C,)``, laid out to broadcast over ``(N, ...)``."""
        shape = [1] * self.threshold.dim()
        if self.axis:
            shape[self.axis - 1] = -1
        return values.reshape(shape)

    def extra_repr(self) -> str:
        theta, name = self.threshold, self.options.neuron.upper()
        count = f"{theta.numel()} thresholds" if theta.numel() > 1 else "threshold"
        return f"{self.where}: {name}, {count} {theta.min().item():.4g}..{theta.max().item():.4g}"


def channel_axis(node: Node, graph: Graph) -> int:
    """The channel axis of a current: the last one behind a linear layer, else axis 1; 0 if there is none.

    An axis whose length depends on the batch is no channel axis.
    """
    shape = node.shape or ()
    fixed = [axis for axis, n in enumerate(shape) if axis > 0 and n is not None and n > 0]
    if not fixed:
        return 0
    source: Node | None = node
    while source is not None:
        if source.op == "aten.linear.default":
            return fixed[-1]
        if source.op.split(".")[1] not in ("add", "sub", "mul", "div", "neg", "relu") or not source.refs:
            break
        source = graph.node(source.refs[0])
    return fixed[0]

"""The spiking neurons that take a ReLU's place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...layers import IAF, LIF, MaxSpike, SingleSpike, equations, kernels
from ...layers.kernels import Drive, Rule, Send
from ..errors import ConversionError
from ..graph import Graph, Node, relu
from ..graph.rules import ACTIVATIONS, short
from ..options import NeuronOptions
from .weights_module import versions


def _rule(options: NeuronOptions, two_sided: bool) -> Rule:
    alpha = float(equations.decay(torch.tensor(options.tau_mem))) if options.neuron == "lif" else None
    levels = options.levels if options.neuron == "multi_threshold" else 1
    return Rule(options.max_spikes, options.takes_back, levels, alpha, options.floor, two_sided)


class SpikingReLU(nn.Module):
    """A layer of soft-reset neurons whose spikes carry θ.

    Args:
        node: The ReLU in the graph.
        options: Which neuron.
        axis: Channel axis of the current ``(N, ...)``; 0 if there is none.

    Attributes:
        threshold: θ, one per channel, ``(C, 1, ...)``, or one for the layer, ``(1, ...)``.
        bias: Constant current added in each step, of the threshold's shape: the calibration's correction.
        start: V_0, the potential before the first step, in units of the smallest spike: ½, which makes a count the
            rounded one, unless calibration finds a better one. Of the threshold's shape.
        largest: The largest output of each channel of the ANN that calibration saw, ``(C,)``; empty if not known, as in
            a network from a file.
        where: The ReLU's place in the user's model.
        cap: Upper bound of the ReLU, None if there is none.
        levels: Steps between 0 and ``cap`` of an activation that was quantised in training, else None. The threshold is
            then the trained one, whatever else is set.
        step: Size of a step of one without an upper bound, else None.
        shift: Share of a step that such an activation adds before it rounds down.
        two_sided: Whether the net count follows a signal of either sign, as behind a smooth activation.
        timesteps: T that ``fit_to`` was told.
    """

    threshold: Tensor
    bias: Tensor
    start: Tensor
    largest: Tensor

    def __init__(self, node: Node, options: NeuronOptions, axis: int) -> None:
        super().__init__()
        self.options = options
        self._v_init: tuple[list[tuple[int, int]], Tensor] | None = None
        self.where = node.where
        self.cap: float | None = node.kwargs.get("cap")
        self.levels: int | None = node.kwargs.get("levels")
        self.step: float | None = node.kwargs.get("step")
        self.shift: float = node.kwargs.get("shift", 0.5)
        self.two_sided: bool = node.kwargs.get("two_sided", False)
        self.timesteps = 0
        self.axis = axis
        rank = len(node.shape or ()) - 1
        self.register_buffer("threshold", torch.ones([1] * rank))
        self.register_buffer("bias", torch.zeros([1] * rank))
        self.register_buffer("start", torch.full([1] * rank, 0.5))
        self.register_buffer("largest", torch.zeros(0), persistent=False)

    @property
    def rule(self) -> Rule:
        """Such a neuron, for kernels."""
        return _rule(self.options, self.two_sided)

    @property
    def layer(self) -> LIF:
        """The same neurons as a layer of ``respike.layers``, for ``(batch, time, ...)`` currents plus ``bias``.

        Raises:
            ConversionError: neurons that take spikes back are no layer yet.
        """
        if self.options.takes_back:
            raise ConversionError(f"{self.options.neuron} neurons have no equivalent layer in respike.layers")
        fire = SingleSpike if self.options.max_spikes == 1 else MaxSpike(self.options.max_spikes)
        lowest = None if self.options.floor is None else self.options.floor * self.threshold
        if self.options.neuron == "iaf":
            made: LIF = IAF(self.threshold, fire, v_init=self.v_init, min_v_mem=lowest)
        else:
            made = LIF(
                self.options.tau_mem,
                spike_threshold=self.threshold,
                spike_fn=fire,
                norm_input=False,
                v_init=self.v_init,
                min_v_mem=lowest,
                leak_compensation=True,
            )
        return made.to(self.threshold.device)

    @property
    def v_init(self) -> Tensor:
        """V_0 in the units of the current; the same tensor until threshold or start change."""
        now = versions((self.threshold, self.start))
        if self._v_init is None or self._v_init[0] != now:
            self._v_init = now, self.threshold * self.start * self.options.finest
        return self._v_init[1]

    @property
    def rest(self) -> tuple[Tensor, ...]:
        """The state before the first step."""
        return (self.v_init, torch.zeros_like(self.v_init)) if self.rule.counts else (self.v_init,)

    def run(
        self, currents: Tensor | Drive, state: tuple[Tensor, ...] | None = None, send: Send | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Spikes ``(T, N, ...)`` in units of θ, or as ``send`` says, and the state that they leave behind.

        Args:
            currents: ``(T, N, ...)``, to which no bias is added, or the parts of the current.
            state: As this function returns it: the potential ``(N, ...)`` and, for neurons that take spikes back, the
                net count; None: before the first step.
            send: The form of the spikes.
        """
        drive = currents if isinstance(currents, Drive) else Drive(currents, len(currents))
        return kernels.scan(self.rule, drive, self.threshold, state or self.rest, send or Send())

    def events(self, spikes: Tensor) -> Tensor:
        """How many spikes these are, each of either sign and any weight being one."""
        if self.options.neuron == "multi_threshold":
            return (spikes != 0).to(spikes.dtype)
        return spikes.abs() if self.options.takes_back else spikes

    def count(self, current: Tensor, steps: Tensor) -> Tensor:
        """Net spikes after ``steps`` of a constant current: in closed form for IAF and signed neurons, or simulated."""
        return self.counts(current, steps)[0]

    def counts(self, current: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Net spikes as ``count`` gives them, in units of θ, and how many were sent, each of any weight being one.

        Only spikes of several weights overshoot a constant current and take back.
        """
        if self.options.neuron == "signed" and self.two_sided:
            most = self.options.max_spikes * steps
            found = torch.floor((current * steps + self.v_init) / self.threshold).clamp(-most, most)
            return found, found.abs()
        if self.options.neuron in ("iaf", "signed"):
            found = equations.iaf_count(current, self.threshold, steps, self.v_init, self.options.max_spikes)
            return found, found
        longest = int(steps.max())
        shape = torch.broadcast_shapes(current.shape, steps.shape)
        spikes, _ = self.run(Drive(current.expand(shape).unsqueeze(0), longest))
        clock = torch.arange(1, longest + 1, device=current.device).reshape(-1, *[1] * len(shape))
        net = (spikes * (clock <= steps)).sum(0)
        return net, net if self.options.neuron == "lif" else (self.events(spikes) * (clock <= steps)).sum(0)

    def trial(self, threshold: Tensor, start: Tensor) -> SpikingReLU:
        """Neurons of this kind for currents ``(N, C)``, with other thresholds and starts."""
        sides = {"two_sided": True} if self.two_sided else {}
        other = SpikingReLU(Node("", "", (), sides, shape=(None, 1)), self.options, 1)
        other.threshold, other.start = threshold, start
        return other

    def part(self, channels: Tensor) -> SpikingReLU:
        """The neurons of some channels, for currents ``(N, C)``; what is done to them is brought back by ``take``."""

        def some(values: Tensor) -> Tensor:
            return values.flatten()[channels.to(values.device)] if values.numel() > 1 else values.flatten()

        other = self.trial(some(self.threshold), some(self.start))
        other.bias, other.cap, other.where = some(self.bias), self.cap, self.where
        return other

    def take(self, groups: Sequence[Tensor], parts: Sequence[SpikingReLU]) -> None:
        """Set θ, V_0 and bias as parts have them that make up all channels between them."""
        order = torch.cat(list(groups)).to(self.threshold.device)
        for name in ("threshold", "start", "bias"):
            found = [getattr(part, name).flatten() for part in parts]
            if getattr(self, name).numel() == 1 and all(torch.equal(values, found[0][:1]) for values in found):
                whole = found[0]  # one value for the layer, as before
            else:
                values = [v.expand(len(group)) for v, group in zip(found, groups, strict=True)]
                whole = torch.empty(len(order), device=order.device).scatter_(0, order, torch.cat(values))
            setattr(self, name, self.spread(whole).to(self.threshold))

    def set_threshold(self, values: Tensor) -> None:
        """Set θ from one value per channel, ``(C,)``, or one for the layer, ``(1,)``; the cap is respected.

        Steps of the training are kept: with an upper bound θ is what it was trained with, and without one a whole step
        is a spike, as long as T of them hold the largest value.
        """
        if self.levels is not None and self.cap is not None:
            values = torch.full_like(values[:1], self.cap / self.options.max_spikes)
        elif self.step is not None and float(values.max()) <= self.step * self.timesteps:
            values = torch.full_like(values[:1], self.step * self.timesteps)
        elif self.cap is not None:
            values = values.clamp(max=self.cap / self.options.max_spikes)
        self.threshold = self.spread(values).to(self.threshold)

    def ann(self, x: Tensor) -> Tensor:
        """What the ANN has in the layer's place."""
        return relu(x, self.cap, self.levels, self.step, self.shift, self.two_sided)

    @property
    def is_trained(self) -> bool:
        """Whether the threshold is what the activation was trained with."""
        kept = self.step is not None and bool((self.threshold == self.step * self.timesteps).all())
        return self.levels is not None or kept

    def is_exact_at(self, timesteps: int) -> bool:
        """Whether T steps of a constant current give exactly what the activation was trained to give."""
        return self.levels == timesteps * self.options.max_spikes and self.options.neuron in ("iaf", "signed")

    def fit_to(self, timesteps: int) -> None:
        """Threshold and V_0 of an activation that was quantised in training, for T; of others none."""
        self.timesteps = timesteps
        if self.levels is not None:
            self.set_threshold(self.threshold.flatten())
        if self.levels is not None or self.step is not None:
            trained = self.is_exact_at(timesteps) or (self.levels is None and self.is_trained)
            self.start = torch.full_like(self.start, self.shift if trained else 0.5)

    def saw(self, values: Tensor) -> None:
        """Note outputs of the ANN's layer ``(M, C)`` that calibration saw."""
        values = values.abs() if self.two_sided else values
        highest = values.amax(0).clamp(min=0, max=self.cap).to(self.threshold)
        self.largest = torch.maximum(self.largest, highest) if self.largest.numel() else highest

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


_OF_CHANNELS = ACTIVATIONS | {"add", "sub", "mul", "div", "neg", "relu"}
"""Operations that leave channels where they are."""


def channel_axis(node: Node, graph: Graph) -> int:
    """The channel axis of a current: the last one behind a linear layer or layer norm, else axis 1; 0 if there is none.

    An axis whose length depends on the batch is no channel axis.
    """
    shape = node.shape or ()
    fixed = [axis for axis, n in enumerate(shape) if axis > 0 and n is not None and n > 0]
    if not fixed:
        return 0
    source: Node | None = node
    while source is not None:
        name = short(source.op)
        if name in ("linear", "layer_norm", "rms_norm"):
            return fixed[-1]
        if name not in _OF_CHANNELS or not source.refs:
            break
        source = graph.node(source.refs[0])
    return fixed[0]

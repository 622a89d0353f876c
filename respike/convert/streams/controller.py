"""A network that decides again and again: what a decision could not say, the next one makes up for.

Xu et al., "Error amplification limits ANN-to-SNN conversion in continuous control", ICML 2026 (arXiv:2601.21778): a few
steps round every activation. If potentials are reset, the same observation is rounded the same way again, and a
controller that is off to one side stays off to that side. Carried over, the residual potential rounds the next decision
the other way, and errors cancel over decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from .. import checks
from ..caller_state import Inference
from ..errors import ConversionError
from ..graph import BATCH, Node
from ..run.schedules.by_name import mode_of
from ..run.schedules.synchronous import Synchronous
from ..run.simulator import Simulator
from .samples import mask_of, require_apart


class Controller:
    """A spiking network whose potentials carry over from one decision to the next.

    A decision is a run of ``snn.timesteps`` steps on an observation. With V_0 the potential that a neuron began with,
    V_T the one that it ended with and N the net spikes that it sent, ΔV = max(V_T − V_0, −θ·N) is the charge that came
    and was not sent, or was sent and had not come. The next decision begins with

        V_0 ← V_rest + clip(β·ΔV, ±θ/2),   V_rest = θ/2 unless calibration found a better one

    and with ``carry`` β = 0 each decision is ``snn(observation)``. Of spikes of several weights θ is the smallest.

    >>> policy = respike.models.policies.load("CartPole-v1")
    >>> snn = respike.from_torch(policy, torch.randn(128, 4), timesteps=4)
    >>> controller = respike.Controller(snn, carry=0.5)
    >>> [controller(observation).argmax(1).shape for observation in torch.randn(3, 5, 4)]  # of 5 environments
    [torch.Size([5]), torch.Size([5]), torch.Size([5])]
    >>> controller.reset([0, 3])  # whose episodes have ended

    Args:
        snn: A network with the schedule ``"synchronous"`` or ``"pipelined"``.
        carry: β, from 0 to 1: the share of the residual potential that is carried.

    Raises:
        ConversionError: a layerwise network, whose neurons have no potential that is left, or a share out of range.
    """

    def __init__(self, snn: Simulator, carry: float = 0.5) -> None:
        checks.instance("snn", snn, Simulator, "a SpikingNetwork")
        self.snn = snn
        self.carry = checks.number("carry", carry, " from 0 to 1", low=0, most=1)
        self._initial: dict[str, tuple[Tensor, ...]] = {}
        self._batch: int | None = None
        self._require()

    def _require(self) -> None:
        if self.snn.schedule == "layerwise":
            raise ConversionError(
                "neurons of a layerwise network are counted in closed form and keep no potential; set snn.schedule to "
                "'synchronous' or 'pipelined' to carry it over"
            )

    @Inference()
    def __call__(self, *args: Any) -> Any:
        """A decision.

        Args:
            *args: The observation, as for ``snn(...)``, with as many samples as before.

        Returns:
            The estimate after ``snn.timesteps`` steps, or after all frames, as ``snn(...)`` gives it.

        Raises:
            ValueError: inputs that ``snn`` refuses, or another number of samples than those that are under way. What is
                carried is as before.
        """
        self._require()
        snn = self.snn
        inputs = snn.graph.flatten(args)
        shapes = zip(snn.graph.inputs.values(), inputs, strict=True)
        batch = next((len(x) for shape, x in shapes if shape[:1] == (BATCH,)), 1)
        if self._batch not in (None, batch):
            raise InputError(f"the controller decides for {self._batch} samples and got {batch}; call reset() before")
        mode = mode_of(snn.schedule, snn.delay, snn.layers(), first=snn.plan.first)
        assert isinstance(mode, Synchronous)
        mode.initial = dict(self._initial)
        sent: dict[str, Tensor] = {}

        def tell(node: Node, events: Tensor, values: Tensor) -> None:
            if node.name in snn.neurons:  # entries of a pipelined run are the mean over its steps
                total = values.sum(0) if snn.schedule == "synchronous" else values[0] * mode.steps
                sent[node.name] = sent[node.name] + total if node.name in sent else total

        blocks = list(snn.blocks(inputs, held=mode, recorder=tell, only_last=True))
        self._initial = {name: self._carried(name, mode.state[name], sent[name]) for name in sent}
        self._batch = batch
        return snn.output_at(blocks[-1], -1)

    def _carried(self, name: str, state: tuple[Tensor, ...], sent: Tensor) -> tuple[Tensor, ...]:
        """The state that the next decision begins with."""
        neuron = self.snn.layers()[name]
        before = self._initial[name][0] if name in self._initial else neuron.v_init
        residual = torch.maximum(state[0] - before, -sent)
        most = neuron.threshold * neuron.options.finest / 2
        v_mem = neuron.v_init + (self.carry * residual).clamp(-most, most)
        return (v_mem, *(torch.zeros_like(v_mem) for _ in neuron.rest[1:]))

    def reset(self, samples: Tensor | Sequence[int] | Sequence[bool] | None = None) -> None:
        """Forget what is carried, as at the beginning of an episode.

        Args:
            samples: Whose, by their numbers, counted from 0, or as a mask ``(N,)``; None: of all, and the next decision
                may have another number of samples.

        Raises:
            ConversionError: no such sample, or a network in which samples meet, where all can be reset and not some.
        """
        if samples is None or self._batch is None:
            self._initial, self._batch = {}, None
            return
        rows = mask_of(samples, self._batch)
        require_apart(self.snn)
        for name, (v_mem, *rest) in self._initial.items():
            neuron = self.snn.layers()[name]
            mask = rows.to(v_mem.device).repeat_interleave(len(v_mem) // len(rows))
            self._initial[name] = torch.where(mask.reshape(-1, *[1] * (v_mem.dim() - 1)), neuron.v_init, v_mem), *rest

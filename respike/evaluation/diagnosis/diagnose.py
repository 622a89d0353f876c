"""ANN and SNN on the same samples, layer by layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ...convert import checks
from ...convert import data as reading
from ...convert.caller_state import undisturbed
from ...convert.data import first_rows
from ...convert.graph import BATCH, Graph, Ref
from ...convert.network import SpikingNetwork, add_shortcut
from ...convert.output_judging import border, decision, is_single_score, probability
from ...convert.thread_pool import cut
from ...convert.variants.origin import origin_of
from ...progress import Listener, listener
from ..shown_to_ann import AnnOn, check_ann_on
from .findings import findings
from .parts import Sums
from .remedies import Remedies
from .result import Diagnosis, LayerDiagnosis
from .trials import Trials
from .walks import Batch, walk

ROOM = 2**29
"""Bytes that the values of a piece of a batch may take, about."""
COPIES = 16
"""Float32 values that are alive at once for each output of each layer, about."""


@undisturbed()
def diagnose(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    timesteps: int | None = None,
    ann_on: AnnOn = "mean",
    samples: int = 512,
    seed: int = 0,
    progress: bool | Listener | None = None,
) -> Diagnosis:
    """Find out which layer of a spiking network is wrong, why, and what to change.

    Every layer's decoded output, the mean over T steps, is compared with the ANN's on the same samples, and the
    difference is split by cause, see ``parts``. Each layer is also tried alone, see ``Trial``, which distinguishes a
    broken layer from one that suffers from the layers before it.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:128]
    >>> snn = respike.from_torch(model, calibration, timesteps=4)
    >>> diagnosis = respike.diagnose(snn, calibration, samples=64)
    >>> [layer.where for layer in diagnosis.layers], diagnosis.faults
    (['net.2 (ReLU)', 'net.4 (ReLU)'], ())

    Args:
        snn: The network; not changed.
        data: Unlabelled samples, as for ``respike.from_torch``, or a pair of tensors of inputs and targets, of which
            the inputs count.
        ann: The model that the network was made from; needed if it was loaded from a file. Not changed.
        timesteps: T; ``snn.timesteps`` by default.
        ann_on: As for ``respike.evaluate``, for the network's outputs; a layer's rate says what the ANN's layer gives
            on the mean, and is held against that.
        samples: The most samples that are used.
        seed: Random seed for the sample order.
        progress: As for ``respike.evaluate``.

    Raises:
        ConversionError: there is no ANN to compare with, it does not fit, or the data is empty or of another shape.
        ValueError: ``timesteps`` below 1.
    """
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    total = checks.whole("timesteps", snn.timesteps if timesteps is None else timesteps, 1, checks.STEPS)
    samples, seed = checks.whole("samples", samples, 1), checks.seed(seed)
    checks.progress(progress, bar=True)
    check_ann_on(ann_on, snn.graph)
    device = next(iter(snn.buffers())).device
    arity = snn.graph.arity
    pair = isinstance(data, tuple) and len(data) == 2 and all(isinstance(x, Tensor) for x in data)
    data = data[0] if pair and arity == 1 else data
    batches = reading.inputs(data, snn.graph, seed, device, total)
    first = next(batches)
    origin = origin_of(snn, ann, first)
    neurons = snn.layers()
    sums = {name: Sums(neuron, total, snn.graph.shape(name) or ()) for name, neuron in neurons.items()}
    trials = {name: Trials(neuron, snn.calibrated_timesteps) for name, neuron in neurons.items()}
    outputs, remedies = Outputs(snn.graph), Remedies(snn, origin, total)
    known = (
        len(data) if (isinstance(data, Tensor) or reading.is_dataset(data)) and hasattr(data, "__len__") else samples
    )
    with listener(progress, default=True) as told:
        told.report("diagnosing", 0, min(samples, known))
        for inputs in _pieces(snn, itertools.chain([first], batches), samples):
            batch = walk(snn, origin, inputs, total, ann_on)
            outputs.add(batch, reading.rows(inputs))
            remedies.keep(inputs)
            for name in neurons:
                sums[name].add(batch.sent[name], batch.arrived[name], batch.own[name], batch.ann[name])
                trials[name].add(batch.ann[name], batch.alone[name])
            told.report("diagnosing", outputs.samples, min(samples, known))
    layers = tuple(_layer(snn, name, sums[name], trials[name]) for name in neurons)

    def alone(steps: int) -> float:
        errors = [error for trial in trials.values() if (error := trial.best_at(steps)) is not None]
        return sum(errors) / max(len(errors), 1)

    steps = snn.calibrated_timesteps
    found = findings(layers, total, steps, snn.schedule, outputs.error, outputs.propagated, alone, remedies)
    return Diagnosis(
        samples=outputs.samples,
        timesteps=total,
        calibrated=snn.calibrated_timesteps,
        schedule=snn.schedule,
        agreement=outputs.agreement,
        output_error=outputs.error,
        propagated=outputs.propagated,
        layers=layers,
        findings=found,
    )


def _pieces(snn: SpikingNetwork, batches: Iterator[list[Tensor]], samples: int) -> Iterator[list[Tensor]]:
    """The samples in pieces that fit into ``ROOM``, unless the network mixes samples."""
    for inputs in batches:
        if samples <= 0:
            return
        inputs = first_rows(inputs, samples)
        n = reading.rows(inputs)
        samples -= n
        size = max(1, ROOM // (4 * COPIES * sum(_size(snn, name) for name in snn.neurons)))
        for start in range(0, n, size) if snn.plan.separable else [None]:
            yield inputs if start is None else cut(inputs, slice(start, start + size))


def _size(snn: SpikingNetwork, name: str) -> int:
    return math.prod(n for n in snn.graph.shape(name) or () if n is not None and n > 0)


def _layer(snn: SpikingNetwork, name: str, sums: Sums, trials: Trials) -> LayerDiagnosis:
    neuron, theta = sums.neuron, sums.neuron.threshold
    error, scale = sums.rms
    return LayerDiagnosis(
        name=name,
        where=neuron.where,
        neuron=neuron.options.neuron,
        max_spikes=neuron.options.max_spikes,
        neurons=_size(snn, name),
        threshold=(float(theta.min()), float(theta.mean()), float(theta.max())),
        error=error,
        scale=scale,
        parts=sums.parts,
        pearson=sums.pearson,
        saturated=sums.saturated / sums.values,
        silent=sums.silent,
        dead=sums.dead,
        rates=tuple((sums.rates / sums.values).tolist()),
        trial=trials.result(),
    )


class Outputs:
    """Holds the network's outputs against the ANN's, batch by batch: those that begin with the samples.

    Args:
        graph: The network's.
    """

    def __init__(self, graph: Graph) -> None:
        named = [(i, x.name) for i, x in enumerate(graph.outputs) if isinstance(x, Ref)]
        self.judged = [i for i, name in named if (graph.shape(name) or (1,))[0] is BATCH]
        self.samples = 0
        self.graph = graph
        self.answer: Tensor | None = None  # the first one that the ANN gives
        self.varies = False
        self.agreed: float | None = 0.0
        self.squares = torch.zeros(2, dtype=torch.float64)  # of the SNN's error and of what is propagated
        self.moments: list[Tensor] = []  # Σ and Σ² over samples of each of the ANN's values

    def add(self, batch: Batch, n: int) -> None:
        ann, own, snn = batch.outputs
        self.samples += n
        kept = [i for i in self.judged if isinstance(ann[i], Tensor) and ann[i].is_floating_point()]
        self.moments = self.moments or [torch.zeros(2, *ann[i].shape[1:], dtype=torch.float64) for i in kept]
        for i, moments in zip(kept, self.moments, strict=True):
            wanted = ann[i].double().cpu()
            moments += torch.stack([wanted.sum(0), wanted.square().sum(0)])
            self.squares += torch.stack([(x[i].double().cpu() - wanted).square().sum() for x in (snn, own)])
        tensors = [(a, s) for a, s in zip(ann, snn, strict=True) if isinstance(a, Tensor)]
        one = len(tensors) == 1 and (probability(self.graph) or not is_single_score(tensors[0][0]))
        decided = [decision(x, border(self.graph)) for x in tensors[0]] if one else [None, None]
        if decided[0] is None or decided[1] is None or self.agreed is None:
            self.agreed = None
        else:
            self.agreed += float(decided[0].eq(decided[1]).double().mean()) * n
            self.answer = decided[0].flatten()[0] if self.answer is None else self.answer
            self.varies |= bool((decided[0] != self.answer).any())

    @property
    def agreement(self) -> float | None:
        return None if self.agreed is None or not self.varies else self.agreed / self.samples

    @property
    def error(self) -> float:
        return self._relative(0)

    @property
    def propagated(self) -> float:
        return self._relative(1)

    def _relative(self, which: int) -> float:
        spread = sum(float((squares - total.square() / self.samples).sum()) for total, squares in self.moments)
        return math.sqrt(float(self.squares[which]) / spread) if spread > 0 else 0.0


add_shortcut("diagnose", diagnose)

"""Accuracy, agreement, spikes and synaptic operations at every timestep, from one pass over the data."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..convert import checks
from ..convert.caller_state import undisturbed
from ..convert.count.event_counter import EventCounter
from ..convert.data import rows
from ..convert.network import SpikingNetwork
from ..convert.options import Judge
from ..convert.output_judging import border, is_single_score, single
from ..convert.thread_pool import cut, map_pieces
from ..convert.tracing.copy_model import prepare
from ..errors import InputError
from ..progress import Listener, listener
from .activity import ActivityCounter
from .batches import batched, split
from .cost.needed import InputMacs, NeededMacs
from .curves import Curves, Decisions, Errors, Metric, Scores
from .result import Evaluation
from .shown_to_ann import AnnOn, ann_output, check_ann_on
from .targets import kind_of

ON_FRAMES = "the ANN's answer is the mean of its outputs on each frame"
"""Said where it is so."""


@undisturbed()
def evaluate(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    timesteps: int | None = None,
    judge: Judge = "auto",
    metric: Metric | None = None,
    batch_size: int = 100,
    against_float32: bool = False,
    ann_on: AnnOn = "mean",
    progress: bool | Listener | None = None,
) -> Evaluation:
    """Judge a spiking network at every number of timesteps up to ``timesteps``.

    Class numbers as targets, ``(N,)``, or ``(N, ...)`` for outputs ``(N, K, ...)``, are judged by accuracy, which is
    the share of right positions where a sample has several; one-hot targets of the output's shape are class numbers
    too. Labels of -100 do not count. A single score, ``(N,)`` or ``(N, 1)``, with labels 0 and 1 is judged by its
    sign, or behind a sigmoid by whether it is above 0.5. Other targets of the output's shape are values (regression)
    and judged by R², the mean over outputs, and by the relative error against the ANN.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:128]
    >>> snn = respike.from_torch(model, calibration, timesteps=4)
    >>> images, labels = respike.models.datasets.load("mnist").tensors
    >>> result = respike.evaluate(snn, (images[:200], labels[:200]), ann=model)
    >>> len(result.accuracy), bool(result.agreement[-1] > 0.9)
    (4, True)

    Args:
        snn: The network.
        data: A Dataset of (input, target), a pair of tensors or arrays, or an iterable of such batches. For a
            network with several inputs a batch is ((inputs ...), target) or (inputs ..., target).
        ann: The network it was made from, for its accuracy and the agreement. It is not changed.
        timesteps: ``snn.timesteps`` by default.
        judge: ``"decision"``: by accuracy; ``"error"``: by R² and error; by default the first batch of targets tells.
        metric: Replaces accuracy: takes the network's output and the target, gives one score per sample.
        batch_size: For a Dataset or a pair of tensors.
        against_float32: Run the network in float32 too, and count how often it decides alike in its own precision.
        ann_on: What the ANN is shown of inputs that move: the ``"mean"`` of their frames, which is what a rate code
            reads; or ``"frames"``: each, and the mean of its outputs counts, and the work of all passes.
        progress: Whether to show a bar, by default on a terminal; or what to tell, as for ``respike.from_torch``.

    Returns:
        Curves over time; see ``Evaluation``.

    Raises:
        ValueError: no data, targets that do not fit the outputs, outputs that cannot be judged while no ``metric`` is
            given, or an option out of range.
    """
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    total = checks.whole("timesteps", snn.timesteps if timesteps is None else timesteps, 1, checks.STEPS)
    checks.one_of("judge", judge, get_args(Judge))
    checks.function("metric", metric)
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.flag("against_float32", against_float32)
    check_ann_on(ann_on, snn.graph)
    checks.progress(progress, bar=True)
    device = next(iter(snn.buffers())).device
    reference = None if ann is None else prepare(ann, device)
    counter = ActivityCounter(snn, total)
    inputs, products = InputMacs(snn, counter.work), None if reference is None else NeededMacs(reference)
    curves: Curves | None = None if metric is None else Scores(total, metric)
    twin, seen = _in_float32(snn) if against_float32 else None, 0
    batches, length = batched(data, batch_size)
    with torch.no_grad(), listener(progress, default=True) as told:
        told.report("evaluating", 0, length)
        for given, target in split(batches, snn.graph):
            given, target = _to((snn.graph.first_frames(given, total), target), device)
            n = rows(given)
            expected = None
            if reference is not None:
                with products or nullcontext():
                    expected = ann_output(reference, snn.graph, given, ann_on)
            if not seen and expected is not None:
                _require_alike(snn, expected)
            inputs.count(given)
            example = snn.output_at(next(snn.blocks(given, timesteps=1)), 0) if expected is None else expected
            if curves is None:
                curves = _curves(snn, example, target, judge, total)
            if twin is not None and not isinstance(curves, Decisions):
                raise InputError("against_float32 counts decisions, and these outputs are not judged by decisions")
            target = curves.wanted(target, example)
            if expected is not None:
                curves.ann(expected, target)
            judged = partial(_judged, snn, twin, (given, target, expected), total, counter, curves)
            pieces, workers = snn.pieces(given, total)
            answers = [x for x in pytree.tree_leaves((target, expected)) if isinstance(x, Tensor) and x.dim()]
            apart = all(len(x) == n for x in answers)
            for found, counted in map_pieces(judged, pieces if apart else [slice(None)], workers):
                curves.add(found)
                counter.add(counted)
            seen += n
            told.report("evaluating", seen, length)
    if curves is None or not seen:
        raise InputError("there is no data to evaluate on")
    layers, work = counter.layers(seen), counter.work
    of_ann = work.ann.times(total if ann_on == "frames" else 1)
    clock = np.arange(1, total + 1)
    spiking = [layer for layer in layers if layer.kind == "spike"]
    return Evaluation(
        samples=seen,
        schedule=snn.schedule,
        spikes=np.sum([layer.spikes for layer in spiking], axis=0),
        synops=np.sum([layer.synops for layer in layers], axis=0),
        macs=work.once.macs + work.every_step.macs * clock.astype(np.float64),
        ann_macs=of_ann.macs,
        input_work=work.once,
        input_macs=inputs.mean(seen),
        step_work=work.every_step,
        ann_work=of_ann,
        ann_needed_macs=products.needed / seen if products and products.macs == of_ann.macs * seen else None,
        neurons=sum(layer.neurons for layer in spiking),
        latency=np.array([snn.latency_at(int(t)) for t in clock]),
        layers=layers,
        metric=curves.metric,
        judged="; ".join(filter(None, [curves.judged, ON_FRAMES if ann_on == "frames" else ""])),
        **curves.result(seen, reference is not None, twin is not None),
    )


def _require_alike(snn: SpikingNetwork, expected: Any) -> None:
    """Refuse an ANN whose outputs are of other shapes than the network's: it is another model."""
    found = [tuple(x.shape) for x in pytree.tree_leaves(expected) if isinstance(x, Tensor)]
    shapes = [snn.graph.shape(name) or () for name in snn.graph.output_names()]
    fits = [len(a) == len(b) and all(n in (None, -1, m) for n, m in zip(a, b, strict=True))
            for a, b in zip(shapes, found, strict=False)]  # fmt: skip
    if len(shapes) != len(found) or not all(fits):
        told = [", ".join(str(tuple("N" if n is None else n for n in a)) for a in some) for some in (shapes, found)]
        told = [text.replace("'", "") for text in told]
        raise InputError(
            f"ann is not the model that this network was made from: its outputs have the shape {told[1]}, and the "
            f"network's {told[0]}"
        )


def _curves(snn: SpikingNetwork, output: Any, target: Any, judge: Judge, total: int) -> Curves:
    """What holds the judgements, for outputs and targets like these."""
    if kind_of(output, target, judge) == "error":
        return Errors(total)
    found = single(output)
    return Decisions(total, border(snn.graph), found is not None and is_single_score(found))


def _in_float32(snn: SpikingNetwork) -> SpikingNetwork:
    """The same network, weights and all, that computes in float32."""
    twin = copy.copy(snn)
    twin.precision = "float32"
    return twin


def _judged(
    snn: SpikingNetwork,
    twin: SpikingNetwork | None,
    batch: Any,
    total: int,
    counter: EventCounter,
    curves: Curves,
    piece: slice,
) -> tuple[Curves, EventCounter]:
    """What a piece of a batch adds at each step, and what it did."""
    inputs, target, expected = cut(batch, piece)
    curves, counter = curves.another(), counter.another()
    beside = None if twin is None else single(twin.simulate(*twin.graph.unflatten(inputs), timesteps=total))
    step = 0
    for block in snn.blocks(inputs, timesteps=total, recorder=counter):
        for t in range(_length(block)):
            exact = None if beside is None else beside[:, step]
            curves.step(step, snn.output_at(block, t), target, expected, exact)
            step += 1
    return curves, counter


def _length(block: list[Any]) -> int:
    return next(len(x) for x in block if isinstance(x, Tensor))


def _to(tree: Any, device: torch.device) -> Any:
    return pytree.tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, tree)

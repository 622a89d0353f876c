"""Accuracy, agreement, spikes and synaptic operations at every timestep, from one pass over the data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset, TensorDataset

from ..convert.activity import EventCounter
from ..convert.halves import decision
from ..convert.network import SpikingNetwork
from ..convert.parallel import cut, each
from ..convert.trace import prepare
from .activity import ActivityCounter
from .cost.needed import InputMacs, NeededMacs
from .progress import bar
from .result import Evaluation

Metric = Callable[[Any, Any], Tensor]
"""(output, target) -> one score per sample, ``(N,)``; higher or lower is better as the user likes."""


def evaluate(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    timesteps: int | None = None,
    metric: Metric | None = None,
    batch_size: int = 100,
    against_float32: bool = False,
    progress: bool | None = None,
) -> Evaluation:
    """Judge a spiking network at every number of timesteps up to ``timesteps``.

    Args:
        snn: The network.
        data: A Dataset of (input, target), a pair of tensors, or an iterable of such batches. For a
            network with several inputs a batch is ((inputs ...), target) or (inputs ..., target).
        ann: The network it was made from, for its accuracy and the agreement. It is not changed.
        timesteps: ``snn.timesteps`` by default.
        metric: Replaces accuracy: takes the network's output and the target, gives one score per sample.
        batch_size: For a Dataset or a pair of tensors.
        against_float32: Run the network in float32 too, and count how often it decides alike in its own precision.
        progress: Show a progress bar; by default if the terminal can.

    Returns:
        Curves over time; see ``Evaluation``.

    Raises:
        ValueError: no data, or outputs that are no classification while no ``metric`` is given.
    """
    total = snn.timesteps if timesteps is None else timesteps
    if not isinstance(total, int) or total < 1:
        raise ValueError(f"timesteps must be a whole number, 1 or more, got {total!r}")
    reference = None if ann is None else prepare(ann)
    counter = ActivityCounter(snn, total)
    inputs, products = InputMacs(snn, counter.work), None if reference is None else NeededMacs(reference)
    device = next(iter(snn.buffers())).device
    score = _checked(metric or _correct)
    twin = _in_float32(snn) if against_float32 and metric is None else None
    sums, agreed, kept, ann_sum, seen = np.zeros(total), np.zeros(total), np.zeros(total), 0.0, 0
    batches, length = _batches(data, batch_size)
    with torch.no_grad(), bar(progress) as shown:
        task = shown.add_task("evaluating", total=length)
        for args, target in _split(batches, len(snn.graph.inputs)):
            args, target = _to((args, target), device)
            n = len(pytree.tree_leaves(args)[0])
            # In-place operations of the ANN on its input must not reach the SNN's.
            copies = pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, args)
            with products or nullcontext():
                expected = None if reference is None else reference(*copies)
            inputs.count(args)
            if expected is not None:
                ann_sum += float(score(expected, target).sum())
            judge = partial(_judged, snn, twin, (args, target, expected), total, counter, score, metric is None)
            pieces, workers = snn.pieces(args, total)
            answers = [x for x in pytree.tree_leaves((target, expected)) if isinstance(x, Tensor) and x.dim()]
            apart = all(len(x) == n for x in answers)
            for right, same, alike, counted in each(judge, pieces if apart else [slice(None)], workers):
                sums, agreed, kept = sums + right, agreed + same, kept + alike
                counter.add(counted)
            seen += n
            shown.advance(task, n)
    if not seen:
        raise ValueError("there is no data to evaluate on")
    layers, work = counter.layers(seen), counter.work
    clock = np.arange(1, total + 1)
    spiking = [layer for layer in layers if layer.kind == "spike"]
    return Evaluation(
        samples=seen,
        schedule=snn.schedule,
        accuracy=sums / seen,
        ann_accuracy=None if reference is None else ann_sum / seen,
        agreement=None if reference is None or metric is not None else agreed / seen,
        float32_agreement=None if twin is None else kept / seen,
        spikes=np.sum([layer.spikes for layer in spiking], axis=0),
        synops=np.sum([layer.synops for layer in layers], axis=0),
        macs=work.once.macs + work.every_step.macs * clock.astype(np.float64),
        ann_macs=work.ann.macs,
        input_work=work.once,
        input_macs=inputs.mean(seen),
        step_work=work.every_step,
        ann_work=work.ann,
        ann_needed_macs=products.needed / seen if products and products.macs == work.ann.macs * seen else None,
        neurons=sum(layer.neurons for layer in spiking),
        latency=np.array([snn.latency_at(int(t)) for t in clock]),
        layers=layers,
        metric="accuracy" if metric is None else getattr(metric, "__name__", "metric"),
    )


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
    score: Callable[[Any, Any], Tensor],
    classifies: bool,
    piece: slice,
) -> tuple[Any, Any, Any, EventCounter]:
    """A piece of a batch: at each step the sum of scores, how often it decided as ANN and twin; and what it did."""
    args, target, expected = cut(batch, piece)
    counter = counter.another()
    n = len(pytree.tree_leaves(args)[0])
    sums, agreed, kept, step = np.zeros(total), np.zeros(total), np.zeros(total), 0
    beside = None if twin is None else twin.simulate(*args, timesteps=total)
    for block in snn.blocks(*args, timesteps=total, recorder=counter):
        for t in range(_length(block)):
            output = snn.output_at(block, t)
            sums[step] += float(score(output, target).sum())
            if expected is not None and classifies:
                agreed[step] += float((_decision(output) == _decision(expected)).double().mean()) * n
            if beside is not None:
                kept[step] += float((_decision(output) == _decision(beside[:, step])).double().mean()) * n
            step += 1
    return sums, agreed, kept, counter


def _decision(output: Any) -> Tensor:
    found = decision(output)
    if found is None:
        raise ValueError(
            "accuracy needs class scores (N, K) as the network's one output; for other outputs pass "
            "metric=f, a function of (output, target) that gives one score per sample"
        )
    return found


def _checked(score: Metric) -> Callable[[Any, Any], Tensor]:
    def checked(output: Any, target: Any) -> Tensor:
        found = score(output, target)
        n = next((len(x) for x in pytree.tree_leaves(output) if isinstance(x, Tensor) and x.dim()), 1)
        if not isinstance(found, Tensor) or found.shape != (n,):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"a metric must give one score per sample, a tensor ({n},); got {shape}")
        return found

    return checked


def _correct(output: Any, target: Tensor) -> Tensor:
    decided = _decision(output)
    if not isinstance(target, Tensor) or target.shape != decided.shape:
        shape = tuple(target.shape) if isinstance(target, Tensor) else type(target).__name__
        raise ValueError(f"accuracy needs class numbers of shape {tuple(decided.shape)} as targets, got {shape}")
    hits = (decided == target).double()
    return hits.flatten(1).mean(1) if hits.dim() > 1 else hits


def _length(block: list[Any]) -> int:
    return next(len(x) for x in block if isinstance(x, Tensor))


def _to(tree: Any, device: torch.device) -> Any:
    return pytree.tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, tree)


def _batches(data: Any, batch_size: int) -> tuple[Iterable[Any], int | None]:
    """Batches, and the number of samples if it is known."""
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(x, Tensor) for x in data):
        if len(data[0]) != len(data[1]):
            raise ValueError(f"{len(data[0])} inputs and {len(data[1])} targets do not belong together")
        data = TensorDataset(*data)
    if isinstance(data, Dataset):
        length = len(data) if hasattr(data, "__len__") else None
        return DataLoader(data, batch_size=batch_size), length
    if isinstance(data, DataLoader) and hasattr(data.dataset, "__len__"):
        return data, len(data.dataset)
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        return data, None
    raise ValueError(f"data must be a Dataset, a pair of tensors or an iterable of batches, got {type(data).__name__}")


def _split(batches: Iterable[Any], inputs: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each batch as positional arguments and target."""
    for batch in batches:
        items = list(batch.values()) if isinstance(batch, Mapping) else batch
        if not isinstance(items, Sequence) or len(items) < 2:
            raise ValueError("a batch of test data must be (input, target)")
        if isinstance(items[0], Mapping):
            yield (items[0],), items[1]
        elif isinstance(items[0], (tuple, list)):
            yield tuple(items[0]), items[1]
        elif len(items) <= inputs:
            raise ValueError(
                f"the network takes {inputs} inputs, so a batch needs {inputs + 1} items, got {len(items)}"
            )
        else:
            yield tuple(items[:inputs]), items[inputs]


def split_batches(data: Any, batch_size: int, inputs: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Batches of positional arguments and targets, from whatever ``evaluate`` takes."""
    return _split(_batches(data, batch_size)[0], inputs)

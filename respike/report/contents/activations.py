"""The ANN's activations of each layer, and the firing rates that stand for them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...convert import data as reading
from ...convert.data import first_rows
from ...convert.network import SpikingNetwork
from ...convert.run.neurons import SpikingReLU
from ...convert.thread_pool import cut
from ...convert.variants.origin import origin_of
from ...evaluation.diagnosis.parts import highest
from ...evaluation.diagnosis.walks import walk

VALUES = 2**17
"""Values of a layer that are looked at, at most: drawn at random from each piece of the samples."""
PIECE = 16
BINS = 40
TAIL = 0.9995
"""Share of the values that the axis reaches; those beyond it are counted in the last bin."""


def activations(
    snn: SpikingNetwork, ann: nn.Module | None, data: Any, *, timesteps: int, samples: int = 128, seed: int = 0
) -> dict[str, Any]:
    """What ANN and SNN give, layer by layer, on the same samples.

    Returns:
        ``samples``; ``timesteps``; and ``layers``, each with ``name``; ``where``; ``zeros``, the ANN's share of
        zeros; ``thresholds``: lowest, mean and highest output at one spike (or the most spikes) a step, in the ANN's
        units; ``values``: a histogram of the values above 0, ``step`` of the bins, which begin at 0, and counts of
        ``ann`` and ``snn``; and ``rates``, counts by the ANN's activation (x) and the output (y), both in units of
        the highest output of the channel: ``step``, ``level`` and ``cells`` ``[x bin, y bin, count]``. Bins of x
        begin at 0; those of y are centred on multiples of ``level``. The last bins hold what is beyond.
    """
    arity = snn.graph.arity
    pair = isinstance(data, tuple) and len(data) == 2 and all(isinstance(x, Tensor) for x in data)
    device = next(iter(snn.buffers())).device
    batches = reading.inputs(data[0] if pair and arity == 1 else data, snn.graph, seed, device, timesteps)
    first = next(batches)
    origin = origin_of(snn, ann, first)
    neurons = snn.layers()
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {name: [] for name in neurons}
    seen = 0
    for inputs in itertools.chain([first], batches):
        inputs = first_rows(inputs, samples - seen)
        n = reading.rows(inputs)
        for start in range(0, n, PIECE) if snn.plan.separable else [None]:
            batch = walk(snn, origin, inputs if start is None else cut(inputs, slice(start, start + PIECE)), timesteps)
            rows = n if start is None else min(PIECE, n - start)
            for name, neuron in neurons.items():
                kept = max(1, VALUES * rows // samples)
                found[name].append(_drawn(neuron, batch.ann[name], batch.sent[name], kept, generator))
        seen += n
        if seen >= samples:
            break
    layers = [_layer(snn, name, neuron, torch.cat(found[name]), timesteps) for name, neuron in neurons.items()]
    return {"samples": seen, "timesteps": timesteps, "layers": layers}


def _drawn(neuron: SpikingReLU, ann: Tensor, sent: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``(K, 3)``: the ANN's output, the SNN's, and the highest that the SNN could have given there."""
    top = highest(neuron).expand(ann.shape).flatten()
    columns = [neuron.ann(ann).flatten(), sent.flatten(), top]
    if len(top) > count:
        index = torch.randint(len(top), (count,), generator=generator).to(top.device)
        columns = [column[index] for column in columns]
    return torch.stack([column.double().cpu() for column in columns], 1)


def _layer(snn: SpikingNetwork, name: str, neuron: SpikingReLU, values: Tensor, timesteps: int) -> dict[str, Any]:
    ann, sent, top = values.numpy().T
    active = ann > 0
    ends = highest(neuron).double()
    return {
        "name": name,
        "where": neuron.where,
        "zeros": float(1 - active.mean()),
        "thresholds": [float(ends.min()), float(ends.mean()), float(ends.max())],
        "values": _values(ann, sent, float(ends.max())),
        "rates": _rates(ann / top, sent / top, neuron, timesteps),
    }


def _values(ann: np.ndarray, sent: np.ndarray, highest_output: float) -> dict[str, Any]:
    active = ann[ann > 0]
    end = max(float(np.quantile(active, TAIL)) if len(active) else 0.0, 1.05 * highest_output)
    step = end / BINS
    return {"step": step, "ann": _counted(active / step), "snn": _counted(sent[sent > 0] / step)}


def _counted(bins: np.ndarray) -> list[int]:
    found: list[int] = np.bincount(np.clip(bins.astype(np.int64), 0, BINS - 1), minlength=BINS).tolist()
    return found


def _rates(x: np.ndarray, y: np.ndarray, neuron: SpikingReLU, timesteps: int) -> dict[str, Any]:
    # One row for each number of spikes, as long as the rows can be told apart.
    levels = timesteps * neuron.options.max_spikes
    level = 1 / levels if levels <= BINS and neuron.options.finest == 1 else 1 / BINS
    step = max(1.25, float(np.quantile(x, TAIL))) / BINS
    column = np.clip((x / step).astype(np.int64), 0, BINS - 1)
    row = np.clip(np.rint(y / level).astype(np.int64), -round(1 / level), round(1 / level))
    cells, counts = np.unique(np.stack([column, row], 1), axis=0, return_counts=True)
    return {
        "step": step,
        "level": level,
        "cells": [[*c, n] for c, n in zip(cells.tolist(), counts.tolist(), strict=True)],
    }

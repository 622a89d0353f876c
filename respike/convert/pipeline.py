"""The main road: module, graph, normal form, calibration, spiking network."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from ..layers import SpikingLayer
from . import checks, data
from .calibrate.calibrate import calibrate
from .calibrate.options import Options, Preference
from .choose import search as auto
from .choose.allocate import allocate
from .choose.two_fold import Halves
from .errors import ConversionError
from .judging import Judge
from .network import SpikingNetwork
from .onnx_import import load_onnx
from .passes import set_roles
from .run.arithmetic import PRECISIONS, Precision, holds
from .run.neurons import NeuronName
from .run.schedules import Schedule
from .surroundings import undisturbed
from .tracing.copying import prepare
from .tracing.normal_form import to_graph


@undisturbed()
def from_torch(
    model: nn.Module,
    calibration: Any,
    timesteps: int | Literal["auto"] = 16,
    *,
    judge: Judge = "auto",
    within: float | None = None,
    prefer: Preference = "synops",
    threshold: Literal["mse", "max", "percentile"] = "mse",
    percentile: float = 99.9,
    granularity: Literal["channel", "layer"] = "channel",
    neuron: NeuronName | SpikingLayer | Literal["auto"] = "auto",
    max_spikes: int = 1,
    budget: float | None = None,
    tau_mem: float = 20.0,
    levels: int = 4,
    schedule: Schedule = "synchronous",
    delay: int = 1,
    correction: Literal["none", "bias", "ridge"] = "ridge",
    precision: Precision = "float32",
    analog: Sequence[str] = (),
    samples: int = 512,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> SpikingNetwork:
    """A spiking network that does the trained network's job.

    Args:
        model: Any ``nn.Module`` whose nonlinearities are ReLUs, clamps and max-pools. It is not changed.
        calibration: A few hundred unlabelled samples of the training inputs: a tensor ``(N, ...)``, a
            Dataset, or an iterable of batches (tensors, or tuples or dicts that begin with the inputs).
        timesteps: T that thresholds are chosen for, and that ``snn(x)`` runs; or ``"auto"``: of all T up to 64
            and all codes the cheapest whose network does as the model on the calibration samples (``judge``,
            ``within``), each judged by a network calibrated on the other half of them. What was tried, and why this
            one, is in ``snn.choice``. For networks with one output.
        judge: For ``timesteps="auto"``: ``"decision"`` compares what is decided: the class of
            the highest score, or of a single score its sign (behind a sigmoid, whether it is above 0.5).
            ``"error"`` compares the values of the outputs. ``"auto"``: decisions, unless they say nothing, because
            one answer alone would agree often enough, or there is a single output without a sigmoid.
        within: Likewise, what may be missing: percentage points of agreement (0.5 by default); or, if errors are
            judged, percent of relative error (5 by default): the root mean square error in units of the standard
            deviation, over channels.
        prefer: For ``timesteps="auto"``: the cheapest has the fewest synaptic operations (``"synops"``), or the
            smallest T (``"latency"``).
        threshold: ``"mse"``: the least squared error at T on what really arrives; ``"max"``: the ANN's
            largest activation; ``"percentile"``: that percentile of its positive activations.
        percentile: For ``threshold="percentile"``.
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
        neuron: ``"auto"``: ``"iaf"``, and with ``timesteps="auto"`` and ``max_spikes=1`` all codes are tried:
            ``"iaf"`` with 1, 2 and 4 spikes a step, ``"signed"``, ``"multi_threshold"``. Or that one alone:
            ``"iaf"``; ``"lif"`` with leak compensation; ``"signed"``: negative spikes take back what was
            sent too early; ``"multi_threshold"``: spikes of the weights θ, θ/2, ... and either sign. Or a layer of
            ``respike.layers``, ``Leaky(0.9)``, say: neurons with its leak and its spikes a step, leak compensated, or
            an error that says why its curve cannot stand in for a ReLU.
        max_spikes: Most spikes a neuron may send in one timestep.
        budget: At most so many times the synaptic operations of the plain network, the one with all other options
            alike: within it, single layers get 2, 4 or 8 times ``max_spikes`` where that lessens the output's error
            most for its price. Costs are measured on the calibration samples; ``snn.allocation`` says which layers
            and what it brought. For a T that is given, and not for ``"multi_threshold"``.
        tau_mem: Membrane time constant of ``"lif"`` in timesteps.
        levels: How many weights spikes of ``"multi_threshold"`` have.
        schedule: ``"synchronous"``, or ``"layerwise"``: each layer waits for its whole input, which costs
            T timesteps per layer (``snn.latency``) and makes the network a (T+1)-value quantised ANN; or
            ``"pipelined"``, between the two: each layer starts ``delay`` steps after those that feed it, so that its
            first spikes rest on more input, and the latency is T + ``delay`` for each layer but the first.
        delay: For ``schedule="pipelined"``, in timesteps; 0 is synchronous, and from T − 1 on what
            integrate-and-fire neurons send is that of ``"layerwise"``; leaky ones lose more the longer they wait.
        correction: ``"bias"`` adds to each channel the current that is missing on average; ``"ridge"`` changes
            the weights of each layer a little besides, so that what arrives gives what the ANN has; ``"none"``.
        precision: In what the network computes its synapses, see ``SpikingNetwork``; calibration is in float32.
        analog: Names of modules to keep analog where they cannot become spiking.
        samples: Most samples used by ``"mse"``, ``"bias"`` and ``timesteps="auto"``, and with a ``budget`` above 1 by
            all. They need not fit into memory: what is kept of them goes to a temporary file where it does not.
        seed: Of the order in which samples are read.
        progress: Called with a line of text at each stage.

    Returns:
        The network, on the model's device, in float32.

    Raises:
        ConversionError: nodes that cannot become spiking (all of them listed), Python code that cannot be
            traced, options out of range, or calibration data that is empty or not finite; with
            ``timesteps="auto"`` outputs that cannot be judged, or no network that comes so close.
    """
    checks.instance("model", model, nn.Module, "a torch.nn.Module")
    checks.function("progress", progress)
    analog = checks.names("analog", analog)
    search = isinstance(timesteps, str) and timesteps == "auto"
    kinds = auto.candidates(neuron, max_spikes, tau_mem, levels)
    checks.one_of("precision", precision, PRECISIONS)
    kinds = [kind for kind in kinds if holds(precision, kind)] or kinds
    options = Options(
        timesteps=1 if search else timesteps,  # type: ignore[arg-type]
        threshold=threshold,
        percentile=percentile,
        granularity=granularity,
        schedule=schedule,
        correction=correction,
        seed=seed,
        samples=samples,
        neurons=kinds[0],
        judge=judge,
        within=within,
        prefer=prefer,
        delay=delay,
        budget=budget,
        precision=precision,
    )
    if search and budget is not None:
        raise ConversionError("timesteps='auto' and a budget do not go together: find T first, then allocate for it")
    say = progress or (lambda line: None)
    twin = prepare(model)
    device = next(itertools.chain(twin.parameters(), twin.buffers()), torch.zeros(())).device
    stream = data.batches(calibration, data.arity(twin), options.seed)
    first = next(stream)
    stream = itertools.chain([first], stream)
    say("tracing")
    graph = origin = set_roles(to_graph(twin, data.example(first, device)), analog)
    choice, allocation = None, None
    held = data.first_batches(stream, options.samples) if search else []
    if search:
        choice, kind = auto.choose(Halves(graph, held, options, device), kinds, progress)
        options = replace(options, timesteps=choice.timesteps, neurons=kind)
    stream = itertools.chain(held, stream)
    if budget is None:
        graph, neurons = calibrate(graph, stream, options, device, progress)
    else:
        graph, neurons, allocation = allocate(graph, stream, options, device, progress)
    snn = SpikingNetwork(graph, neurons, options.timesteps, schedule, options.delay).eval()
    snn.choice, snn.allocation, snn.origin = choice, allocation, origin
    snn.fitted = threshold == "mse" and correction != "none"
    snn.precision = precision
    return snn


def from_onnx(
    path: str | os.PathLike[str],
    calibration: Any,
    timesteps: int | Literal["auto"] = 16,
    *,
    outputs: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """A spiking network that does the job of the trained network in an ONNX file.

    Args:
        path: The file.
        calibration: As for ``from_torch``: inputs in the layout that the file takes (channels last if it
            came from Keras).
        timesteps: As for ``from_torch``.
        outputs: Names of the values to return; all outputs of the file by default.
        options: All other options of ``from_torch``.

    Raises:
        ConversionError: as ``load_onnx`` and ``from_torch``. Nodes have their names in the file.
    """
    return from_torch(load_onnx(path, outputs=outputs), calibration, timesteps, **options)

"""The main road: module, graph, normal form, calibration, spiking network."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import Any, Literal

import torch
from torch import nn

from ..layers import SpikingLayer
from ..progress import Listener, listener
from ..ranks import first_difference, here
from . import checks, data
from .calibrate.calibrate import calibrate
from .calibrate.checkpoint import noted
from .caller_state import undisturbed
from .choose import search
from .choose.held_batches import HeldBatches
from .choose.two_fold import Halves
from .closeness import warn_if_poor
from .errors import ConversionError
from .frames import Encoded, EventsSeen, Frames, marked
from .graph import Graph
from .held_back import HeldBack, judged
from .identity import digest_of_data, digest_of_graph, digest_of_model
from .memory_limits import calibration_budget, calibration_piece
from .network import SpikingNetwork
from .onnx_import import load_onnx
from .options import (
    LIF,
    MSE,
    PRECISIONS,
    Auto,
    Correction,
    Encoding,
    MultiThreshold,
    NeuronName,
    Options,
    Pipelined,
    Precision,
    Schedule,
    Threshold,
    encoding_of,
    schedule_of,
    threshold_of,
)
from .passes import set_roles, track
from .populations import Smooth
from .run.arithmetic import check_holds, holds
from .tracing.copy_model import prepare
from .tracing.normal_form import to_graph
from .variants.moving import require_real, with_encodings, with_moving, with_scales

HELD = 4
"""One byte of the memory for calibration in so many may hold samples that are read more than once."""
COPIES = 2
"""So often the weights are held: those of the ANN and those of the network that is made."""


@undisturbed()
def from_torch(
    model: nn.Module,
    calibration: Any,
    timesteps: int | Literal["auto"] | Auto = 16,
    *,
    neuron: NeuronName | Literal["auto"] | LIF | MultiThreshold | SpikingLayer = "auto",
    max_spikes: int = 1,
    threshold: Literal["mse", "max", "percentile"] | Threshold = "mse",
    correction: Correction = "ridge",
    schedule: Schedule | Pipelined = "synchronous",
    precision: Precision = "float32",
    population: int | None = None,
    analog: Sequence[str] = (),
    samples: int = 512,
    seed: int = 0,
    memory_budget: int | None = None,
    progress: Listener | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> SpikingNetwork:
    """A spiking network that does the trained network's job.

    One calibration sample in eight, up to 64, does not calibrate: after conversion these judge how close the network
    comes to the model. That is ``snn.closeness``, and a ``ConversionWarning`` says so if it is far.

    >>> model = respike.models.load("mnist_mlp")
    >>> snn = respike.from_torch(model, respike.models.datasets.calibration(), timesteps=8, samples=64)
    >>> snn.timesteps
    8

    Args:
        model: Any ``nn.Module`` of layers, activations, pools, norms, gates and attention. It is not changed.
        calibration: A few hundred unlabelled samples of the training inputs: a tensor ``(N, ...)``, a
            Dataset, or an iterable of batches (tensors, or tuples or dicts that begin with the inputs). Inputs that
            differ in every step: ``respike.Frames`` of one of these; that become events: ``respike.Encoded``.
        timesteps: T that thresholds are chosen for, and that ``snn(x)`` runs. Or ``"auto"``: of all T up to 64 and all
            codes the cheapest whose network does as the model on the calibration samples, each judged by a network
            calibrated on the other half of them; ``respike.Auto`` says how close is close enough. What was tried, and
            why this one, is in ``snn.choice``. For networks with one output.
        neuron: ``"iaf"``; ``"lif"`` with leak compensation (``respike.LIF``); ``"signed"``: negative spikes take back
            what was sent too early; ``"multi_threshold"``: spikes of the weights θ, θ/2, ... and either sign
            (``respike.MultiThreshold``). ``"auto"`` is ``"iaf"``, or ``"multi_threshold"`` where functions or
            products of signals need spikes of either sign; with ``timesteps="auto"`` and ``max_spikes=1`` all
            codes are tried: ``"iaf"`` with 1, 2 and 4 spikes a step, ``"signed"``, ``"multi_threshold"``. Or a layer of
            ``respike.layers``, ``Leaky(0.9)``, say: neurons with its leak and its spikes a step, leak compensated, or
            an error that says why its curve cannot stand in for a ReLU.
        max_spikes: The most spikes that a neuron may send in one timestep.
        threshold: ``"mse"``: the least squared error at T on what really arrives; ``"max"``: the ANN's largest
            activation; ``"percentile"``: the 99.9th percentile of its positive activations. ``respike.MSE``,
            ``respike.Max`` and ``respike.Percentile`` take another percentile, and one threshold for each layer.
        correction: ``"bias"`` adds to each channel the current that is missing on average; ``"ridge"`` also adjusts
            the weights so that the layer reproduces the ANN's currents; ``"none"``.
        schedule: ``"synchronous"``, or ``"layerwise"``: each layer waits for its whole input, which costs
            T timesteps per layer (``snn.latency``) and makes the network a (T+1)-value quantised ANN; or
            ``"pipelined"``, between the two: each layer starts some steps after those that feed it
            (``respike.Pipelined``).
        precision: The arithmetic of the synapses, see ``SpikingNetwork``; calibration is in float32.
        population: The most ReLUs for each GELU, SiLU and other smooth function of one signal between layers: its place
            take so many layers of neurons, whose weighted sum is nearest to it where its inputs are on the calibration
            samples. So such a network needs no spikes of either sign, and ``"iaf"`` neurons do. 1 to 64; the error,
            which ``snn.summary()`` shows, falls as 1/population².
        analog: Names of modules to keep out of spikes: they compute with the means so far.
        samples: The most samples used by ``"mse"``, the corrections and ``timesteps="auto"``, those that are held back
            not counted. They need not fit into memory: what does not fit goes to a temporary file.
        seed: Random seed for the sample order.
        memory_budget: Bytes that calibration may take beside the model, its data and the network that is made, about;
            and runs of the network, as ``snn.memory_budget``. None: a quarter of what is free, for calibration at most
            2 GiB less what the weights of both networks take, but 512 MiB at least. With little memory, more is kept in
            the temporary file and computed in small pieces, which is slower; far too little, less than one sample of
            one timestep takes at the widest place, is exceeded by that.
            Thresholds are then tried out on fewer positions where T is large and the layer wide, but one of each sample
            at least, and ridge repair takes fewer rows where a layer has thousands of inputs.
        progress: A function that is called with a line of text at each stage, or a ``respike.progress.Progress``, which
            is told numbers.
        resume: A file that keeps what is done, layer by layer. If it is there, conversion goes on from it, to the same
            network, bit for bit. It is refused if the model, the data or an option has changed.

    Returns:
        The network, on the model's device, in float32.

    Raises:
        ConversionError: nodes that cannot become spiking (all of them listed), Python code that cannot be
            traced, options out of range, or calibration data that is empty or not finite; with
            ``timesteps="auto"`` outputs that cannot be judged, or no network that comes so close.
        ResumeError: ``resume`` names the file of another conversion, or one that is damaged or in use.
        RankError: another process of the group has failed.
    """
    checks.instance("model", model, nn.Module, "a torch.nn.Module")
    checks.progress(progress)
    if resume is not None:
        checks.path("resume", resume)
    analog = checks.names("analog", analog)
    auto = Auto() if isinstance(timesteps, str) and timesteps == "auto" else timesteps
    kinds = search.candidates(neuron, max_spikes)
    checks.one_of("precision", precision, PRECISIONS)
    kinds = [kind for kind in kinds if holds(precision, kind)] or kinds
    check_holds(precision, kinds[0])
    schedule, delay = schedule_of(schedule)
    encoded = calibration if isinstance(calibration, Encoded) else None
    given = calibration if encoded is None else encoded.data
    frames = given if isinstance(given, Frames) else None
    if frames is not None and isinstance(auto, Auto):
        raise ConversionError("calibration: Frames want a number of timesteps, as each has a frame")
    if schedule == "layerwise" and (frames or encoded):
        raise ConversionError("calibration: Frames and Encoded want schedule='synchronous' or 'pipelined'")
    options = Options(
        timesteps=1 if isinstance(auto, Auto) else auto,
        threshold=threshold_of(threshold),
        schedule=schedule,
        delay=delay,
        neurons=kinds[0],
        correction=correction,
        samples=samples,
        seed=seed,
        precision=precision,
        population=population,
        memory_budget=memory_budget,
    )
    told = listener(progress if here().first else None)
    _alike(model, given, options)
    twin = prepare(model)
    device = next(itertools.chain(model.parameters(), model.buffers()), torch.zeros(())).device
    batches = data.batches(given, data.arity(twin), options.seed)
    first = next(batches)
    told.report("tracing the model")
    moving = None if frames is None else frames.moving(first, twin)
    traced = to_graph(twin, data.example(first if frames is None or moving is None else frames.shown(first, moving)))
    if frames is not None and moving is not None:
        traced = with_moving(traced, traced.names_of(moving))
        traced = with_encodings(traced, Encoding("events"), sorted(traced.moving)) if frames.events else traced
    if encoded is not None:
        chosen = traced.names_of(marked(encoded.inputs, first, twin))
        traced = with_encodings(traced, encoding_of(encoded.encode), chosen)
    smooth = None if options.population is None else Smooth(traced, options.population, analog, device)
    roled = set_roles(track(traced, analog), analog) if smooth is None else smooth.guessed
    origin = require_real(roled).to(device)
    kinds = search.of_either_sign(kinds, origin, isinstance(neuron, str) and neuron == "auto" and max_spikes == 1)
    check_holds(precision, kinds[0])
    options = replace(options, neurons=kinds[0])
    del twin, traced, roled  # the graph has its weights
    stream = (data.tensors_of(args, origin, device, options.timesteps) for args in itertools.chain([first], batches))
    choice, withheld = None, HeldBack(origin)
    seen = EventsSeen(origin if frames is not None and frames.events is None else replace(origin, moving=frozenset()))
    asked = {"timesteps": repr(auto), "neuron": repr(kinds), "analog": list(analog), "form": _form(frames, encoded)}
    with ExitStack() as stack:
        kept = stack.enter_context(noted(resume, lambda: _bound(model, origin, given, options, asked)))
        watched = kept.watching(stream)
        networks = COPIES * origin.weight_bytes
        memory = kept.same("memory", lambda: calibration_budget(options.memory_budget, device, networks))
        unscaled = any(encoding.scale is None for encoding in origin.encodings.values())
        wanted = data.first_batches(watched, options.samples if isinstance(auto, Auto) or unscaled or smooth else 0)
        held = stack.enter_context(HeldBatches(wanted, memory // HELD, device))
        options = replace(options, memory_budget=memory - held.store.held)
        origin = with_scales(origin, HeldBack(origin).others(held)) if unscaled else origin
        if smooth is not None:
            work = calibration_piece(calibration_budget(options.memory_budget, device), device)
            origin = smooth.fitted(origin, HeldBack(origin).others(held), work, told)
        if isinstance(auto, Auto):
            choice, kind = search.choose(Halves(origin, held, options, auto, device), kinds, told, kept)
            options = replace(options, timesteps=choice.timesteps, neurons=kind)
        read = seen.watching(itertools.chain(held, watched))
        graph, neurons = calibrate(origin, withheld.others(read), options, device, told, kept)
        kept.finish()
    if seen.names():
        origin, graph = (with_encodings(g, Encoding("events"), seen.names()) for g in (origin, graph))
    snn = SpikingNetwork(graph, neurons, options.timesteps, schedule, delay).eval()
    del graph  # the network has weights of its own
    snn.choice, snn.origin, snn.precision = choice, origin, options.precision
    snn.memory_budget = memory_budget
    snn.fitted = isinstance(options.threshold, MSE) and correction != "none"
    snn.closeness = judged(snn, origin if smooth is None else smooth.ann(origin), withheld, told)
    if snn.closeness is not None and choice is None:  # else the choice has said how close it is
        warn_if_poor(snn.closeness, options, bool(snn.graph.moving))
    return snn


def _alike(model: nn.Module, given: Any, options: Options) -> None:
    """Whether all processes convert the same.

    Raises:
        ConversionError: they have other models, data or options.
    """
    ranks = here()
    if ranks.alone:
        return
    found = ranks.gathered(lambda: (digest_of_model(model), digest_of_data(given), repr(options)))
    names = ("another model", "with other calibration data", "with other options")
    other = first_difference(list(zip(names, zip(*found, strict=True), strict=True)))
    if other is not None:
        raise ConversionError(
            f"rank {other[1]} of {ranks.size} converts {other[0]} than rank 0: all processes must give the same; seed "
            "the weights, or load them from a file, and let a DistributedSampler share the data"
        )


def _form(frames: Frames | None, encoded: Encoded | None) -> list[str]:
    """In which form the data are given, without the data."""
    return [repr(replace(form, data=None)) for form in (frames, encoded) if form is not None]


def _bound(model: nn.Module, graph: Graph, given: Any, options: Options, asked: dict[str, Any]) -> dict[str, Any]:
    """All that the network depends on, by name."""
    named = {part.name: getattr(options, part.name) for part in fields(options)}
    told = {name: value if isinstance(value, (int, str, type(None))) else repr(value) for name, value in named.items()}
    return {**told, **asked, "model": digest_of_model(model) + digest_of_graph(graph), "data": digest_of_data(given)}


def from_onnx(
    path: str | os.PathLike[str],
    calibration: Any,
    timesteps: int | Literal["auto"] | Auto = 16,
    *,
    outputs: Sequence[str] | None = None,
    **options: Any,
) -> SpikingNetwork:
    """A spiking network that does the job of the trained network in an ONNX file.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> torch.onnx.export(model, (torch.rand(2, 4),), "small.onnx", dynamo=False)
    >>> snn = respike.from_onnx("small.onnx", torch.rand(64, 4), timesteps=8)
    >>> snn(torch.rand(5, 4)).shape
    torch.Size([5, 2])

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

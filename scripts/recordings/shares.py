"""What a network knows of a digit after each share of an event camera's recording.

    python scripts/benchmark.py recordings
    python scripts/benchmark.py recordings --part train --samples 5000 --data-dir data -T 30,60
    python scripts/benchmark.py recordings --figure recordings.png --csv recordings.csv

The ANN ``mnist_events`` on the events of the whole recording, and on those that came so far; the spiking network, which
gets the frames one after the other, by its estimate after as many; Sinabs on the same frames, from the same network by
its own ``from_model``: as it is, with thresholds of 1 on frames of counts; with weights scaled by its own
``normalize_weights`` on the frames' means of the same 512 training digits; and so, "unbounded", without the lower bound
of -1 that its potentials have by default. Its neurons may send several spikes in a step; its estimate is the mean of
the outputs so far, and it is reset between batches.

Time is that of the processor over all batches, the converters by turns on the same frames; spikes are those of the
first 1,000 digits. ``--part train`` judges on training digits that do not calibrate, to choose settings by.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import peers
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import respike
from respike.figures.style import CYCLE, GREY, save, tidy
from respike.models import EventFrames, datasets

SHARES = tuple(range(1, 11))
"""Tenths of the recording."""
BATCH, COUNTED = 100, 1000
Run = Callable[[Tensor], Tensor]
"""Frames ``(N, T, 2, 34, 34)`` to what is sent at the output, or estimated, after each step, ``(N, T, 10)``."""


class Row(NamedTuple):
    """What one network knows after a share of the recording; shares in percent."""

    network: str
    T: int
    share: int
    accuracy: float
    below_the_ann: float
    agreement: float
    spikes: float | None
    time: float | None
    digits: int


def add_to(commands: Any) -> None:
    """The subcommand ``recordings``."""
    parser = commands.add_parser(
        "recordings",
        help="accuracy after each share of an event camera's recording",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("-T", "--timesteps", default="30", help="frames of a recording, comma-separated")
    parser.add_argument("--correction", default="none", choices=["none", "bias", "ridge"])
    parser.add_argument("--threshold", default="max", choices=["mse", "max", "percentile"])
    parser.add_argument("--neuron", default="iaf", choices=["iaf", "signed", "multi_threshold", "lif"])
    parser.add_argument("--max-spikes", type=int, default=1)
    parser.add_argument("--part", default="test", choices=["test", "train"])
    parser.add_argument("--samples", type=int, default=10_000, help="digits used")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="Sinabs too")
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets, for --part train")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the table of the last T")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row; prints a table for each T."""
    for t in map(int, args.timesteps.split(",")):
        rows = list(_measured(t, args))
        yield from rows
        _print(rows)
    if args.figure is not None:
        _draw(rows, args.figure)


def digits_of(part: str, samples: int, timesteps: int, data_dir: Path | None) -> EventFrames:
    """So many digits as frames; of the training part those that do not calibrate."""
    if part == "test":
        found = datasets.load("mnist_events", timesteps=timesteps)
        assert isinstance(found, EventFrames)
        return EventFrames(found.images[:samples], found.labels[:samples], timesteps)
    images, labels = datasets.load("mnist", train=True, data_dir=data_dir).tensors
    used = {bytes(image.numpy().data) for image in datasets.calibration()}
    left = [i for i in range(min(len(images), samples + 512)) if bytes(images[i].numpy().data) not in used][:samples]
    return EventFrames(images[left], labels[left], timesteps)


@torch.no_grad()
def _measured(timesteps: int, args: argparse.Namespace) -> Iterator[Row]:
    ann = respike.models.load("mnist_events")
    calibration = datasets.calibration("mnist_events", timesteps=timesteps)
    snn = respike.from_torch(
        ann,
        respike.Frames(calibration),
        timesteps,
        correction=args.correction,
        threshold=args.threshold,
        neuron=args.neuron,
        max_spikes=args.max_spikes,
    )
    digits = digits_of(args.part, args.samples, timesteps, args.data_dir)
    runs: dict[str, Run] = {"respike": snn.simulate}
    if args.peers:
        runs |= _sinabs(ann, calibration)
    ends = [max(1, timesteps * tenth // 10) for tenth in SHARES]
    decided: dict[str, list[Tensor]] = {name: [] for name in ("ANN so far", *runs)}
    took = dict.fromkeys(runs, 0.0)
    whole = []
    for work in runs.values():
        work(digits[:BATCH][0])  # compiles, and prepares what is prepared once
    for start in range(0, len(digits), BATCH):
        frames, _ = digits[start : start + BATCH]
        whole.append(ann(frames.mean(1)).argmax(1))
        so_far = [ann(frames[:, :end].mean(1)).argmax(1) for end in ends]
        decided["ANN so far"].append(torch.stack(so_far, 1))
        for name, work in runs.items():
            began = time.process_time()
            estimates = work(frames)
            took[name] += time.process_time() - began
            decided[name].append(estimates[:, [end - 1 for end in ends]].argmax(2))
    wanted = torch.cat(whole)
    best = 100 * float((wanted == digits.labels).double().mean())
    spikes = _spikes(snn, runs, digits[:COUNTED])
    for name, parts in decided.items():
        found = torch.cat(parts)
        for tenth, of_them in zip(SHARES, found.unbind(1), strict=True):
            accuracy, agreement = (100 * float((of_them == y).double().mean()) for y in (digits.labels, wanted))
            ratio = took[name] / took["respike"] if name in took else None
            rest = best - accuracy, agreement, spikes.get(name), ratio
            yield Row(name, timesteps, 10 * tenth, accuracy, *rest, len(digits))


def _sinabs(ann: nn.Module, calibration: Tensor) -> dict[str, Run]:
    """Sinabs as it is, with its own normalisation, and with that and no lower bound, if it is installed."""
    if "Sinabs" not in peers.installed()[0]:
        return {}
    utils = importlib.import_module("sinabs.utils")
    parts = [ann.get_submodule(name).children() for name in ("features", "classifier")]
    flat = nn.Sequential(*chain(*parts)).eval()
    scaled = copy.deepcopy(flat)
    names = [name for name, _ in scaled.named_children()]
    relus = [i for i, layer in enumerate(scaled) if isinstance(layer, nn.ReLU)]
    utils.normalize_weights(scaled, calibration.mean(1), [names[i] for i in relus], [names[i - 1] for i in relus])

    unbound = _Sinabs(scaled, min_v_mem=None)
    return {"Sinabs": _Sinabs(flat), "Sinabs, normalised": _Sinabs(scaled), "Sinabs, unbounded": unbound}


class _Sinabs:
    """What Sinabs makes of a network."""

    def __init__(self, network: nn.Module, **options: Any) -> None:
        self.utils = importlib.import_module("sinabs.utils")
        converted = importlib.import_module("sinabs.from_torch").from_model(network, batch_size=BATCH, **options)
        self.snn: nn.Module = converted.spiking_model.eval()

    def __call__(self, frames: Tensor) -> Tensor:
        """What came at the output so far, after each step; it is not divided by the steps."""
        self.utils.set_batch_size(self.snn, len(frames))
        self.utils.reset_states(self.snn)
        sent: Tensor = self.snn(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return sent.cumsum(1)

    def spikes(self, frames: Tensor) -> float:
        """How many its neurons send in all."""
        spiking = importlib.import_module("sinabs.layers").StatefulLayer
        sent: list[Tensor] = []
        with contextlib.ExitStack() as hooks:
            for layer in self.snn.modules():
                if isinstance(layer, spiking):
                    hooks.callback(layer.register_forward_hook(lambda m, x, out: sent.append(out.sum())).remove)
            for part in frames.split(BATCH):
                self(part)
        return float(torch.stack(sent).double().sum())


def _spikes(snn: respike.SpikingNetwork, runs: dict[str, Run], digits: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Spikes of a neuron in a step, over all layers."""
    frames, _ = digits
    result = respike.evaluate(snn, digits, progress=False)
    chances = frames.shape[1] * sum(layer.neurons for layer in result.layers if layer.kind == "spike")
    others = {name: run.spikes(frames) for name, run in runs.items() if isinstance(run, _Sinabs)}
    return {"respike": float(result.spikes[-1]) / chances} | {
        name: sent / len(frames) / chances for name, sent in others.items()
    }


def _print(rows: list[Row]) -> None:
    networks = list(dict.fromkeys(row.network for row in rows))
    best = rows[0].accuracy + rows[0].below_the_ann
    title = f"T = {rows[0].T}, {rows[0].digits:,} digits; ANN on whole recordings: {best:.2f} %"
    table = Table("share of the recording", *networks, title=title)
    for tenth in SHARES:
        of_it = [row for row in rows if row.share == 10 * tenth]
        table.add_row(f"{10 * tenth} %", *(f"{row.accuracy:.2f} ({-row.below_the_ann:+.2f})" for row in of_it))
    last = [row for row in rows if row.share == 100]
    table.add_row("spikes of a neuron in a step", *("-" if r.spikes is None else f"{r.spikes:.4f}" for r in last))
    table.add_row("time ÷ respike's", *("-" if r.time is None else f"{r.time:.2f}" for r in last))
    Console(width=120).print(table)


def _draw(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    best = rows[0].accuracy + rows[0].below_the_ann
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.axhline(best, color=GREY, linewidth=1, label="ANN, whole recording")
    marks = {"ANN so far": ("o", GREY), "respike": ("o", CYCLE[0])}
    for name, other in zip(dict.fromkeys(row.network for row in rows), CYCLE, strict=False):
        line = [(row.share, row.accuracy) for row in rows if row.network == name]
        mark, color = marks.get(name, ("s", other))
        style = ":" if name == "ANN so far" else "-"
        axes.plot(*zip(*line, strict=True), marker=mark, linestyle=style, color=color, markersize=4, label=name)
    for border in (100 / 3, 200 / 3):
        axes.axvline(border, color=GREY, linewidth=0.6, linestyle="--")
    axes.set(xlabel="share of the recording, % (dashed: a saccade ends)", ylabel="accuracy, %")
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    tidy(axes)
    save(figure, path)

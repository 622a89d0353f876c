"""Networks as ONNX files in onnxruntime, held against respike: outputs, decisions, time.

    python scripts/benchmark.py onnx-export
    python scripts/benchmark.py onnx-export mnist_cnn fashion_resnet --codes binary signed --samples 1000

Each network is calibrated with the defaults for T, written in both forms, and run in onnxruntime on the test images:

alike       images, in percent, whose outputs after T steps differ by at most 1e-4 of the largest output that respike
            has for that image; for the loop, the smallest share over T, T / 2 and 1 steps, given to it at run time
decisions   images on which the decision after T steps is another one, each listed below with the margin that it had in
            respike: how much larger the first output is than the second, as a share of the largest
÷ unrolled  time of the loop for one image ÷ time of a graph in which its T steps stand one behind the other: median of
            the rounds' ratios, smallest and largest; each run is between two runs of the other
÷ respike   the same beside ``snn(x)``
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from speed_cases import in_turns
from torch import Tensor

import respike
from respike.convert.export.onnx_file.loop import TIMESTEPS
from respike.convert.export.onnx_file.names import renamed
from respike.models import REGISTRY

if TYPE_CHECKING:
    import onnx
    from judge import Judge

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "bursts of 4": {"max_spikes": 4},
    "signed": {"neuron": "signed"},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}
WITHIN = 1e-4
BATCH = 100
AT_ONCE = 50
"""Calls that are timed together: one takes less than a millisecond."""


class Row(NamedTuple):
    """What one form of one network gives."""

    network: str
    code: str
    form: str
    T: int
    images: int
    alike: float
    largest: float
    decisions: int
    unrolled: str = "-"
    respike: str = "-"


def add_to(commands: Any) -> None:
    """The subcommand's arguments."""
    parser = commands.add_parser(
        "onnx-export",
        help="networks as ONNX files in onnxruntime",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    relu = sorted(name for name, reference in REGISTRY.items() if not reference.smooth)
    parser.add_argument("names", nargs="*", default=relu, help="reference networks; all ReLU networks by default")
    parser.add_argument("-T", "--timesteps", type=int, default=8)
    parser.add_argument("--codes", nargs="*", default=["binary"], choices=list(CODES))
    parser.add_argument("--samples", type=int, default=10_000, help="test images used")
    parser.add_argument("--repeats", type=int, default=21, help="rounds of the times")
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace, judged: Callable[[str], tuple[Tensor, Judge]]) -> Iterator[Row]:
    """Prints a line for each form of each network, and the decisions that differ; gives the rows."""
    console = Console(width=120)
    table = Table(*(name.replace("unrolled", "÷ unrolled").replace("respike", "÷ respike") for name in Row._fields))
    differing: list[str] = []
    for name in args.names:
        calibration, judge = judged(name)
        for code in args.codes:
            snn = respike.from_torch(respike.models.load(name), calibration, args.timesteps, **CODES[code])
            for row in rows_of(name, code, snn, judge.images, args.repeats, differing):
                yield row
                cells = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row]
                console.print(" | ".join(cells), style="dim")
                table.add_row(*cells)
    console.print(table)
    console.print("\n".join(differing or ["no decision differs"]))


def rows_of(name: str, code: str, snn: Any, images: Tensor, repeats: int, differing: list[str]) -> Iterator[Row]:
    """The loop, and the step."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    opened = partial(onnxruntime.InferenceSession, sess_options=options)
    total = snn.timesteps
    steps = sorted({1, max(1, total // 2), total})
    wanted = torch.cat([snn.simulate(batch) for batch in images.split(BATCH)]).numpy()
    found: dict[str, dict[int, Any]] = {}
    with TemporaryDirectory() as folder:
        sessions = {}
        for form in ("loop", "step"):
            snn.to_onnx(f"{folder}/{form}.onnx", form)
            sessions[form] = opened(f"{folder}/{form}.onnx")
        # Of its own, as one that has held large batches takes longer for one image.
        fresh = opened(f"{folder}/loop.onnx")
        flat = opened(unrolled(onnx.load(f"{folder}/loop.onnx"), total).SerializeToString())
    loop, step = sessions["loop"], sessions["step"]
    given = loop.get_inputs()[0].name
    batches = [{given: batch.numpy()} for batch in images.split(BATCH)]
    found["loop"] = {
        t: np.concatenate([loop.run(None, {**x, TIMESTEPS: np.array(t)})[0] for x in batches]) for t in steps
    }
    parts = [stepped(step, x, total) for x in batches]
    found["step"] = {t: np.concatenate([part[t - 1] for part in parts]) for t in steps}
    one = images[:1]
    feed = {given: one.numpy()}
    asked = {**feed, TIMESTEPS: np.array(total)}
    looped: dict[str, Callable[[], object]] = {"loop": lambda: [fresh.run(None, asked) for _ in range(AT_ONCE)]}
    np.testing.assert_allclose(flat.run(None, feed)[0], found["loop"][total][:1], atol=1e-3)
    units: list[Callable[[], object]] = [
        lambda: [flat.run(None, feed) for _ in range(AT_ONCE)],
        lambda: [snn(one) for _ in range(AT_ONCE)],
    ]
    times = [spread(in_turns(unit, looped, repeats)["loop"]) for unit in units]
    for form, outputs in found.items():
        errors = [relative(outputs[t], wanted[:, t - 1]) for t in steps]
        alike = min(100 * float((error <= WITHIN).mean()) for error in errors)
        largest = max(float(error.max()) for error in errors)
        decided = outputs[total].argmax(1)
        others = np.flatnonzero(decided != wanted[:, -1].argmax(1))
        differing += [
            f"{name}, {code}, {form}: image {k} decides {decided[k]}, in respike {wanted[k, -1].argmax()}, "
            f"with a margin of {margin(wanted[k, -1]):.1e}"
            for k in others
        ]
        spent = times if form == "loop" else []
        yield Row(name, code, form, total, len(images), alike, largest, len(others), *spent)


def stepped(session: Any, feed: dict[str, Any], total: int) -> list[Any]:
    """The estimates after each step of a file of the form "step"."""
    batch = len(next(iter(feed.values())))
    states = {
        value.name: np.zeros([n if isinstance(n, int) else batch for n in value.shape], "float32")
        for value in session.get_inputs()
        if value.name.startswith("state.")
    }
    kept = json.loads(session.get_modelmeta().custom_metadata_map["respike.states"])
    names = [value.name for value in session.get_outputs()]
    estimates = []
    for _ in range(total):
        found = dict(zip(names, session.run(names, {**feed, **states}), strict=True))
        states = {before: found[after] for before, after in kept.items()}
        estimates.append(found[names[0]])
    return estimates


def unrolled(model: onnx.ModelProto, total: int) -> onnx.ModelProto:
    """The same network with its T steps one behind the other."""
    import onnx
    from onnx import numpy_helper

    graph = model.graph
    place = next(k for k, node in enumerate(graph.node) if node.op_type == "Loop")
    loop = graph.node[place]
    (body,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
    state = list(loop.input[2:])
    nodes = list(graph.node[:place])
    for step in range(total):
        names = dict(zip((value.name for value in body.input[2:]), state, strict=True))
        names[body.input[0].name] = f"step.{step}"
        for node in body.node[1:]:  # the first says that the loop goes on
            names |= {name: f"{name}.{step}" for name in node.output}
        for node in body.node[1:]:
            copy = renamed(node, names)
            copy.name = f"{node.name}.{step}"
            nodes.append(copy)
        state = [names[value.name] for value in body.output[1:]]
    last = dict(zip(loop.output, state, strict=True))
    nodes += [renamed(node, last) for node in graph.node[place + 1 :]]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(body.initializer)
    numbers = {f"step.{step}": step for step in range(total)} | {made.graph.input.pop().name: total}
    read = {name for node in nodes for name in node.input}
    made.graph.initializer.extend(
        numpy_helper.from_array(np.array(numbers[name]), name) for name in numbers if name in read
    )
    unread = [value for value in made.graph.initializer if value.name not in read]
    for value in unread:
        made.graph.initializer.remove(value)
    onnx.checker.check_model(made)
    return made


def relative(found: Any, wanted: Any) -> Any:
    """For each image the largest difference of outputs as a share of the largest output."""
    axes = tuple(range(1, wanted.ndim))
    return np.abs(found - wanted).max(axes) / np.abs(wanted).max(axes)


def margin(outputs: Any) -> float:
    """How much larger the first output is than the second, as a share of the largest."""
    second, first = np.sort(outputs)[-2:]
    return float((first - second) / np.abs(outputs).max())


def spread(ratios: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

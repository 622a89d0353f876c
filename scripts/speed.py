"""What a timestep costs, in forward passes of the ANN: ours, other converters, and what bounds both.

    python scripts/benchmark.py speed
    python scripts/benchmark.py speed --networks mnist_cnn -T 16 --parts steps memory --csv speed.csv
    python scripts/benchmark.py speed --networks --parts scan

Nothing is given in seconds. Each contestant runs between two runs of what it is compared with, all take turns, and a
cell is the median of the rounds' ratios, with the smallest and the largest. Other converters come after ours, which
take up to a quarter longer in a process in which those have run: so one network a command, or --no-peers. With --clock
processor steps and whole are compared by processor time, over all threads. The parts:

steps     time per image and step ÷ the ANN's float32 forward per image, for the ANN in other forms (one forward pass),
          ours in each precision and on an input that moves, other converters (``peers.py``), and a plain copy of what
          our scans read and write
memory    peak of a process that converts (with 8 images) and runs, above what it took with torch and respike loaded
profile   where our time goes, in one thread
accuracy  of each precision beside float32's, on the test images (Fashion-MNIST's need --data-dir)
whole     MNIST test images, each converter at the smallest T that comes within 0.1 points of the ANN on all of them,
          or comes closest
scan      the fused float32 scan ÷ a plain copy, in one thread, 2.5 million neurons and 16 steps, out of the cache

Synapses that add up events take time for spikes, so the table of steps says how often neurons fire: the small networks
are calibrated for T = 16 and timed on test images (MNIST's, too, for Fashion-MNIST's networks without --data-dir),
resnet18, whose weights are random, on random values in [0, 1].
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers
import torch
from rich.console import Console
from rich.table import Table
from speed_cases import CLOCKS, NETWORKS, Case, Row, converters, floor, forwards, in_turns, seconds
from speed_parts import memory, profile, scan
from speed_whole import WITHIN, accuracy, whole
from torch import Tensor

from respike.convert.options import PRECISIONS

if TYPE_CHECKING:
    from judge import Judge

__all__ = ["Row", "add_to", "run", "seconds"]


def steps(case: Case) -> Iterator[Row]:
    """All contestants at each T; then how many times ours the others take.

    Other converters make their networks when ours are done, which take up to a quarter longer afterwards.
    """
    measure = "÷ ANN"
    for t in case.args.timesteps:
        runs: dict[str, tuple[Callable[[], object], int]]
        runs = {name: (run, 1) for name, run in forwards(case.ann, case.x).items()}
        runs |= {f"ours, {p}": (case.ours(p, t), t) for p in PRECISIONS}
        runs["ours, float32, input of frames"] = case.of_frames(t), t
        runs["plain copy of our scans' bytes"] = floor(case, t), t
        found = _ratios(case, runs)
        theirs: dict[str, tuple[Callable[[], object], int]] = {}
        for name, convert in (converters() if case.args.peers else {}).items():
            try:
                theirs[name] = partial(convert(case, t), case.x), t
            except peers.RefusedError as reason:
                yield Row("steps", case.name, name, t, measure, note=str(reason))
        found |= _ratios(case, theirs)
        yield from (Row("steps", case.name, name, t, measure).of(ratios) for name, ratios in found.items())
        yield Row("rate", case.name, "all layers", t, "spikes of a neuron in a step", case.rate(t))
        yield from against(case, t, {name: statistics.median(ratios) for name, ratios in found.items()})


def _ratios(case: Case, runs: dict[str, tuple[Callable[[], object], int]]) -> dict[str, list[float]]:
    """What a step of each takes, in passes of the ANN, by name; each comes with its number of steps."""
    contestants = {name: run for name, (run, _) in runs.items()}
    found = in_turns(partial(case.ann, case.x), contestants, case.args.repeats, CLOCKS[case.args.clock])
    return {name: [ratio / runs[name][1] for ratio in ratios] for name, ratios in found.items()}


def against(case: Case, timesteps: int, found: dict[str, float]) -> Iterator[Row]:
    """How many times ours the others take, each in its faster mode."""
    ours = [found[f"ours, {p}"] for p in PRECISIONS]
    for other in ("SpikingJelly", "Sinabs"):
        theirs = [value for name, value in found.items() if name.startswith(other)]
        if theirs:
            for what, value in (("float32", found["ours, float32"]), ("fastest", min(ours))):
                yield Row("against", case.name, other, timesteps, f"÷ ours, {what}", min(theirs) / value)


PARTS = {"steps": steps, "memory": memory, "profile": profile, "accuracy": accuracy, "whole": whole}
TITLES = {
    "steps": "time per image and step ÷ the ANN's float32 forward per image",
    "rate": "how often neurons fire",
    "against": "other converters' time, each in its faster mode, ÷ ours",
    "memory": "peak memory",
    "profile": "where the time goes, in one thread",
    "accuracy": "what precision costs, on the test images",
    "whole": f"test images, to within {WITHIN} points of the ANN or as close as it comes",
    "scan": "fused scan ÷ plain copy, 2.5 million neurons, in one thread",
}


def add_to(commands: Any) -> None:
    """The subcommand's arguments."""
    parser = commands.add_parser(
        "speed", help="what a timestep costs", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--parts", nargs="*", default=[*PARTS, "scan"], choices=[*PARTS, "scan"])
    parser.add_argument("-T", "--timesteps", default="4,16,64", help="comma-separated")
    parser.add_argument("--batch", type=int, help="images at once; 100 by default, 10 of 224x224")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="of steps and whole; processor time of a process says more where other work runs beside it",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="a GPU for the part steps")
    parser.add_argument("--samples", type=int, default=10_000, help="test images for accuracy and whole")
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="other converters too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, after every network")


def run(args: argparse.Namespace, judged: Callable[[str], tuple[Tensor, Judge]]) -> Iterator[list[Row]]:
    """Prints a table for each part and network, and gives its rows, as soon as it is there."""
    if args.device == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("--device cuda: torch finds no GPU here")
        args.parts = [part for part in args.parts if part == "steps"]  # the others are about the processor
    args.timesteps = [int(t) for t in args.timesteps.split(",")]
    where = machine(args.device)
    yield [Row("machine", "", where, None, "threads", torch.get_num_threads())]
    if "scan" in args.parts:
        yield shown(scan(args), "", where)
    for name in args.networks:
        case = Case(name, args, judged)
        yield [Row("steps", name, "all", None, "batch", len(case.x))]
        for part, measure in PARTS.items():
            if part in args.parts:
                yield shown(measure(case), f"{name}, batch {len(case.x)}: ", where)


def shown(rows: Iterator[Row], what: str, where: str) -> list[Row]:
    """The rows, printed as tables: a line for each contestant, a column for each measure and T."""
    found = list(rows)
    for part in dict.fromkeys(row.part for row in found):
        mine = [row for row in found if row.part == part]
        heads = dict.fromkeys((row.measure, row.T) for row in mine)
        names = [measure if t is None else f"{measure}, T = {t}" for measure, t in heads]
        table = Table("", *names, title=f"{what}{TITLES[part]}\n{where}, {torch.get_num_threads()} threads")
        for line in dict.fromkeys(row.what for row in mine):
            cells = {(row.measure, row.T): cell(row) for row in mine if row.what == line}
            table.add_row(line, *(cells.get(head, "-") for head in heads))
        Console(width=120).print(table)
    return found


def cell(row: Row) -> str:
    """Value and spread, or why there is none."""
    if row.value is None:
        return row.note
    spread = "" if row.lowest is None else f" ({row.lowest:.3g} to {row.highest:.3g})"
    return f"{row.value:.4g}{spread}"


def machine(device: str) -> str:
    """Processor, its units that matter here, and torch."""
    info = Path("/proc/cpuinfo")
    about = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line) if info.exists() else {}
    known = {key.strip(): value.split() for key, value in about.items()}
    name = " ".join(known.get("model name", [])) or platform.processor() or platform.machine()
    if device == "cuda":
        name = f"{torch.cuda.get_device_name()} beside {name}"
    units = [unit for unit in ("avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") if unit in known.get("flags", [])]
    return f"{name} ({', '.join(units)}), torch {torch.__version__.partition('+')[0]}"

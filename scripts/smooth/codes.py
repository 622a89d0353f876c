"""What conversion of smooth networks loses and costs: codes and kinds of activation neuron against timesteps.

    python scripts/benchmark.py smooth --data-dir data
    python scripts/benchmark.py smooth fashion_vit --data-dir data -T 8,16 --codes "multi-threshold, 3" --samples 1000
    python scripts/benchmark.py smooth fashion_mobilenet_v3 --data-dir data --populations 4 8 --csv smooth.csv

Networks with hardswish, GELU, gates, layer norm and attention, in the schedule "synchronous". Each row is a network
calibrated for its code and T on 512 training images without their labels, and judged on test images: points of
accuracy below the ANN, agreement with the ANN, the relative error of the outputs, spikes and synaptic operations per
image, MACs with numbers that are no spikes (weights behind weights), and energy beside that of the ANN (arithmetic
alone, 45 nm; above 1 the spiking network costs more).

"tracking" neurons follow the increments of t·f(mean) with spikes of either sign. "k ReLUs" (--populations k) puts
sums of k ReLUs in the place of each smooth activation of one signal; "binary" neurons, whose spikes have one sign, can
stand for these alone. What a code cannot stand for is a row that says why.

With --peers, SpikingJelly's recipes for transformers (see ``smooth/transformer_peers.py``) are judged on the same
images, and their time is that of one batch in units of the time that respike takes for it, measured in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import peers
import torch
from judge import Judge, data_of
from rich.console import Console
from torch import Tensor, nn

import respike
from respike.convert.errors import ConversionError
from respike.models import REGISTRY

from .transformer_peers import TRANSFORMER_PEERS

CODES: dict[str, dict[str, Any]] = {
    "binary": {"neuron": "iaf"},
    "signed": {"neuron": "signed"},
    "signed, 4 a step": {"neuron": "signed", "max_spikes": 4},
    "multi-threshold, 3": {"neuron": respike.MultiThreshold(3)},
    "multi-threshold, 5": {"neuron": respike.MultiThreshold(5)},
}
TRACKING = "tracking"
VIT = "fashion_vit"
BATCH = 50
"""Images that are timed together."""
ROUNDS = 3


class Row(NamedTuple):
    """A network at a T; shares in percent, None where it is not known, words in ``points_lost`` if refused.

    ``energy`` is in units of the ANN's, ``time`` of what the first of our networks at that T takes for a batch.
    """

    network: str
    code: str
    activation: str
    T: int | None
    points_lost: float | str
    accuracy: float | None = None
    agreement: float | None = None
    error: float | None = None
    spikes: float | None = None
    synops: float | None = None
    macs: float | None = None
    ann_macs: float | None = None
    energy: float | None = None
    time: float | None = None
    images: int | None = None

    def cells(self) -> list[str]:
        """What the table shows."""
        lost = self.points_lost if isinstance(self.points_lost, str) else _signed(self.points_lost)
        shares = [_number(x, "{:.2f}") for x in (self.agreement, self.error)]
        of_ann = [None if x is None or not self.ann_macs else x / self.ann_macs for x in (self.synops, self.macs)]
        costs = [
            _number(None if self.spikes is None else self.spikes / 1e3, "{:,.0f}"),
            _number(None if self.synops is None else self.synops / 1e6, "{:,.2f}"),
            *(_number(x, "{:.2f}") for x in of_ann),
            _number(self.energy, "{:.2f}"),
            _number(self.time, "{:.2f}"),
        ]
        return [self.code, self.activation, "–" if self.T is None else str(self.T), lost, *shares, *costs]


HEAD = ["code", "activation", "T", "points lost", "agreement, %", "error, %", "spikes, thousand", "SynOps, million"]
HEAD += ["SynOps ÷ ANN's MACs", "MACs ÷ ANN's", "energy ÷ ANN's", "time ÷ ours"]


def add_to(commands: Any) -> None:
    """The subcommand ``smooth``."""
    parser = commands.add_parser(
        "smooth",
        help="networks with smooth activations and attention: codes against timesteps, with their costs",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    smooth = [name for name, reference in REGISTRY.items() if reference.smooth]
    parser.add_argument("names", nargs="*", default=smooth, help="reference networks; all smooth ones by default")
    parser.add_argument("-T", "--timesteps", default="2,4,8,16,32", help="comma-separated")
    parser.add_argument("--codes", nargs="+", default=list(CODES), choices=list(CODES))
    parser.add_argument(
        "--populations", nargs="*", type=int, default=[], metavar="K", help="sums of K ReLUs as well, for each K"
    )
    parser.add_argument("--samples", type=int, default=10_000, help="test images used")
    parser.add_argument("--calibration", type=int, default=512, help="of the 512 calibration images, how many are used")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw of calibration images")
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    parser.add_argument("--peers", action="store_true", help="SpikingJelly's recipes for transformers as well")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there, as they come")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Row by row, as they come; prints each network's table when it is whole."""
    told = Console(stderr=True, highlight=False)
    for name in args.names:
        ann = respike.models.load(name)
        calibration, test = data_of(name, args.data_dir, args.draw)
        judge = Judge(ann, test, args.samples)
        outputs = _outputs(ann, judge.images)
        found: list[Row] = []
        theirs = TRANSFORMER_PEERS if args.peers and name == VIT else {}
        for t in [int(t) for t in args.timesteps.split(",")]:
            for row in _at(name, ann, calibration[: args.calibration], judge, outputs, t, theirs, args):
                told.print(" | ".join([name, *row.cells()]), style="dim")
                found.append(row)
                yield row
        print(f"**{type(ann).__name__}**, {judge.accuracy:.2f} % of {len(judge.labels):,} test images\n")
        print(table(found), end="\n\n")


def table(rows: list[Row]) -> str:
    """The rows of one network, in Markdown; what is refused at every T is said once, below."""
    refused = dict.fromkeys((r.code, r.activation, str(r.points_lost)) for r in rows if r.T is None)
    ours = [r.cells() for r in rows if r.T is not None]
    lines = ["| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *ours]]
    notes = [f"- {code}, {kind}: {reason.rstrip('.')}." for code, kind, reason in refused]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _at(
    name: str,
    ann: nn.Module,
    calibration: Tensor,
    judge: Judge,
    wanted: Tensor,
    t: int,
    theirs: dict[str, peers.Peer],
    args: argparse.Namespace,
) -> Iterator[Row]:
    """All rows of one T: every code with every kind of activation, and the peers."""
    first: Callable[[Tensor], Tensor] | None = None
    for code, k in product(args.codes, [None, *args.populations]):
        kind, options = TRACKING if k is None else f"{k} ReLUs", {} if k is None else {"population": k}
        try:
            snn = respike.from_torch(ann, calibration, t, seed=args.draw, **CODES[code], **options)
        except ConversionError as reason:
            yield Row(name, code, kind, None, " ".join(str(reason).split())[:110])
            continue
        first = first or snn
        result = respike.evaluate(snn, (judge.images, judge.labels), ann=ann, progress=False)
        assert result.agreement is not None
        cost = result.cost()
        energy = cost.energy[-1] / cost.baselines[0].energy[-1]
        shares = 100 * float(result.accuracy[-1]), 100 * float(result.agreement[-1])
        error = 100 * _relative(_outputs(snn, judge.images[:1000]), wanted[:1000])
        costs = (
            float(result.spikes[-1]),
            float(result.synops[-1]),
            float(result.macs[-1]),
            result.ann_macs,
            float(energy),
        )
        lost = judge.accuracy - shares[0]
        yield Row(name, code, kind, t, lost, *shares, error, *costs, 1.0 if first is snn else None, len(judge.labels))
    for code, convert in theirs.items():
        try:
            other = convert(ann, calibration, t)
            found = _outputs(other, judge.images)
        except peers.RefusedError as refusal:
            yield Row(name, code, "–", None, str(refusal))
            continue
        decided = found.argmax(1)
        shares = judge.share(decided, judge.labels), judge.share(decided, judge.decided)
        ratio = None if first is None else _ratio(other, first, judge.images[:BATCH])
        lost, error = judge.accuracy - shares[0], 100 * _relative(found, wanted)
        yield Row(name, code, "–", t, lost, *shares, error, time=ratio, images=len(judge.labels))


@torch.no_grad()
def _outputs(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([network(batch) for batch in images.split(BATCH)])


def _relative(found: Tensor, wanted: Tensor) -> float:
    """Norm of the difference over that of what was wanted."""
    return float((found - wanted).norm() / wanted.norm())


@torch.no_grad()
def _ratio(other: Callable[[Tensor], Tensor], ours: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """Time of a batch over that of ours: the median of some rounds in which both take turns."""
    ratios = []
    for _ in range(ROUNDS):
        taken = []
        for network in (other, ours):
            start = time.perf_counter()
            network(images)
            taken.append(time.perf_counter() - start)
        ratios.append(taken[0] / taken[1])
    return statistics.median(ratios)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _signed(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-", "−")

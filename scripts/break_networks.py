"""Break each layer of a reference network in four ways, and T, and see whether the diagnosis brings it back.

    python scripts/break_networks.py mnist_cnn -T 4
    python scripts/break_networks.py fashion_resnet -T 8 --layers 2 7 10 --data-dir DIR

One row each: accuracy of the broken network and of what the first suggestion makes of it, followed to the letter, and
the share of what was lost that came back. Accuracy is on test images; calibration and diagnosis see no label.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from benchmark import Judge, data_of
from rich.console import Console
from rich.table import Table

import respike
from respike.convert.run.neurons import SpikingReLU
from respike.models import REGISTRY


def too_high(neuron: SpikingReLU) -> None:
    """Ten times the threshold."""
    neuron.threshold *= 10


def too_low(neuron: SpikingReLU) -> None:
    """A tenth of the threshold."""
    neuron.threshold /= 10


def dead(neuron: SpikingReLU) -> None:
    """A bias that nothing comes up against."""
    neuron.bias -= 1000


def shifted(neuron: SpikingReLU) -> None:
    """A bias that is half a threshold too high."""
    neuron.bias += 0.5 * neuron.threshold


FAULTS: dict[str, tuple[Callable[[SpikingReLU], None], str]] = {
    "threshold × 10": (too_high, "threshold too high"),
    "threshold ÷ 10": (too_low, "threshold too low"),
    "dead": (dead, "dead"),
    "bias + θ/2": (shifted, "bias shifted"),
}
"""How to break a layer, and what is to be found."""


def broken(snn: respike.SpikingNetwork, numbers: list[int]) -> Iterator[tuple[str, str | None, str, Any]]:
    """Fault, layer, cause that is to be found, and the broken network."""
    short = copy.deepcopy(snn)
    short.timesteps = 1
    yield "T = 1", None, "timesteps too few", short
    for number in numbers:
        for fault, (harm, cause) in FAULTS.items():
            network = copy.deepcopy(snn)
            name, neuron = list(network.neurons.items())[number]
            assert isinstance(neuron, SpikingReLU)
            harm(neuron)
            yield fault, name, cause, network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=sorted(REGISTRY), help="reference network")
    parser.add_argument("-T", "--timesteps", type=int, default=8)
    parser.add_argument("--layers", type=int, nargs="*", help="by number, from 0; all by default")
    parser.add_argument("--samples", type=int, default=10_000, help="test images used")
    parser.add_argument("--data-dir", type=Path, help="where torchvision's data sets lie or go")
    args = parser.parse_args()
    model = respike.models.load(args.name)
    calibration, test = data_of(args.name, args.data_dir)
    judge = Judge(model, test, args.samples)
    snn = respike.from_torch(model, calibration, args.timesteps)

    def accuracy(network: torch.nn.Module) -> float:
        return judge.share(judge.decisions(network), judge.labels)

    console, sound = Console(width=120), accuracy(snn)
    table = Table("broken", "layer", "found", "accuracy, broken", "mended", "came back", title=args.name)
    for fault, name, cause, network in broken(snn, args.layers or list(range(len(snn.neurons)))):
        bad = accuracy(network)
        finding = respike.diagnose(network, calibration, samples=128).findings[0]
        values = {"snn": network, "respike": respike, "model": model, "calibration": calibration}
        exec(finding.suggestion, values)
        mended = accuracy(values["snn"])
        right = (finding.cause, finding.layer) == (cause, name)
        found = finding.cause if right else f"WRONG: {finding.cause} in {finding.layer}"
        share = f"{100 * (mended - bad) / (sound - bad):.0f} %" if sound > bad else "nothing was lost"
        row = (fault, name or "", found, f"{bad:.2f} %", f"{mended:.2f} %", share)
        console.print(" | ".join(row), style="dim")
        table.add_row(*row)
    console.print(table)
    console.print(f"sound: {sound:.2f} % of {args.samples:,} test images at T = {args.timesteps}")


if __name__ == "__main__":
    main()

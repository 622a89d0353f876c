"""Which torchvision families convert, and how exactly: one row each.

    python scripts/convert_pretrained.py
    python scripts/convert_pretrained.py resnet18 vit_b_16
    python scripts/convert_pretrained.py --every

The default is the smallest network of each family; --every takes all that torchvision names, of each size. Weights are
random, batch norm is calibrated on noise, images are as small as the family takes, since what is shown depends on
neither: how many nodes of each role the network has, how far the graph after all passes is from the ANN (relative error
of its logits), whether samples are proven to stay apart, whether the spiking network runs, how well its logits follow
the ANN's, whether it comes back from a file with the same logits at every step, bit for bit, and for the refused which
kinds of nodes are in the way.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import torch
from pretrained.families import FAMILIES, build, every, image_size
from rich.console import Console
from rich.table import Table
from torch import nn

import respike
from respike.convert import normal_form, relative_error
from respike.convert.graph.rules import Role
from respike.convert.sample_axis import apart

STEPS = 4
"""Of the run that is compared with itself after a file."""


def row(name: str) -> tuple[str, ...]:
    """Name, nodes by role, relative error, whether samples stay apart, what happened in time."""
    model = build(name)
    size = image_size(name)
    x = torch.rand(2, 3, size, size)
    try:
        graph = normal_form(model, (x,))
    except respike.ConversionError as error:
        reasons = Counter(refusal.why.split()[0] for refusal in error.refusals)
        text = ", ".join(f"{count} {why}" for why, count in reasons.most_common())
        return name, f"refused: {len(error.refusals)} nodes: {text}", *[""] * 4
    roles = Counter(node.role for node in graph.nodes if node.role not in _UNSEEN)
    exact = f"{relative_error(graph, model, (x,)):.1e}"
    kept = "yes" if apart(graph) else "NO"
    told = ", ".join(f"{count} {role}" for role, count in roles.most_common())
    snn = spiking(model, x)
    return name, told, exact, kept, f"{correlation(snn, model, x):.3f}", "same" if comes_back(snn, x) else "DIFFERENT"


_UNSEEN = (Role.SHAPE, Role.CONSTANT)
"""Roles of nodes that nothing varies in."""


def spiking(model: nn.Module, x: torch.Tensor) -> respike.SpikingNetwork:
    """The network for T = 64, by the quickest way."""
    return respike.from_torch(model, x, 64, threshold="max", correction="none")


def comes_back(snn: respike.SpikingNetwork, x: torch.Tensor) -> bool:
    """Whether the network, saved and loaded, gives the same logits at each of the first four steps, bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.respike"
        snn.save(path)
        loaded = respike.load(path)
    return torch.equal(loaded.simulate(x, timesteps=STEPS), snn.simulate(x, timesteps=STEPS))


def correlation(snn: respike.SpikingNetwork, model: nn.Module, x: torch.Tensor) -> float:
    """Of the SNN's logits after T = 64 with the ANN's, over classes: the network really runs in time."""
    with torch.no_grad():
        pairs = torch.stack([snn(x), model(x)], 1)
    return min(float(torch.corrcoef(pair)[0, 1]) for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=FAMILIES, help="torchvision models; one of each family by default")
    parser.add_argument("--every", action="store_true", help="every size of every family; gigabytes of memory, hours")
    args = parser.parse_args()
    table = Table(
        "network",
        "nodes by role, or what is in the way",
        "relative error",
        "samples apart",
        "correlation at T = 64",
        "saved and loaded",
    )
    console = Console(width=120)
    with console.status("converting") as status:
        for name in every() if args.every else args.names:
            status.update(f"converting {name}")
            torch.manual_seed(0)
            cells = row(name)
            table.add_row(*cells)
            console.print(" | ".join(cells), style="dim", markup=False)
    console.print(table)


if __name__ == "__main__":
    main()

"""Which torchvision families convert, and how exactly: one row each.

    python scripts/convert_pretrained.py
    python scripts/convert_pretrained.py resnet18 vit_b_16

Weights are random (batch norm statistics too), since what is shown does not depend on training: whether
the family converts, how many spiking layers it has, how far the network after all passes is from the ANN
(relative error of its logits), how well the spiking network's logits follow the ANN's after 64 steps, whether
it comes back from a file with the same logits at every step, bit for bit, and for the refused which kinds of nodes
are in the way.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import respike
from respike.convert import normal_form, relative_error
from respike.convert.graph.rules import Role

CONVERT = [
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_0",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
    "regnet_x_400mf",
    "mobilenet_v2",
]
REFUSE = ["mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16"]


def build(name: str) -> nn.Module:
    """The family with random weights, batch norm as after training."""
    from torchvision import models

    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model: nn.Module = models.get_model(name, weights=None, **quick)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):
                assert tensor is not None
                nn.init.uniform_(tensor, low, high)
    return model.eval()


def image_size(name: str) -> int:
    """The smallest round size that the family takes."""
    return 224 if name.startswith("vit") else 96 if name.startswith("inception") else 64


def row(name: str) -> tuple[str, ...]:
    """Name, verdict, spiking layers, maxima, relative error or reasons, correlation, whether it comes back."""
    model = build(name)
    size = image_size(name)
    x = torch.rand(2, 3, size, size)
    try:
        graph = normal_form(model, (x,))
    except respike.ConversionError as error:
        reasons = Counter(refusal.why.split()[0] for refusal in error.refusals)
        text = ", ".join(f"{count} {why}" for why, count in reasons.most_common())
        return name, f"refused: {len(error.refusals)} nodes", "", "", text, "", ""
    roles = Counter(node.role for node in graph.nodes)
    difference = relative_error(graph, model, (x,))
    snn = spiking(model, x)
    return (
        name,
        "converts",
        str(roles[Role.SPIKE]),
        str(roles[Role.MAX]),
        f"{difference:.1e}",
        f"{correlation(snn, model, x):.3f}",
        "same" if comes_back(snn, x) else "DIFFERENT",
    )


def spiking(model: nn.Module, x: torch.Tensor) -> respike.SpikingNetwork:
    """The network for T = 64, by the quickest way."""
    return respike.from_torch(model, x, 64, threshold="max", correction="none")


def comes_back(snn: respike.SpikingNetwork, x: torch.Tensor) -> bool:
    """Whether the network, saved and loaded, gives the same logits at each of the first four steps, bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.respike"
        snn.save(path)
        loaded = respike.load(path)
    return torch.equal(loaded.simulate(x, timesteps=4), snn.simulate(x, timesteps=4))


def correlation(snn: respike.SpikingNetwork, model: nn.Module, x: torch.Tensor) -> float:
    """Of the SNN's logits after T = 64 with the ANN's, over classes: the network really runs in time."""
    with torch.no_grad():
        pairs = torch.stack([snn(x), model(x)], 1)
    return min(float(torch.corrcoef(pair)[0, 1]) for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*CONVERT, *REFUSE], help="torchvision models; all by default")
    args = parser.parse_args()
    torch.manual_seed(0)
    table = Table(
        "network",
        "verdict",
        "spiking layers",
        "max-pools",
        "relative error, or what is in the way",
        "correlation at T = 64",
        "saved and loaded",
    )
    console = Console(width=120)
    with console.status("converting") as status:
        for name in args.names:
            status.update(f"converting {name}")
            table.add_row(*row(name))
    console.print(table)


if __name__ == "__main__":
    main()

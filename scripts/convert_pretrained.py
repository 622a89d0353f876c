"""Which torchvision families convert, and how exactly: one row each.

    python scripts/convert_pretrained.py
    python scripts/convert_pretrained.py resnet18 vit_b_16

The default is the smallest network of each family. Weights are random, batch norm is calibrated on noise, images are as
small as the family takes, since what is shown depends on neither: how many nodes of each role the network has, how far
the graph after all passes is from the ANN (relative error of its logits), whether samples are proven to stay apart,
whether the spiking network runs, how well its logits follow the ANN's, whether it comes back from a file with the same
logits at every step, bit for bit, and for the refused which kinds of nodes are in the way.
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
from respike.convert.sample_axis import apart

FAMILIES = [
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
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "swin_v2_t",
    "maxvit_t",
]
"""The smallest of each family, and of each that is built in another way."""
STEPS = 4
"""Of the run that is compared with itself after a file."""


def build(name: str) -> nn.Module:
    """The family with random weights in every branch, batch norm as after training."""
    from torchvision import models

    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    sized = {"image_size": image_size(name)} if name.startswith("vit") else {}
    model: nn.Module = models.get_model(name, weights=None, **quick, **sized)
    model.eval()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("layer_scale"):  # ConvNeXt's begins at 1e-6, where no branch counts
            nn.init.constant_(parameter, 0.5)
        elif parameter.dim() > 1 and not bool(parameter.any()):  # a head that begins at 0, as ViT's
            nn.init.normal_(parameter, std=0.05)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = None  # a plain mean over what follows
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        model(torch.rand(8, 3, image_size(name), image_size(name)))
    return model.eval()


def image_size(name: str) -> int:
    """The smallest round size that the family takes."""
    if name.startswith("vit"):
        return 28 if name.endswith("14") else 32
    return 224 if name.startswith("maxvit") else 96 if name.startswith("inception") else 64


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
    args = parser.parse_args()
    torch.manual_seed(0)
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
        for name in args.names:
            status.update(f"converting {name}")
            table.add_row(*row(name))
    console.print(table)


if __name__ == "__main__":
    main()

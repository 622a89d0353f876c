"""What PyTorch's two exporters write of torchvision's families, read back: one row for each family.

    python scripts/import_families.py
    python scripts/import_families.py resnet18 densenet121 --exporters legacy-13 dynamo-20

Each network (random weights, batch norm calibrated on noise) is written as ONNX with a batch of any size,
read by ``respike.convert.load_onnx`` and run on another batch size than it was exported with. A cell is the
largest difference of the outputs from PyTorch's and from onnxruntime's, relative to the largest output;
whichever is worse. Needs ``pip install 'respike[verify]' onnxscript``.
"""

from __future__ import annotations

import argparse
import io
import logging
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from respike.convert import load_onnx
from respike.convert.onnx_import.verify import session_outputs

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
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
    "regnet_x_400mf",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "swin_v2_t",
    "maxvit_t",
]
EXPORTERS = [f"dynamo-{v}" for v in (18, 20, 21, 23)] + [f"legacy-{v}" for v in (13, 17, 20)]
BAR = 1e-3


def build(name: str) -> tuple[nn.Module, int]:
    """The network with random weights and calibrated batch norm, and the side of its input images."""
    from torchvision import models

    # AlexNet's and VGG's pooling is exported only where it divides what it gets.
    side = 224 if name.startswith(("alexnet", "vgg", "maxvit")) else 96 if name.startswith("inception") else 64
    quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    sized = {"image_size": side} if name.startswith("vit") else {}
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
        model(torch.rand(16, 3, side, side))
    return model.eval(), side


def export(model: nn.Module, x: Tensor, exporter: str, path: Path) -> None:
    """Writes the model as ONNX by ``dynamo-OPSET`` or ``legacy-OPSET``."""
    kind, opset = exporter.split("-")
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # what the exporters say of themselves
        if kind == "dynamo":
            batch = {0: torch.export.Dim("batch", min=1, max=4096)}
            torch.onnx.export(
                model, (x,), path, opset_version=int(opset), dynamo=True, dynamic_shapes=(batch,), verbose=False
            )
        else:
            torch.onnx.export(
                model,
                (x,),
                path,
                opset_version=int(opset),
                dynamo=False,
                input_names=["input"],
                dynamic_axes={"input": {0: "batch"}},
            )


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def cell(model: nn.Module, side: int, exporter: str, folder: Path) -> float | str:
    """The worse of the two relative errors, or what went wrong."""
    path = folder / "model.onnx"
    x = torch.rand(3, 3, side, side)
    try:
        export(model, x[:2], exporter, path)
        with torch.no_grad():
            net = load_onnx(path)
            found, expected = net(x), model(x)
        (ort,) = session_outputs(net, path, (x,))
    except Exception as error:  # whatever happens is a row of the table
        return f"{type(error).__name__}: {str(error)[:300]}"
    return max(difference(found, expected), difference(found, ort))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=FAMILIES, help="torchvision models; all of the families by default")
    parser.add_argument("--exporters", nargs="*", default=EXPORTERS, choices=EXPORTERS, metavar="NAME-OPSET")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    table = Table("network", *args.exporters, title="largest relative error against PyTorch and onnxruntime")
    console = Console(width=130)
    failures: list[str] = []
    good = 0
    with console.status("importing") as status:
        for name in args.names:
            model, side = build(name)
            row = []
            for exporter in args.exporters:
                status.update(f"{name}, {exporter}")
                with tempfile.TemporaryDirectory() as folder:
                    error = cell(model, side, exporter, Path(folder))
                if isinstance(error, float) and error < BAR:
                    good += 1
                else:
                    failures.append(f"{name}, {exporter}: {error}")
                row.append(f"{error:.1e}" if isinstance(error, float) else "fails")
            table.add_row(name, *row)
            console.print(name, *row)
    console.print(table)
    console.print(f"{good} of {len(args.names) * len(args.exporters)} files within {BAR:g}")
    for line in failures:
        console.print(line, markup=False)


if __name__ == "__main__":
    main()

"""What PyTorch's two exporters write of torchvision's families, read back: one row for each family.

    python scripts/import_families.py
    python scripts/import_families.py resnet18 densenet121 --exporters legacy-13 dynamo-20
    python scripts/import_families.py --exporters legacy-17 dynamo-20 --spiking

Each network (random weights, batch norm calibrated on noise) is written as ONNX with a batch of any size,
read by ``respike.convert.load_onnx`` and run on another batch size than it was exported with. A cell is the
largest difference of the outputs from PyTorch's and from onnxruntime's, relative to the largest output;
whichever is worse. With --spiking the file is besides converted to a spiking network, and so is the module, both
calibrated on the same images: behind the slash is how far their outputs are apart over T = 8 steps, relative to the
ANN's outputs, and in brackets the largest such distance between the module's network and those of three copies with
weights that differ by rounding (1e-7). Rounding alone makes a neuron near its threshold fire a step later, and others
follow in a deep network with random weights; a file that is read well is no farther than twice that.
Needs ``pip install 'respike[verify]' onnxscript``.
"""

from __future__ import annotations

import argparse
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from pretrained.families import FAMILIES, build, image_size
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import respike
from respike.convert import load_onnx
from respike.convert.onnx_import.verify import session_outputs

EXPORTERS = [f"dynamo-{v}" for v in (18, 20, 21, 23)] + [f"legacy-{v}" for v in (13, 17, 20)]
BAR = 1e-3
STEPS, SAMPLES = 8, 8


def image_side(name: str) -> int:
    """AlexNet's and VGG's pooling is exported only where it divides what it gets."""
    return 224 if name.startswith(("alexnet", "vgg")) else image_size(name)


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


def cell(model: nn.Module, side: int, exporter: str, path: Path) -> float | str:
    """Exports; then the worse of the two relative errors, or what went wrong."""
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


class Spiking:
    """A family as a spiking network at T = 8, by the quickest way, to which others are compared.

    Attributes:
        noise: How far networks are from it whose weights differ by rounding.
    """

    def __init__(self, model: nn.Module, side: int) -> None:
        self.calibration, self.x = torch.rand(2, SAMPLES, 3, side, side)
        with torch.no_grad():
            self.scale: float = model(self.x).norm().item() * STEPS**0.5
        self.outputs = self.convert(respike.from_torch, model)
        self.noise = max(self.distance(respike.from_torch, rounded(model)) for _ in range(3))

    def convert(self, convert: Callable[..., respike.SpikingNetwork], source: Any) -> Tensor:
        """Outputs ``(N, T, K)``."""
        snn = convert(source, self.calibration, STEPS, threshold="max", correction="none")
        outputs: Tensor = snn.simulate(self.x)
        return outputs

    def distance(self, convert: Callable[..., respike.SpikingNetwork], source: Any) -> float:
        """Of another source's outputs, relative to the ANN's."""
        apart: float = (self.convert(convert, source) - self.outputs).norm().item()
        return apart / self.scale

    def cell(self, path: Path) -> float | str:
        """The distance of a file's network, or what went wrong."""
        try:
            return self.distance(respike.from_onnx, path)
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"


@torch.no_grad()
def rounded(model: nn.Module) -> nn.Module:
    """A copy whose weights differ as by another rounding."""
    made = copy.deepcopy(model)
    for parameter in made.parameters():
        parameter.mul_(1 + 1e-7 * torch.randn_like(parameter))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=FAMILIES, help="torchvision models; all of the families by default")
    parser.add_argument("--exporters", nargs="*", default=EXPORTERS, choices=EXPORTERS, metavar="NAME-OPSET")
    parser.add_argument("--spiking", action="store_true", help="the spiking networks of file and module as well")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    table = Table("network", *args.exporters, title="largest relative error against PyTorch and onnxruntime")
    console = Console(width=130)
    failures: list[str] = []
    good = 0
    with console.status("importing") as status:
        for name in args.names:
            side = image_side(name)
            model = build(name, side)
            wanted = Spiking(model, side) if args.spiking else None
            row = []
            for exporter in args.exporters:
                status.update(f"{name}, {exporter}")
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "model.onnx"
                    found = [(cell(model, side, exporter, path), BAR)]
                    if wanted is not None and isinstance(found[0][0], float):
                        found.append((wanted.cell(path), max(BAR, 2 * wanted.noise)))
                bad = [error for error, bar in found if isinstance(error, str) or not error <= bar]  # NaN is none
                good += not bad
                failures += [f"{name}, {exporter}: {error}" for error in bad]
                row.append(" / ".join("fails" if isinstance(e, str) else f"{e:.1e}" for e, _ in found))
                if wanted is not None:
                    row[-1] += f" ({wanted.noise:.1e})"
            table.add_row(name, *row)
            console.print(name, *row)
    console.print(table)
    console.print(
        f"{good} of {len(args.names) * len(args.exporters)} files within {BAR:g}, or twice what rounding does"
    )
    for line in failures:
        console.print(line, markup=False)


if __name__ == "__main__":
    main()

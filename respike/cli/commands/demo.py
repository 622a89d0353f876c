"""``respike demo``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command import Command, echo, option, say_json
from ..options import JSON
from ..room import check_steps
from ..values import Output, Steps

TITLE = "MNIST CNN as a spiking network"
HEAD = "MNIST CNN, four layers of integrate-and-fire neurons, one network calibrated for each T\n"


@click.command(
    cls=Command,
    short_help="Convert a trained MNIST network and show its accuracy.",
    epilog="""\b
Examples:
  respike demo
  respike demo -T 4,8 --samples 1000 -o quick.png""",
)
@option(
    "-T", "--timesteps", type=Steps(), metavar="T,T,...", default="2,4,8,16", help="Calibrate one network for each T."
)
@option("--samples", default=5_000, type=click.IntRange(1, 10_000), help="Number of test images.")
@option(
    "-o", "--output", type=Output(), metavar="FILE", default="respike-demo.png", help="Write the figure to this file."
)
@JSON
def demo(timesteps: list[int], samples: int, output: Path, as_json: bool) -> None:
    """Convert the MNIST CNN that ships with respike and measure its accuracy on test images.

    For each T, a network is calibrated on 448 unlabelled training images and run on the test images. Takes less than a
    minute on two cores; --samples 10000 takes all test images.
    """
    check_steps(timesteps)
    echo("loading PyTorch and a trained MNIST network", err=True)
    from torch.utils.data import Subset

    from ... import from_torch, models
    from ...evaluation import comparison, evaluate
    from ...layers.kernels import kept
    from ...progress import Bar
    from ...report import accuracy_figure, save

    ann = models.load("mnist_cnn")
    calibration = models.datasets.calibration()
    test = Subset(models.datasets.load("mnist"), range(samples))
    results = {}
    if kept.is_empty():
        echo("first run: compiling the kernels takes about 10 seconds more; later runs reuse them", err=True)
    for t in timesteps:
        with Bar() as bar:
            echo(f"T = {t}: converting it to a spiking network", err=True)
            snn = from_torch(ann, calibration, t, progress=bar)
            echo(f"T = {t}: classifying {samples:,} test images", err=True)
            results[f"T = {t}"] = evaluate(snn, test, ann=ann, progress=bar)
    if as_json:
        say_json({name: result.as_dict() for name, result in results.items()})
    else:
        echo(f"{HEAD}\n{comparison(list(results.values()))}")
    save(accuracy_figure(results, TITLE), output)
    echo(f"figure: {output}", err=True)

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
    short_help="See it work: an MNIST network, from the package.",
    epilog="""\b
Examples:
  respike demo
  respike demo -T 4,8 --samples 1000 -o quick.png""",
)
@option("-T", "--timesteps", type=Steps(), metavar="T,T,...", default="2,4,8,16", help="One network for each.")
@option("--samples", default=10_000, type=click.IntRange(1, 10_000), help="Test images used.")
@option("-o", "--output", type=Output(), metavar="FILE", default="respike-demo.png", help="Write the figure here.")
@JSON
def demo(timesteps: list[int], samples: int, output: Path, as_json: bool) -> None:
    """Convert the MNIST CNN that ships with respike and judge it on the test images.

    For each T a network is calibrated on 512 unlabelled training images, then run on the 10,000 test images.
    Takes a few minutes on two cores; --samples 1000 is a quick look.
    """
    from torch.utils.data import Subset

    from ... import from_torch, models
    from ...evaluation import comparison, evaluate
    from ...progress import Bar
    from ...report import accuracy_figure, save

    check_steps(timesteps)
    ann = models.load("mnist_cnn")
    calibration = models.datasets.calibration()
    test = Subset(models.datasets.load("mnist"), range(samples))
    results = {}
    for t in timesteps:
        with Bar() as bar:
            snn = from_torch(ann, calibration, t, progress=bar)
            results[f"T = {t}"] = evaluate(snn, test, ann=ann, progress=bar)
    if as_json:
        say_json({name: result.as_dict() for name, result in results.items()})
    else:
        echo(f"{HEAD}\n{comparison(list(results.values()))}")
    save(accuracy_figure(results, TITLE), output)
    echo(f"figure: {output}", err=True)

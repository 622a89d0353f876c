"""``respike check``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ...source_names import require_saved
from ..command import Command, echo, option, say_json
from ..options import DATA_ARE, FIGURE, JSON
from ..spelling import as_typed
from ..values import DataName


@click.command(
    cls=Command,
    short_help="Check a converted network against a chip's limits.",
    epilog=f"""{DATA_ARE}

\b
Examples:
  respike check net.respike
  respike check net.respike --target speck --data train.npz -o memory.png""",
)
@click.argument("file", type=click.Path(path_type=Path))
@option("--target", default="speck", metavar="CHIP", help="The chip: speck (Speck 2e and 2f).")
@option(
    "--data",
    type=DataName(),
    part="Model and data",
    help="Samples to run, for the potentials that are reached and for what the input is.",
)
@option(
    "--data-dir", type=click.Path(path_type=Path), part="Model and data", help="Directory for torchvision's data sets."
)
@option(
    "--image-size",
    default=224,
    type=click.IntRange(1, 2**16),
    part="Model and data",
    help="Side length of images from folder: data sets, in pixels.",
)
@option("--samples", default=64, type=click.IntRange(1), part="Model and data", help="The most samples that are run.")
@FIGURE
@JSON
def check(
    file: Path,
    target: str,
    data: str | None,
    data_dir: Path | None,
    image_size: int,
    samples: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Hold a converted network, FILE.respike, against the limits of a chip: what fits, what does not, what to change.

    A network that is not in whole numbers is quantised first. Rules are "ok", FAILED, or "open": not known without
    samples to run (--data). The exit code is 1 if a rule fails.
    """
    from ... import convert, hardware, sources
    from ...images import of_size
    from ..network import taken_by

    hardware.target_named(target)
    require_saved(str(file))
    snn = convert.load(file)
    given: Any = None if data is None else sources.find_calibration(data, data_dir, of_size(image_size))
    found = hardware.check(snn, target, taken_by(snn, given), samples=samples)
    if as_json:
        say_json(found.as_dict())
    else:
        echo(as_typed(str(found)))
    if output is not None:
        found.plot(output)
        echo(f"figure: {output}", err=True)
    if not found.passed:
        sys.exit(1)

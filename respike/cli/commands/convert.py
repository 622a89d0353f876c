"""``respike convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from ...convert.options import EncoderName
from ..command import Command, echo, option, say_json
from ..conversion_options import CONVERSION
from ..options import JSON, MODEL, MODELS_ARE
from ..values import Choice, Output


@click.command(
    cls=Command,
    short_help="Convert a network, show its layers, save it.",
    epilog=f"""{MODELS_ARE}

\b
Examples:
  respike convert mnist_cnn -T 8 -o mnist.respike
  respike convert torchvision:resnet18 --calibration random:3x64x64
  respike convert net.onnx --calibration train.npz --verify
  respike convert mynet:Net --calibration events.npz --frames -T 10 -o net.respike
  respike convert mnist_cnn --encode poisson -T 32 -o poisson.respike""",
)
@MODEL
@CONVERSION
@option("--frames", is_flag=True, help="Inputs move: samples are (T, ...), a frame for each timestep.")
@option(
    "--encode",
    type=Choice(list(get_args(EncoderName))),
    help="An encoder makes events of the inputs; --seed is that of its events too.",
)
@option("--scale", type=float, help="With --encode: the value of one event a step; by default the largest magnitude.")
@option(
    "-o",
    "--output",
    type=Output(["respike"]),
    metavar="FILE",
    help="Write the network to this file, net.respike for example.",
)
@option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Note in this file which layers are done; if it is there, go on from it.",
)
@JSON
def convert(model: str, output: Path | None, as_json: bool, resume: Path | None, **options: Any) -> None:
    """Convert MODEL, show each spiking layer (neuron, size, thresholds, fan-out), and save the network.

    The last line says how close it comes to MODEL, on calibration samples that were held back; a warning, if it is
    far, says what to try.
    A network that cannot become spiking is refused with a list of the nodes in the way.
    With --resume FILE it can be interrupted: the same command goes on behind the last layer that FILE holds.
    Use --calibration random:3x64x64 to check whether a network converts at all.
    """
    from ..network import network

    _, snn = network({"model": model, **options}, resume)
    if as_json:
        say_json(snn.as_dict())
    else:
        echo("\n\n".join([*([] if snn.choice is None else [str(snn.choice)]), snn.summary()]))
    if output is not None:
        snn.save(output)
        echo(f"network: {output}", err=True)

"""``respike convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .command import Command, echo, option, say_json
from .equivalent import literal
from .network import network, program, python_network
from .options import CONVERSION, JSON, MODEL, MODELS_ARE
from .values import Output


def found(snn: Any) -> dict[str, Any]:
    """What conversion chose by itself, and why."""
    chosen = {"choice": snn.choice, "allocation": snn.allocation, "precision_choice": snn.precision_choice}
    return {name: value for name, value in chosen.items() if value is not None}


def python_found(options: dict[str, Any]) -> list[str]:
    """Which of ``found`` there will be, as Python."""
    chosen = {
        "snn.choice": options["timesteps"] == "auto",
        "snn.allocation": options["budget"] is not None,
        "snn.precision_choice": options["precision"] == "auto",
    }
    return [name for name, there in chosen.items() if there]


def _python(options: dict[str, Any]) -> str:
    told = ", ".join([*python_found(options), "snn.summary()"])
    lines = [*python_network(options), f"print({told})" if "," not in told else f'print({told}, sep="\\n\\n")']
    if options["output"] is not None:
        lines.append(f"snn.save({literal(options['output'])})")
    return program(lines)


@click.command(
    cls=Command,
    python=_python,
    short_help="Convert a network, show its layers, save it.",
    epilog=f"""{MODELS_ARE}

\b
Examples:
  respike convert mnist_cnn -T 8 -o mnist.respike
  respike convert torchvision:resnet18 --calibration random:3x64x64
  respike convert net.onnx --calibration train.npz --verify""",
)
@MODEL
@CONVERSION
@option("-o", "--output", type=Output(["respike"]), metavar="FILE", help="Write the network here, net.respike say.")
@JSON
def convert(model: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Convert MODEL, show each spiking layer (neuron, size, thresholds, fan-out), and keep it in a file.

    A network that cannot become spiking is refused with a list of the nodes in the way.
    --calibration random:3x64x64 is enough to see whether a network converts at all.
    """
    _, snn = network({"model": model, **options})
    if as_json:
        say_json(snn.as_dict())
    else:
        echo("\n\n".join(map(str, [*found(snn).values(), snn.summary()])))
    if output is not None:
        snn.save(output)
        echo(f"network: {output}", err=True)

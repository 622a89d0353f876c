"""``respike inspect``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..command import Command, echo, option, say_json
from ..options import JSON, ONNX
from ..values import Lengths


@click.command(
    cls=Command,
    short_help="Inspect an ONNX file.",
    epilog="""\b
Examples:
  respike inspect net.onnx
  respike inspect net.onnx --input 3x224x224 --outputs probabilities --verify""",
)
@click.argument("file", type=click.Path(path_type=Path))
@ONNX
@option(
    "--input",
    "shape",
    type=Lengths(),
    metavar="CxHxW",
    part="ONNX",
    help="Shape of one sample, if the file does not say.",
)
@JSON
def inspect(file: Path, outputs: list[str] | None, verify: bool, shape: list[int] | None, as_json: bool) -> None:
    """Show an ONNX FILE's inputs, outputs and operators, and what each node would become.

    Needs no data. The exit code is 1 if the network cannot be converted as it is.
    """
    from ... import sources
    from ...convert import inspect_onnx

    found = inspect_onnx(file, outputs=outputs, shape=shape)
    if as_json:
        say_json(found.as_dict())
    else:
        echo(str(found))
    if verify:
        sources.find_model(str(file), None, found.judged, verify)
    if found.problem:
        sys.exit(1)

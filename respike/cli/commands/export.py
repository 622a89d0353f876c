"""``respike export``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..command import Command, echo, option
from ..given import was_given
from ..values import Choice, ModelName, Output


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        method: Of ``SpikingNetwork``, which takes the path.
        options: Those of the command that it takes besides, by name.
    """

    method: str
    options: tuple[str, ...] = ()


FORMATS: Mapping[str, Format] = {
    "onnx": Format("to_onnx", ("form",)),
    "nir": Format("to_nir"),
    "py": Format("to_python"),
}
"""By the ending of the file."""


@click.command(
    cls=Command,
    short_help="Write a network as an ONNX, NIR or Python file.",
    epilog="""\b
MODEL is a converted network: net.respike, which respike convert -o wrote.

\b
Examples:
  respike export mnist.respike -o mnist.onnx
  respike export mnist.respike -o mnist_step.onnx --form step
  respike export mnist.respike -o mnist.nir
  respike export mnist.respike -o mnist.py""",
)
@click.argument("model", type=ModelName())
@option(
    "-o",
    "--output",
    type=Output(list(FORMATS)),
    metavar="FILE",
    required=True,
    help=f"File to write. Its ending says the format: {', '.join(f'.{name}' for name in FORMATS)}.",
)
@option(
    "--form",
    type=Choice(["loop", "step"]),
    default="loop",
    part="ONNX",
    help="A loop takes the input and the number of timesteps; a step takes the input and the states, and gives the new "
    "ones.",
)
def export(model: str, output: Path, **options: Any) -> None:
    """Write a converted network as a file that other programs read. Its schedule must be synchronous.

    ONNX files (.onnx) hold networks of every code, and onnxruntime runs them. NIR files (.nir) hold binary networks
    without max-pools, and Sinabs, SpikingJelly and snnTorch read them. They need respike[interop] to be written. Python
    files (.py, with a .safetensors file beside them) hold PyTorch code to read and change, with the neurons of
    respike.layers. See "Out of respike" in the
    docs for the lines that run a file.
    """
    from ... import convert as conversion
    from ...source_names import SourceError, ending, require_saved

    found = FORMATS[ending(output).lstrip(".")]
    stray = [name for name in options if was_given(name) and name not in found.options]
    if stray:
        raise SourceError(f"--{stray[0]} has no effect on {ending(output)} files")
    require_saved(model)
    write: Callable[..., None] = getattr(conversion.load(model), found.method)
    write(output, **{name: options[name] for name in found.options})
    echo(f"network: {output}", err=True)

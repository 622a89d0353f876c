"""``respike playground``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .command import Command, option
from .equivalent import literal
from .network import program
from .values import Output


def _python(options: dict[str, Any]) -> str:
    lines = [f'Path({literal(options["output"])}).write_text(playground_page(), encoding="utf-8")']
    return program(lines, "from pathlib import Path", "from respike.report.playground import playground_page")


@click.command(
    cls=Command,
    python=_python,
    short_help="Write a page to play with neurons.",
    epilog="""\b
Example:
  respike playground -o playground.html""",
)
@option(
    "-o",
    "--output",
    type=Output(["html", "htm"]),
    metavar="FILE",
    default="playground.html",
    help="Write the page here.",
)
def playground(output: Path) -> None:
    """Write a page to play with neurons: one HTML file for any browser, which needs no network.

    A bucket that leaks and fires; a bench where each neuron's parameters and input can be dragged; and the
    activation curve beside the ReLU, against the number of timesteps. It computes what respike.layers computes.
    """
    from ..files import written_whole
    from ..report.playground import playground_page

    with written_whole(output) as temporary:
        temporary.write_text(playground_page(), encoding="utf-8")
    click.echo(f"page: {output}", err=True)

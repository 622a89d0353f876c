"""``respike playground``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command import Command, echo, option
from ..values import Output


@click.command(
    cls=Command,
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
    help="Write the page to this file.",
)
def playground(output: Path) -> None:
    """Write a page to play with neurons: one HTML file that works offline in any browser.

    A bucket that leaks and fires; a bench where each neuron's parameters and input can be dragged; and the
    activation curve beside the ReLU, against the number of timesteps. It computes what respike.layers computes.
    """
    from ...report.playground import write_playground

    write_playground(output)
    echo(f"page: {output}", err=True)

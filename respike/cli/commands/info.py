"""``respike info``."""

from __future__ import annotations

import click

from ...text import table
from ..command import Command, echo, say_json
from ..options import JSON


@click.command(
    cls=Command,
    short_help="Show versions, kernels and number formats.",
    epilog="""\b
Examples:
  respike info
  RESPIKE_KERNELS=eager respike info --json""",
)
@JSON
def info(as_json: bool) -> None:
    """Show which versions, kernels and number formats run on this machine.

    RESPIKE_KERNELS=eager|numba|triton in the environment chooses other kernels.
    """
    from ...about import about

    found = about()
    if as_json:
        say_json(found)
    else:
        echo("\n".join(table(found.items())))

"""``respike info``."""

from __future__ import annotations

from pathlib import Path

import click

from ...text import table
from ..command import Command, echo, option, say_json
from ..options import JSON


@click.command(
    cls=Command,
    short_help="Show versions, kernels and number formats.",
    epilog="""\b
Examples:
  respike info
  respike info --network net.respike
  RESPIKE_KERNELS=eager respike info --json""",
)
@option(
    "--network",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show for each layer of a saved network whether its synapses add up events, and if not, why.",
)
@JSON
def info(network: Path | None, as_json: bool) -> None:
    """Show which versions, kernels and number formats run on this machine.

    RESPIKE_KERNELS=eager|numba|triton in the environment chooses other kernels.
    """
    from ...about import about

    found = about()
    if network is not None:
        from ... import convert
        from ...source_names import require_saved

        require_saved(str(network))
        found |= convert.load(network).synapses()
    if as_json:
        say_json(found)
    else:
        echo("\n".join(table(found.items())))

"""``respike curve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..command import Command, echo, option, say_json
from ..options import JSON
from ..room import check_steps
from ..values import Output, Steps

POINTS = 401
"""Currents at which a neuron is drawn, at least: it is run at all of them at once."""


@click.command(
    cls=Command,
    short_help="Draw transfer curves of neurons beside the ReLU.",
    epilog="""\b
Examples:
  respike curve -T 4,16 -o curves.svg
  respike curve --neuron all -T 64 --tau 5 -o neurons.png""",
)
@option(
    "-T",
    "--timesteps",
    type=Steps(),
    metavar="T,T,...",
    default="4,16,64",
    help="Timesteps for IAF; all other neurons use the largest.",
)
@option(
    "--tau",
    "taus",
    type=float,
    multiple=True,
    default=(5.0, 20.0),
    help="Time constants of LIF, in timesteps; --neuron uses the first.",
)
@option(
    "--neuron",
    metavar="NAME|all",
    help="Draw this neuron class (Leaky, for example) or all, with closed forms and rheobase.",
)
@option("-o", "--output", type=Output(), metavar="FILE", default="curves.png", help="Write the figure to this file.")
@JSON
def curve(timesteps: list[int], taus: tuple[float, ...], neuron: str | None, output: Path, as_json: bool) -> None:
    """Draw the transfer curves of neurons beside the ReLU that they replace.

    The firing rate of each neuron against a constant current; below, the difference from the
    clipped ReLU. With --neuron, any or all of the models, each beside its closed form.
    """
    from ...report import NEURONS, curve_figure, curves, neuron_curves, neuron_figure, save

    if min(taus) <= 0:
        raise click.BadParameter("time constants must be positive", param_hint="--tau")
    check_steps(timesteps, POINTS)
    found: dict[str, Any]
    if neuron is None:
        current, panels = curves(timesteps, taus)
        figure = curve_figure(current, panels)
        rates = {title: {name: rate.tolist() for name, rate in lines.items()} for title, lines in panels.items()}
        found = {"current": current.tolist(), "rates": rates}
    else:
        drawn = neuron_curves(list(NEURONS) if neuron == "all" else [neuron], max(timesteps), taus[0])
        figure = neuron_figure(drawn, max(timesteps), taus[0])
        found = {name: one.as_dict() for name, one in drawn.items()}
    save(figure, output)
    if as_json:
        say_json(found)
    echo(f"figure: {output}", err=True)

"""``respike merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...source_names import require
from ..command import Command, echo, option, say_json
from ..options import ENERGY, ENERGY_NAMES, JSON
from ..values import Output


@click.command(
    cls=Command,
    short_help="Make one result of the results of parts of the data.",
    epilog="""PART.json is what respike evaluate --part 1/2 --json wrote.

\b
Examples:
  respike merge one.json two.json -o all.json
  respike merge one.json two.json --cost""",
)
@click.argument("parts", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="PART.json ...")
@option("--again", is_flag=True, help="Also merge results of the same samples, which then count twice.")
@option("--cost", is_flag=True, help="Print the energy, compared with three ANNs.")
@ENERGY
@option("-o", "--output", type=Output(["json"]), metavar="FILE", help="Write the merged result to this file.")
@JSON
def merge(parts: tuple[Path, ...], again: bool, cost: bool, energy: str, output: Path | None, as_json: bool) -> None:
    """Merge results of parts of the data, from several runs or machines: exactly what one run over all would give.

    The parts must be of one network, one ANN, the same timesteps and the same options.
    """
    from ... import evaluation
    from ...evaluation.merging import missing_parts

    for part in parts:
        require(part, "result")
    result = evaluation.merge([evaluation.Evaluation.from_json(part) for part in parts], again=again)
    missing = missing_parts(result)
    if missing:
        echo(f"warning: without part {missing}, this is the result of the others alone", err=True)
    found: dict[str, Any] = {"cost": result.cost(getattr(evaluation, ENERGY_NAMES[energy]))} if cost else {}
    if as_json:
        say_json({**result.as_dict(), **{name: value.as_dict() for name, value in found.items()}})
    else:
        echo("\n\n".join(map(str, [result, *found.values()])))
    if output is not None:
        result.to_json(output)
        echo(f"result: {output}", err=True)

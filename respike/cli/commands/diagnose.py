"""``respike diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...source_names import SourceError, is_saved
from ..command import Command, echo, say_json
from ..conversion_options import CONVERSION
from ..options import DATA_ARE, FIGURE, JSON, MODEL, MODELS_ARE, TEST


@click.command(
    cls=Command,
    short_help="Which layer is wrong, why, and what to change.",
    epilog=f"""{MODELS_ARE}

{DATA_ARE} No labels are looked at.

\b
Examples:
  respike diagnose mnist_cnn -T 4
  respike diagnose mnist.respike --ann mnist_cnn --samples 200""",
)
@MODEL
@TEST
@CONVERSION
@FIGURE
@JSON
def diagnose(output: Path | None, as_json: bool, **options: Any) -> None:
    """Say for each layer of MODEL how far it is from the ANN, and why; for the worst, what to change.

    The error of what each layer decodes to is split into what came from the layers before it, and what clipping, the
    steps of a count of spikes, and unevenness over time do here. At most --samples of --data are looked at.
    """
    from ...evaluation import diagnose as examine
    from ...report import save
    from ..network import check_data, find_test, network

    if is_saved(options["model"]) and options["ann"] is None:
        raise SourceError(
            f"{options['model']} does not hold the network it was made from, to compare with: name it, --ann mnist_cnn"
        )
    test = find_test(options, labelled=False)
    ann, snn = network(options)
    check_data(snn, ann, test, options)
    held = ann if is_saved(options["model"]) else None  # one that was just converted still has its own
    found = examine(snn, test, held, samples=options["samples"], seed=options["seed"])
    if as_json:
        say_json(found.as_dict())
    else:
        echo(str(found))
    if output is not None:
        save(found.plot(), output)
        echo(f"figure: {output}", err=True)

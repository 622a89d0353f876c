"""``respike diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...source_names import SourceError, is_saved
from ..command import Command, echo, say_json
from ..conversion_options import CONVERSION
from ..options import ANN_ON, DATA_ARE, FIGURE, JSON, MODEL, MODELS_ARE, RESUME, TEST
from ..spelling import as_typed


@click.command(
    cls=Command,
    short_help="Find the layer that is wrong, and what to change.",
    epilog=f"""{MODELS_ARE}

{DATA_ARE} Labels are not used.

\b
Examples:
  respike diagnose mnist_cnn -T 4
  respike diagnose mnist.respike --ann mnist_cnn --samples 200""",
)
@MODEL
@TEST
@ANN_ON
@RESUME
@CONVERSION
@FIGURE
@JSON
def diagnose(output: Path | None, as_json: bool, **options: Any) -> None:
    """Show how far each layer of MODEL is from the ANN, and why; for the worst, say what to change.

    The error of each layer's decoded output is split into what earlier layers cause and what clipping, quantisation and
    uneven timing cause in this layer. Uses at most --samples of --data.
    """
    from ...evaluation import diagnose as examine
    from ...report import save
    from ..network import beside, checked, find_test, network

    if is_saved(options["model"]) and options["ann"] is None:
        raise SourceError(
            f"{options['model']} does not contain the ANN to compare with: name it, for example --ann mnist_cnn"
        )
    test = find_test(options, labelled=False)
    ann, snn = network(options, beside(options["resume"]))
    test = checked(snn, ann, test, options)
    held = ann if is_saved(options["model"]) else None  # one that was just converted still has its own
    kwargs = {name: options[name] for name in ("ann_on", "samples", "seed", "resume")}
    found = examine(snn, test, held, **kwargs)
    if as_json:
        say_json(found.as_dict())
    else:
        echo(as_typed(str(found)))
    if output is not None:
        save(found.plot(), output)
        echo(f"figure: {output}", err=True)

"""``respike evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...source_names import SourceError
from ..command import Command, echo, option, say_json
from ..conversion_options import CONVERSION
from ..options import ANN_ON, BATCH_SIZE, DATA_ARE, ENERGY, ENERGY_NAMES, FIGURE, JSON, MODEL, MODELS_ARE, RESUME, TEST
from ..values import Part


def _early(snn: Any, test: Any, options: dict[str, Any]) -> Any:
    """How the network does if its samples stop early."""
    from ...convert import EarlyExit
    from ...evaluation import evaluate_exit
    from ..network import calibration

    kwargs = {name: options[name] for name in ("judge", "samples", "seed")}
    early = EarlyExit(snn, calibration(options, snn), agreement=options["early_exit"], **kwargs)
    return evaluate_exit(early, test, batch_size=options["batch_size"])


@click.command(
    cls=Command,
    short_help="Measure accuracy, spikes and SynOps against timesteps.",
    epilog=f"""{MODELS_ARE}

{DATA_ARE}

\b
Examples:
  respike evaluate mnist_cnn -T 8 --cost -o accuracy.png
  respike evaluate mnist.respike --ann mnist_cnn -T 16
  respike evaluate net.onnx --calibration train.npz --data test.npz --json > net.json""",
)
@MODEL
@TEST
@ANN_ON
@BATCH_SIZE
@option(
    "--against-float32",
    is_flag=True,
    part="Evaluation",
    help="Also run in float32, and print how often the decisions agree.",
)
@option(
    "--early-exit",
    type=float,
    metavar="PERCENT",
    part="Evaluation",
    help="Stop each sample when its answer is clear; this percentage must keep the answer of all T steps (99.9).",
)
@option("--cost", is_flag=True, part="Evaluation", help="Print the energy, compared with three ANNs.")
@ENERGY
@option(
    "--part",
    type=Part(),
    metavar="K/N",
    part="Evaluation",
    help="Evaluate on the K-th of N parts of the data alone, on one of N machines; respike merge puts them together.",
)
@RESUME
@CONVERSION
@FIGURE
@JSON
def evaluate(output: Path | None, as_json: bool, **options: Any) -> None:
    """Convert MODEL and print accuracy, agreement, spikes and SynOps against timesteps.

    Agreement is the share of samples on which the spiking network decides as the ANN does. SynOps are synaptic
    operations: each spike counts once per synapse that it reaches.
    """
    from ... import evaluation
    from ...report import save
    from ..network import beside, checked, find_test, network

    if options["part"] is not None and options["early_exit"] is not None:
        raise SourceError("--early-exit looks at all data; omit --part, or evaluate early exit in a run of its own")
    test = find_test(options)
    ann, snn = network(options, beside(options["resume"]))
    test = checked(snn, ann, test, options)
    kwargs = {name: options[name] for name in ("judge", "batch_size", "against_float32", "ann_on", "part", "resume")}
    result = evaluation.evaluate(snn, test, ann=ann, **kwargs)
    before = {} if snn.choice is None else {"choice": snn.choice}
    after: dict[str, Any] = {}
    if options["cost"]:
        after["cost"] = result.cost(getattr(evaluation, ENERGY_NAMES[options["energy"]]))
    if options["early_exit"] is not None:
        after["early_exit"] = _early(snn, test, options)
    if as_json:
        say_json({**result.as_dict(), **{name: value.as_dict() for name, value in (before | after).items()}})
    else:
        echo("\n\n".join(map(str, [*before.values(), result, *after.values()])))
    if output is not None:
        save(result.plot(), output)
        echo(f"figure: {output}", err=True)

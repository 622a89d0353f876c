"""``respike finetune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...source_names import SourceError, is_saved
from ..command import Command, echo, option, say_json
from ..conversion_options import CONVERSION
from ..options import DATA_ARE, JSON, MODEL, MODELS_ARE
from ..values import DataName, ModelName, Output

NUMBERS = ("steps", "learning_rate", "batch_size", "labels", "held_back", "seed", "hidden")


@click.command(
    cls=Command,
    short_help="Train a network through its spikes to give the ANN's outputs.",
    epilog=f"""{MODELS_ARE}

{DATA_ARE} With --data-dir, mnist and fashion_mnist are all training images.

\b
Examples:
  respike finetune mnist_mlp -T 1 --shift 2 -o mlp.respike
  respike finetune fashion_resnet -T 2 --data-dir data --shift 2 --steps 5000 -o net.respike
  respike finetune net.respike --ann mynet:Net --weights net.safetensors --data train.npz -o tuned.respike""",
)
@MODEL
@option("--ann", type=ModelName(), part="Model and data", help="For net.respike: the network it was converted from.")
@option(
    "--data",
    type=DataName(),
    part="Model and data",
    help="Inputs to learn from; labels are read only with --labels. By default, what calibrates.",
)
@option("--steps", default=1000, type=click.IntRange(1), part="Training", help="Batches to learn from.")
@option(
    "--learning-rate",
    type=float,
    part="Training",
    help="Of Adam, at its highest. By default 1e-3; 3e-4 if fewer than 4,096 samples are not held back.",
)
@option("--batch-size", default=64, type=click.IntRange(1, 2**31), part="Training", help="Samples per batch.")
@option(
    "--shift", default=0, type=click.IntRange(0, 2**16), part="Training", help="Move images by up to so many pixels."
)
@option("--labels", default=0.0, type=float, part="Training", help="Weight of the labels beside the ANN's outputs.")
@option(
    "--hidden",
    default=1.0,
    type=float,
    part="Training",
    help="Weight of the hidden layers beside the outputs.",
)
@option("--held-back", default=512, type=click.IntRange(2), part="Training", help="Most samples that judge.")
@option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    part="Training",
    help="Note in this file how far it is; if it is there, go on from it.",
)
@CONVERSION
@option("-o", "--output", type=Output(["respike"]), metavar="FILE", help="Write the network to this file.")
@JSON
def finetune(output: Path | None, as_json: bool, resume: Path | None, **options: Any) -> None:
    """Convert MODEL, or take a saved network, and train it to give the outputs of the ANN, without labels.

    Gradients go through the spikes and through time. The network learns at its own number of timesteps, or at -T for a
    saved one, and is best at that then. One sample in eight is held back and judges on the way by its loss; the best is
    kept. Less than a thousand samples may change little: with --data-dir, mnist and fashion_mnist are all training
    images.
    """
    from torch import Tensor

    from ... import sources, training
    from ...progress import Bar
    from ...ranks import alone, here
    from ..images import reading
    from ..network import data_name, network, taken_by

    if is_saved(options["model"]) and options["ann"] is None:
        raise SourceError(
            f"{options['model']} does not contain the ANN to learn from: name it, for example --ann mnist_cnn"
        )
    name = options["data"] or options["calibration"] or data_name(options, "calibration")
    labelled = bool(options["labels"])
    data = sources.find_calibration(name, options["data_dir"], labelled=labelled, **reading(name, options))
    if options["labels"] and isinstance(data, Tensor):
        raise SourceError(f"--labels needs labels, and {name} has none without --data-dir")
    ann, snn = network(options)
    if not here().first:  # one trains
        return
    told = training.TrainingOptions(**{name: options[name] for name in NUMBERS})
    data = taken_by(snn, data)
    augment = training.Shifts(options["shift"]) if options["shift"] else None
    with alone(), Bar() as bar:
        made = training.tune(snn, data, ann if is_saved(options["model"]) else None, told, augment, resume, bar)
    if as_json:
        both = {"before": asdict(made.before), "after": asdict(made.after), "held_back": made.samples}
        say_json({**made.network.as_dict(), **both})
    else:
        echo(f"on {made.samples} samples that neither trained nor calibrated it, after T = {made.network.timesteps}:")
        echo(f"before: {made.before}\nnow:    {made.after}")
    if output is not None:
        made.network.save(output)
        echo(f"network: {output}", err=True)

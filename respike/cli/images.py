"""How images in files are read: prepared as the model's weights say, by several processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psutil

from .. import sources
from ..convert.graph import Graph
from ..images import of_size, of_weights
from ..pretrained import named_weights
from .command import echo
from .given import was_given

MOST_WORKERS = 4
"""Processes that read images, unless the user says how many."""
LEAST_BATCH = 64
"""Images that calibration reads at once."""
SHARED = Path("/dev/shm")
"""Where Linux has memory that processes share."""


def reading(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments ``prepare`` and ``workers`` for what a name stands for; says on stderr how images are prepared.

    Raises:
        SourceError: the model's name asks for weights that there are not.
    """
    if not sources.is_images(name):
        return {}
    weights = None if was_given("image_size") else _weights(options)
    prepare = of_size(options["image_size"]) if weights is None else of_weights(weights)
    said = click.get_current_context().meta.setdefault("respike.images", set())
    if prepare.words not in said:
        said.add(prepare.words)
        echo(f"images: {prepare.words}", err=True)
    workers = options["workers"]
    if workers is None:
        workers = _usual_workers(12 * prepare.size**2 * max(LEAST_BATCH, options.get("batch_size", 0)))
    return {"prepare": prepare, "workers": workers}


def class_names(options: dict[str, Any]) -> list[str] | None:
    """Names of the network's classes, if its weights say them."""
    weights = _weights(options)
    names = None if weights is None else weights.meta["categories"]
    return None if names is None else list(names)


def check_classes(data: Any, graph: Graph, name: str) -> None:
    """Warn of a data set with another number of classes than the network: its labels then mean something else.

    Args:
        data: The data set.
        graph: Of the network.
        name: Of the data set.
    """
    classes: Sequence[Any] | None = getattr(data, "classes", None)
    shapes = [graph.shape(output) or () for output in graph.output_names()]
    if not sources.is_images(name) or classes is None or len(shapes) != 1 or len(shapes[0]) != 2:
        return
    outputs = shapes[0][1]
    if outputs is not None and outputs > 1 and len(classes) != outputs:
        echo(
            f"warning: {name} has {len(classes):,} folders, which are numbered from 0 in the order of their names, but "
            f"the network has {outputs:,} outputs. Accuracy is meaningless unless folder k is the network's class k; "
            "agreement with the ANN needs no labels",
            err=True,
        )


def _weights(options: dict[str, Any]) -> Any:
    """The weights that the name of the model, or of the network that it was converted from, asks for."""
    names = (options["model"], options.get("ann"))
    return next((found for name in names if name is not None and (found := named_weights(name)) is not None), None)


def _usual_workers(size: int) -> int:
    """One for each processor that this process may use; none where shared memory is small, as in containers.

    Args:
        size: Bytes of a batch. Each worker passes on two of them, and one is in use.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(MOST_WORKERS, cores)
    if SHARED.is_dir() and psutil.disk_usage(str(SHARED)).free < size * (2 * workers + 1):
        return 0
    return workers

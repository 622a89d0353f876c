"""ANN and SNN on the same samples, layer by layer."""

from __future__ import annotations

from os import PathLike
from typing import Any

from torch import Tensor, nn

from ...convert import checks
from ...convert import data as reading
from ...convert.caller_state import undisturbed
from ...convert.data import raw_batches
from ...convert.errors import ConversionError
from ...convert.identity import digest_of_data, digest_of_model, digest_of_network
from ...convert.network import SpikingNetwork, add_shortcut
from ...convert.rank_batches import own
from ...progress import SILENT, Listener, listener
from ...ranks import here
from ..noted import Noted
from ..shown_to_ann import AnnOn, check_ann_on
from .looking import Looking
from .result import Diagnosis


@undisturbed()
def diagnose(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    timesteps: int | None = None,
    ann_on: AnnOn = "mean",
    samples: int = 512,
    seed: int = 0,
    resume: str | PathLike[str] | None = None,
    progress: bool | Listener | None = None,
) -> Diagnosis:
    """Find out which layer of a spiking network is wrong, why, and what to change.

    Every layer's decoded output, the mean over T steps, is compared with the ANN's on the same samples, and the
    difference is split by cause, see ``parts``. Each layer is also tried alone, see ``Trial``, which distinguishes a
    broken layer from one that suffers from the layers before it.

    In a group of processes (``torchrun``) each looks at its own batches, and all return the same result.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:128]
    >>> snn = respike.from_torch(model, calibration, timesteps=4)
    >>> diagnosis = respike.diagnose(snn, calibration, samples=64)
    >>> [layer.where for layer in diagnosis.layers], diagnosis.faults
    (['net.2 (ReLU)', 'net.4 (ReLU)'], ())

    Args:
        snn: The network; not changed.
        data: Unlabelled samples, as for ``respike.from_torch``, or a pair of tensors of inputs and targets, of which
            the inputs count.
        ann: The model that the network was made from; needed if it was loaded from a file. Not changed.
        timesteps: T; ``snn.timesteps`` by default.
        ann_on: As for ``respike.evaluate``, for the network's outputs; a layer's rate says what the ANN's layer gives
            on the mean, and is held against that.
        samples: The most samples that are used.
        seed: Random seed for the sample order.
        resume: As for ``respike.evaluate``.
        progress: As for ``respike.evaluate``.

    Raises:
        ConversionError: there is no ANN to compare with, it does not fit, or the data is empty or of another shape.
        ResumeError: the resume file belongs to other work or is damaged, or the data are others.
        RankError: another process has failed.
        ValueError: ``timesteps`` below 1.
    """
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    total = checks.whole("timesteps", snn.timesteps if timesteps is None else timesteps, 1, checks.STEPS)
    samples, seed = checks.whole("samples", samples, 1), checks.seed(seed)
    checks.progress(progress, bar=True)
    check_ann_on(ann_on, snn.graph)
    if resume is not None:
        checks.path("resume", resume)
    pair = isinstance(data, tuple) and len(data) == 2 and all(isinstance(x, Tensor) for x in data)
    given = data[0] if pair and snn.graph.arity == 1 else data
    ranks = here()

    def bound() -> dict[str, Any]:
        found = {"network": digest_of_network(snn), "ann": None if ann is None else digest_of_model(ann)}
        options = {"timesteps": total, "ann_on": ann_on, "samples": samples, "seed": seed}
        return found | {"data": digest_of_data(given)} | options

    work = Looking(snn, ann, total, ann_on)
    with (
        listener(progress, default=True) if ranks.first else SILENT as told,
        Noted(resume, "diagnosis", bound, ranks) as noted,
    ):
        raw, order = raw_batches(given, snn.graph.arity, seed)
        known = min(samples, len(given)) if isinstance(given, Tensor) or _is_counted(given) else samples
        told.report("diagnosing", noted.seen, known)
        if noted.state is not None:
            work.restore(noted.state, noted.tensors)
        if not noted.finished:
            mine = own(noted.watched(raw), ranks, noted.done)
            for seen in work.through(mine, order, samples, noted, ranks):
                told.report("diagnosing", seen, known)
        if not work.outputs.samples:
            raise ConversionError("the data is empty; give a few hundred samples to diagnose with")
        found = ranks.once(work.found)
        if not noted.finished:
            noted.note(*work.state(), finished=True)
    return found


def _is_counted(data: Any) -> bool:
    return reading.is_dataset(data) and hasattr(data, "__len__")


add_shortcut("diagnose", diagnose)

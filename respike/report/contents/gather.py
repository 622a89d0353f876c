"""Everything that can be found out about one network, for a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, TypeVar

from torch import Tensor, nn

from ...about import about
from ...convert import checks
from ...convert.data import rows
from ...convert.early_exit import EarlyExit
from ...convert.graph import Graph, Ref
from ...convert.network import SpikingNetwork
from ...convert.options import Judge
from ...convert.thread_pool import cut
from ...errors import InputError
from ...evaluation import ENERGY_45NM, EnergyModel, Evaluation, diagnose, evaluate, evaluate_exit
from ...evaluation.batches import split_batches
from ...evaluation.shown_to_ann import AnnOn
from ...progress import SILENT, Listener, listener
from ...ranks import alone, here
from .activations import activations
from .decisions import decisions
from .report import Report
from .sample import sample_run

Found = TypeVar("Found")
PAIRED = 128
"""Samples whose activations and rates are paired, at most."""


def gather(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    name: str = "network",
    calibration: Any = None,
    evaluation: Evaluation | None = None,
    classes: Sequence[str] | None = None,
    samples: int = 256,
    sample: int = 0,
    judge: Judge = "auto",
    ann_on: AnnOn = "mean",
    agreement: float = 99.9,
    energy: EnergyModel = ENERGY_45NM,
    batch_size: int = 100,
    seed: int = 0,
    command: str | None = None,
    run: Mapping[str, Any] | None = None,
    resume: str | PathLike[str] | None = None,
    progress: bool | Listener | None = None,
) -> Report:
    """Judge a network in every way that its report shows.

    In a group of processes, evaluation and diagnosis are shared; all else rank 0 does by itself.

    What cannot be known is left out: the diagnosis without the ANN, early exit without calibration data, decisions of
    a network that makes none, the course of one sample unless the schedule is synchronous.

    Args:
        snn: The network; not changed.
        data: Labelled test data as for ``respike.evaluate``; read several times.
        ann: The network it was made from; not changed.
        name: What to call it.
        calibration: Unlabelled data as for ``respike.from_torch``, on which the early exit's threshold is chosen.
        evaluation: Of the same network, data and ANN, if it is there already.
        classes: Names of the classes.
        samples: How many samples the diagnosis looks at, at most.
        sample: The one whose spikes are shown, by its place in the data.
        judge: As for ``respike.evaluate``.
        ann_on: Likewise.
        agreement: Of the early exit, in percent.
        energy: Of each operation.
        batch_size: For a Dataset or a pair of tensors.
        seed: Random seed for the sample order and for the choice of what is drawn.
        command: That made the report, to be shown in it.
        run: What else should be known: names of data, options.
        resume: As for ``respike.evaluate``: of the evaluation. That of the diagnosis is beside it,
            ``FILE.diagnosis``; what else is shown is computed anew.
        progress: As for ``respike.evaluate``.

    Raises:
        ValueError: data that can be read only once, a ``sample`` that is not there, fewer names than classes, or as
            for ``respike.evaluate``.
    """
    if isinstance(data, Iterator):
        raise InputError(
            "a report reads its data several times; pass a Dataset, a pair of tensors or a list of batches"
        )
    if resume is not None:
        checks.path("resume", resume)
    args, target = _one(data, sample, batch_size, snn.graph)  # before the long work: it may not be there
    ranks = here()

    def by_one(work: Callable[[], Found]) -> Found:
        """What rank 0 computes by itself, while the others wait."""

        def by_itself() -> Found:
            with alone():
                return work()

        return ranks.once(by_itself)

    with listener(progress, default=True) if ranks.first else SILENT as told:
        result = evaluation or evaluate(
            snn, data, ann, judge=judge, ann_on=ann_on, batch_size=batch_size, resume=resume, progress=told
        )
        timesteps = result.timesteps
        told.report("comparing decisions")
        known = (
            by_one(
                lambda: decisions(
                    snn, ann, data, timesteps=timesteps, ann_on=ann_on, batch_size=batch_size, classes=classes
                )
            )
            if result.metric == "accuracy"
            else None
        )
        early = compared = parts = None
        if calibration is not None and known is not None and _may_stop(snn):
            told.report("choosing when to stop early")

            def stopping() -> dict[str, Any]:
                early = EarlyExit(snn, calibration, agreement=agreement, judge="decision", seed=seed)
                return evaluate_exit(early, data, batch_size=batch_size, progress=told).as_dict()

            early = by_one(stopping)
        if _comparable(snn, ann):
            told.report("diagnosing")
            found = diagnose(
                snn,
                data,
                ann,
                timesteps=timesteps,
                samples=samples,
                seed=seed,
                ann_on=ann_on,
                resume=None if resume is None else f"{fspath(resume)}.diagnosis",
                progress=told,
            )
            compared = found.as_dict()
            parts = by_one(
                lambda: activations(snn, ann, data, timesteps=timesteps, samples=min(samples, PAIRED), seed=seed)
            )
        told.report("running one sample")
        shown = by_one(lambda: sample_run(snn, args, target, ann, index=sample, timesteps=timesteps, ann_on=ann_on))
    return Report.of(
        result,
        name,
        network=snn.as_dict(),
        cost=result.cost(energy).as_dict(),
        early_exit=early,
        diagnosis=compared,
        activations=parts,
        decisions=known,
        sample=shown,
        run={"command": command, "seed": seed, **(run or {}), "versions": about()},
    )


def _may_stop(snn: SpikingNetwork) -> bool:
    """Whether samples can leave the network one by one, each with class scores."""
    scores = [x for x in snn.graph.outputs if isinstance(x, Ref)]
    shape = (snn.graph.shape(scores[0].name) if len(scores) == 1 else None) or ()
    return snn.schedule == "synchronous" and snn.plan.separable and len(shape) in (1, 2)


def _comparable(snn: SpikingNetwork, ann: nn.Module | None) -> bool:
    """Whether there is an ANN, in whose units the network computes."""
    return (ann is not None or snn.origin is not None) and not snn.unit_thresholds


def _one(data: Any, wanted: int, batch_size: int, graph: Graph) -> tuple[list[Tensor], Any]:
    """A sample and its target, as a batch of one."""
    seen = 0
    for inputs, target in split_batches(data, batch_size, graph):
        n = rows(inputs)
        if 0 <= wanted < seen + n:
            one, label = cut((inputs, target), slice(wanted - seen, wanted - seen + 1))
            return one, label
        seen += n
    raise InputError(f"there is no sample {wanted}: the data has {seen}, counted from 0")

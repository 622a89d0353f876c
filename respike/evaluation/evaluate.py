"""Accuracy, agreement, spikes and synaptic operations at every timestep, from one pass over the data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from os import PathLike
from typing import Any, get_args

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from ..convert import checks
from ..convert.caller_state import undisturbed
from ..convert.identity import digest_of_data, digest_of_function, digest_of_model, digest_of_network
from ..convert.network import SpikingNetwork
from ..convert.options import Judge
from ..convert.rank_batches import has_order, order_of, own
from ..errors import InputError
from ..progress import SILENT, Listener, Progress, listener
from ..ranks import Ranks, first_difference, here
from .batches import batched, part_of
from .curves import Metric
from .judging import Judging, Shown
from .merging import sealed
from .noted import Noted
from .result import Evaluation
from .rounds import in_rounds
from .shown_to_ann import AnnOn, check_ann_on
from .tally import Tally, tally_of

ON_FRAMES = "the ANN's answer is the mean of its outputs on each frame"
"""Said where it is so."""


@undisturbed()
def evaluate(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    timesteps: int | None = None,
    judge: Judge = "auto",
    metric: Metric | None = None,
    batch_size: int = 100,
    against_float32: bool = False,
    ann_on: AnnOn = "mean",
    part: tuple[int, int] | None = None,
    resume: str | PathLike[str] | None = None,
    progress: bool | Listener | None = None,
) -> Evaluation:
    """Judge a spiking network at every number of timesteps up to ``timesteps``.

    Class numbers as targets, ``(N,)``, or ``(N, ...)`` for outputs ``(N, K, ...)``, are judged by accuracy, which is
    the share of right positions where a sample has several; one-hot targets of the output's shape are class numbers
    too. Labels of -100 do not count. A single score, ``(N,)`` or ``(N, 1)``, with labels 0 and 1 is judged by its
    sign, or behind a sigmoid by whether it is above 0.5. Other targets of the output's shape are values (regression)
    and judged by R², the mean over outputs, and by the relative error against the ANN.

    In a group of processes (``torchrun``) each judges its own batches, and all return the same result, bit for bit that
    of one process, as long as each computes with as many threads.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:128]
    >>> snn = respike.from_torch(model, calibration, timesteps=4)
    >>> images, labels = respike.models.datasets.load("mnist").tensors
    >>> result = respike.evaluate(snn, (images[:200], labels[:200]), ann=model)
    >>> len(result.accuracy), bool(result.agreement[-1] > 0.9)
    (4, True)

    Args:
        snn: The network.
        data: A Dataset of (input, target), a pair of tensors or arrays, or an iterable of such batches. For a
            network with several inputs a batch is ((inputs ...), target) or (inputs ..., target).
        ann: The network it was made from, for its accuracy and the agreement. It is not changed.
        timesteps: ``snn.timesteps`` by default.
        judge: ``"decision"``: by accuracy; ``"error"``: by R² and error; by default the first batch of targets tells.
        metric: Replaces accuracy: takes the network's output and the target, gives one score per sample.
        batch_size: For a Dataset or a pair of tensors.
        against_float32: Run the network in float32 too, and count how often it decides alike in its own precision.
        ann_on: What the ANN is shown of inputs that move: the ``"mean"`` of their frames, which is what a rate code
            reads; or ``"frames"``: each, and the mean of its outputs counts, and the work of all passes.
        part: ``(2, 5)``: the second of five parts of the data, of which each has every fifth batch; for programs on
            several machines that know nothing of each other. ``respike.evaluation.merge`` makes one result of all.
        resume: A file in which it is noted once a minute how far the work is; if it is there, the work goes on
            from it, to the same result. Data must come in the same order again.
        progress: Whether to show a bar, by default on a terminal; or what to tell, as for ``respike.from_torch``.

    Returns:
        Curves over time; see ``Evaluation``.

    Raises:
        ResumeError: the resume file belongs to other work or is damaged, or the data are others.
        RankError: another process has failed.
        ValueError: no data, targets that do not fit the outputs, outputs that cannot be judged while no ``metric`` is
            given, or an option out of range.
    """
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    total = checks.whole("timesteps", snn.timesteps if timesteps is None else timesteps, 1, checks.STEPS)
    checks.one_of("judge", judge, get_args(Judge))
    checks.function("metric", metric)
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.flag("against_float32", against_float32)
    check_ann_on(ann_on, snn.graph)
    checks.progress(progress, bar=True)
    part = _checked(part)
    if resume is not None:
        checks.path("resume", resume)
    ranks = here()
    asked: dict[str, Any] = {
        "timesteps": total,
        "judge": judge,
        "batch_size": batch_size,
        "against_float32": against_float32,
    }
    asked |= {"ann_on": ann_on, "part": part, "metric": None if metric is None else digest_of_function(metric)}
    kinds = {"network": digest_of_network(snn), "ann": None if ann is None else digest_of_model(ann)}
    if resume is not None or not ranks.alone:
        kinds["data"] = digest_of_data(data)
    _require_same(ranks, kinds, asked)
    work = Judging(snn, ann, total, ann_on, against_float32)
    batches, length = part_of(*batched(data, batch_size), part)

    def bound() -> dict[str, Any]:
        order = order_of(batches) if isinstance(batches, DataLoader) and has_order(batches) else None
        return {**asked, "order": order, **kinds}

    with (
        torch.no_grad(),
        listener(progress, default=True) if ranks.first else SILENT as told,
        Noted(resume, "evaluation", bound, ranks) as noted,
    ):
        told.report("evaluating", noted.seen, length)
        if noted.state is not None:
            work.begin(noted.state["curves"]["about"], metric)
            if ranks.first:
                work.tally.join(noted.state)
        if noted.finished:
            ranks.once(partial(noted.compare, batches))
        else:
            mine = own(noted.watched(batches), ranks, noted.done)
            _judge_all(work, (batch for _, batch in mine), ranks, noted, told, length, judge, metric, part)
        tally = _whole(work.tally, total, ranks)
        cut = [] if part is None else [[*part, batch_size]]
        result = _result(work, tally, {"network": kinds["network"], "ann": kinds["ann"], "cut": cut}, ann_on)
        if not noted.finished:
            noted.note(tally.as_dict(), finished=True)
    return result


def _require_same(ranks: Ranks, kinds: dict[str, Any], asked: dict[str, Any]) -> None:
    """Whether all processes evaluate the same.

    Raises:
        InputError: they do not.
    """
    if ranks.alone:
        return
    found = ranks.gathered(lambda: {**kinds, "option": asked})
    names = ["network", "ann", "data", "option"]
    other = first_difference([(name, [told.get(name) for told in found]) for name in names])
    if other is not None:
        what = {"network": "another network", "ann": "another ANN", "data": "other data", "option": "other options"}
        raise InputError(
            f"rank {other[1]} of {ranks.size} evaluates {what[other[0]]} than rank 0; all must give the same, and a "
            "DistributedSampler shares data"
        )


def _checked(part: Any) -> tuple[int, int] | None:
    if part is None:
        return None
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        raise InputError(f"part must be a pair such as (2, 5), the second of five parts, or None; got {part!r}")
    count = checks.whole("the number of parts", part[1], 1)
    return checks.whole("part", part[0], 1, count), count


def _judge_all(
    work: Judging,
    batches: Iterator[Any],
    ranks: Ranks,
    noted: Noted,
    told: Progress,
    length: int | None,
    judge: Judge,
    metric: Metric | None,
    part: tuple[int, int] | None,
) -> None:
    """Judge the batches of this process, in step with the others."""
    ready: list[Shown | None] = []

    def first() -> tuple[bool, dict[str, Any] | None]:
        for batch in itertools.islice(batches, 1):
            ready.append(work.shown(batch))
            return True, None if ready[-1] is None else work.kind(ready[-1], judge, metric)
        return False, None

    while noted.state is None:  # until a batch that is not empty says what is judged
        found = ranks.gathered(first)
        kinds = [kind for _, kind in found if kind is not None]
        if kinds:
            work.begin(kinds[0], metric)
            break
        if not any(more for more, _ in found):
            none = "" if part is None else f"part {part[0]} of {part[1]} has no batch, as there are fewer batches; "
            raise InputError(f"{none}there is no data to evaluate on")

    def judged(batch: Shown | None) -> int:
        return 0 if batch is None else work.judge(batch)

    def after(batches: int, samples: int, noting: bool) -> bool:
        noted.done, noted.seen = noted.done + batches, noted.seen + samples
        if batches:
            told.report("evaluating", noted.seen, length)
        if noting:
            noted.note(_whole(work.tally, work.total, ranks).as_dict())
        return True

    shown = itertools.chain(ready, map(work.shown, batches))
    in_rounds(shown, judged, ranks, due=noted.due, after=after)


def _whole(tally: Tally, total: int, ranks: Ranks) -> Tally:
    """What all processes have added up."""
    if ranks.alone:
        return tally
    first, *others = ranks.gathered(tally.as_dict)
    found = tally_of(first, total)
    for other in others:
        found.join(other)
    return found


def _result(work: Judging, tally: Tally, about: dict[str, Any], ann_on: AnnOn) -> Evaluation:
    snn, total, fan_out = work.snn, work.total, work.counter.work
    of_ann = fan_out.ann.times(total if ann_on == "frames" else 1)
    clock = np.arange(1, total + 1)
    layers = work.counter.layers()
    compared, twin = work.reference is not None, work.twin is not None
    always = work.inputs.always
    return Evaluation(
        schedule=snn.schedule,
        macs=fan_out.once.macs + fan_out.every_step.macs * clock.astype(np.float64),
        ann_macs=of_ann.macs,
        input_work=fan_out.once,
        step_work=fan_out.every_step,
        ann_work=of_ann,
        neurons=sum(layer.neurons for layer in layers if layer.kind == "spike"),
        latency=np.array([snn.latency_at(int(t)) for t in clock]),
        metric=tally.curves.metric,
        judged="; ".join(filter(None, [tally.curves.judged, ON_FRAMES if ann_on == "frames" else ""])),
        sums=sealed({**about, "always": always, "compared": compared, "twin": twin, **tally.as_dict()}),
        **tally.results(layers, of_ann.macs, always, compared, twin),
    )

"""The parts of ``speed.py`` that judge on test images: accuracy, and whole, at the T that each converter needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import count, takewhile
from typing import TYPE_CHECKING, TypeVar

import peers
import torch
from speed_cases import USUAL, Case, Row, in_each_precision, in_parts, in_turns, multi_step, seconds

import respike
from respike.convert.precision import PRECISIONS
from respike.models import REGISTRY

if TYPE_CHECKING:
    from benchmark import Judge

WITHIN = 0.1
Made = TypeVar("Made", bound=peers.Decode)


def accuracy(case: Case) -> Iterator[Row]:
    """What each precision loses."""
    if case.name not in REGISTRY:
        return
    try:
        calibration, judge = case.judged(case.name)
    except ValueError as error:
        yield Row("accuracy", case.name, "ours", USUAL, "accuracy, %", note=str(error))
        return
    snn = respike.from_torch(case.ann, calibration, USUAL)
    exact = judge.decisions(snn)
    for p in PRECISIONS:
        snn.precision = p
        decided = judge.decisions(snn)
        right, before = judge.share(decided, judge.labels), judge.share(exact, judge.labels)
        measured = {
            "accuracy, %": right,
            "points below float32": before - right,
            "agreement with float32, %": judge.share(decided, exact),
        }
        for measure, value in measured.items():
            yield Row("accuracy", case.name, f"ours, {p}", USUAL, measure, value)


def whole(case: Case) -> Iterator[Row]:
    """All MNIST test images, each converter at the T that it needs; in times of ours."""
    if case.name != "mnist_cnn":
        return
    calibration, judge = case.judged(case.name)
    convert = cache(lambda t: in_each_precision(respike.from_torch(case.ann, calibration, t)))
    mine = {f"ours, {p}": lambda t, p=p: convert(t)[p] for p in PRECISIONS}
    names = [name for name in peers.installed()[0] if name.startswith("SpikingJelly") and case.args.peers]
    recipes = {name: partial(peers.PEERS["spikingjelly"][name], case.ann, calibration) for name in names}
    ours = first_within(judge, mine, 16)
    theirs: dict[str, tuple[int, peers.Decode]] = {}
    # A step costs the same with every recipe: one of those that come within reach, in both modes.
    for name, (t, single) in list(first_within(judge, recipes, 64).items())[:1]:
        theirs[name] = t, single
        with contextlib.suppress(peers.RefusedError):
            theirs[f"{name}, multi-step"] = t, in_parts(case, t, multi_step(single, t, case.x[:2]))
    for name, tried, found in (("ours", mine, ours), ("SpikingJelly", recipes, theirs)):
        if tried and not found:
            yield Row("whole", case.name, name, None, "T", note=f"not within {WITHIN} points at any T")
    if not ours:
        return
    trials = {name: partial(judge.decisions, decode) for name, (_, decode) in (ours | theirs).items()}
    fastest = min(ours, key=lambda name: seconds(trials[name]))
    ratios = in_turns(trials[fastest], trials, case.args.repeats)
    for name, (t, decode) in (ours | theirs).items():
        yield Row("whole", case.name, name, None, "T", t)
        yield Row("whole", case.name, name, None, "points lost", points_lost(judge, decode))
        yield Row("whole", case.name, name, None, f"time ÷ {fastest}").of(ratios[name])


def first_within(
    judge: Judge, converters: Mapping[str, Callable[[int], Made]], longest: int
) -> dict[str, tuple[int, Made]]:
    """Of T = 1, 2, 4, ... the first at which any comes within reach of the ANN, and those that do."""
    for t in takewhile(lambda t: t <= longest, (2**i for i in count())):
        found = {}
        for name, convert in converters.items():
            with contextlib.suppress(peers.RefusedError):
                decode = convert(t)
                # Who loses half a point on a tenth of the images need not see the others.
                if points_lost(judge, decode, 10) < WITHIN + 0.4 and points_lost(judge, decode) <= WITHIN:
                    found[name] = t, decode
        if found:
            return found
    return {}


@torch.no_grad()
def points_lost(judge: Judge, decode: peers.Decode, every: int = 1) -> float:
    """Points of accuracy below the ANN, on every so-manieth image."""
    images, labels, decided = judge.images[::every], judge.labels[::every], judge.decided[::every]
    found = torch.cat([decode(batch).argmax(1) for batch in images.split(100)])
    return round(judge.share(decided, labels) - judge.share(found, labels), 6)  # 0.1 is not to be more than 0.1

"""The parts of ``speed.py`` that judge on test images: accuracy, and whole, at the T that each converter needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import peers
import torch
from speed_cases import CLOCKS, USUAL, Case, Row, in_each_precision, in_parts, in_turns, multi_step
from torch import Tensor, nn

import respike
from respike.convert.options import PRECISIONS, Precision
from respike.models import REGISTRY

if TYPE_CHECKING:
    from judge import Judge

WITHIN = 0.1
BURST = 8
"""Spikes a step of ours at the most, in a second row."""
LONGEST = 64
"""Most steps that other converters get."""
TIMED = 1000
"""Images that are run when the clock does; T is chosen on all of them."""


class Found(NamedTuple):
    """A converter that comes close enough, or as close as it can.

    Attributes:
        timesteps: At which T.
        lost: Points of accuracy below the ANN, on all test images.
        decode: The network.
    """

    timesteps: int
    lost: float
    decode: peers.Decode


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
    """MNIST test images, each converter at the T that it needs for all of them; in passes of the ANN."""
    if case.name != "mnist_cnn":
        return
    calibration, judge = case.judged(case.name)
    ours: dict[str, Found] = {}
    for code, most in (("", 1), (f", up to {BURST} spikes", BURST)):
        convert = cache(partial(_each, case.ann, calibration, most))
        for p in PRECISIONS:
            mine = first_within(judge, (convert(t)[p] for t in (1, 2, 4, 8, 16)))
            ours |= {} if mine is None else {f"ours{code}, {p}": mine}
    names = [name for name in peers.installed()[0] if name.startswith("SpikingJelly") and case.args.peers]
    theirs: dict[str, Found] = {}
    # A step costs the same with every recipe: that which needs the fewest, in both modes.
    for name, (t, lost) in best_of_theirs(judge, names, partial(made, case.ann, calibration)).items():
        single = made(case.ann, calibration, name, t)
        theirs[name] = Found(t, lost, single)
        with contextlib.suppress(peers.RefusedError):  # it decides the same
            theirs[f"{name}, multi-step"] = Found(t, lost, in_parts(case, t, multi_step(single, t, case.x[:2])))
    if not ours:
        yield Row("whole", case.name, "ours", None, "T", note=f"not within {WITHIN} points at any T")
        return
    batches = judge.images[:TIMED].split(100)
    trials = {name: partial(over, found.decode, batches) for name, found in (ours | theirs).items()}
    with torch.inference_mode():
        ratios = in_turns(partial(over, case.ann, batches), trials, case.args.repeats, CLOCKS[case.args.clock])
    for name, found in (ours | theirs).items():
        yield Row("whole", case.name, name, None, "T", found.timesteps)
        yield Row("whole", case.name, name, None, "points lost", found.lost)
        yield Row("whole", case.name, name, None, "time ÷ one pass of the ANN").of(ratios[name])


def _each(ann: nn.Module, calibration: Tensor, most: int, t: int) -> dict[Precision, respike.SpikingNetwork]:
    return in_each_precision(respike.from_torch(ann, calibration, t, max_spikes=most))


def over(decode: peers.Decode, batches: Sequence[Tensor]) -> None:
    """Run it over all of them."""
    for batch in batches:
        decode(batch)


def made(ann: nn.Module, calibration: Tensor, name: str, timesteps: int) -> peers.Converted:
    """What a recipe of SpikingJelly makes of the network."""
    return peers.PEERS["spikingjelly"][name](ann, calibration, timesteps)


def first_within(judge: Judge, networks: Iterator[respike.SpikingNetwork]) -> Found | None:
    """The first of them that comes within reach of the ANN."""
    for snn in networks:
        lost = points_lost(judge, judge.decisions(snn))
        if lost <= WITHIN:
            return Found(snn.timesteps, lost, snn)
    return None


def best_of_theirs(
    judge: Judge, names: Sequence[str], convert: Callable[[str, int], peers.Converted]
) -> dict[str, tuple[int, float]]:
    """The recipe that comes within reach with the fewest of T = 1, 2, 4, ..., ``LONGEST`` steps: T and points lost.

    If none does, the one that comes closest, where it does. No recipe depends on T, so that one run is read out at all
    of them. On a tenth of the images first: who loses half a point more than it may there need not see the others.
    """
    clock = [2**k for k in range(LONGEST.bit_length())]
    found: dict[tuple[str, int], float] = {}
    for name in names:
        with contextlib.suppress(peers.RefusedError):
            converted = convert(name, LONGEST)
            few = lost_at(judge, converted, clock, 10)
            if min(few.values()) <= WITHIN + 0.5:
                found |= {(name, t): lost for t, lost in lost_at(judge, converted, clock, 1).items()}
    # Within reach all are as good, and the fewest steps are best.
    best = sorted(found, key=lambda key: (max(found[key], WITHIN), key[1]))[:1]
    return {name: (t, found[name, t]) for name, t in best}


@torch.no_grad()
def lost_at(judge: Judge, converted: peers.Converted, clock: Sequence[int], every: int) -> dict[int, float]:
    """Points of accuracy below the ANN at each of these T, on every so-manieth image."""
    index = torch.tensor(clock) - 1
    decided = [converted.outputs(x).cumsum(0)[index].argmax(2) for x in judge.images[::every].split(100)]
    return {t: points_lost(judge, d, every) for t, d in zip(clock, torch.cat(decided, 1), strict=True)}


def points_lost(judge: Judge, decided: Tensor, every: int = 1) -> float:
    """Points of accuracy below the ANN, of decisions on every so-manieth image."""
    labels = judge.labels[::every]
    lost = judge.share(judge.decided[::every], labels) - judge.share(decided, labels)
    return round(lost, 6)  # 0.1 is not to be more than 0.1

"""What ``speed.py`` times: ours, the ANN in other forms, other converters and a plain copy, and how they take turns."""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import peers
import torch
from torch import Tensor, nn

import respike
from respike.convert.graph.rules import Role
from respike.convert.options import PRECISIONS, Precision
from respike.models import REGISTRY, datasets

if TYPE_CHECKING:
    from judge import Judge

NETWORKS = {  # input, batch
    "mnist_cnn": ((1, 28, 28), 100),
    "fashion_resnet": ((1, 28, 28), 100),
    "resnet18_64": ((3, 64, 64), 100),
    "resnet18_224": ((3, 224, 224), 10),
}
USUAL = 16
RECIPE = "SpikingJelly channel-wise"
AT_ONCE = 2**30
"""Bytes of a layer's values over all steps at most: peers that take all steps at once get a batch in parts."""


class Row(NamedTuple):
    """One measured value; None if there is none, and ``note`` says why."""

    part: str
    network: str
    what: str
    T: int | None
    measure: str
    value: float | None = None
    lowest: float | None = None
    highest: float | None = None
    note: str = ""

    def of(self, ratios: list[float]) -> Row:
        """The same with the median and the spread of these."""
        return self._replace(value=statistics.median(ratios), lowest=min(ratios), highest=max(ratios))


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@torch.no_grad()
def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long it takes, on a GPU until all is done."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    start = clock()
    work()
    wait()
    return clock() - start


def in_turns(
    unit: Callable[[], object],
    contestants: Mapping[str, Callable[[], object]],
    n: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times of each in units, ``n`` rounds: the unit is timed anew before and after each, as machines drift."""
    for work in (unit, *contestants.values()):
        seconds(work)  # compiles, and prepares what is prepared once
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(n):
        before = seconds(unit, clock)
        for name, work in contestants.items():
            took, after = seconds(work, clock), seconds(unit, clock)
            found[name].append(2 * took / (before + after))
            before = after
    return found


def ann_of(name: str) -> nn.Module:
    """A network by its name here, in eval mode; resnet18 with random weights."""
    if name in REGISTRY:
        return respike.models.load(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found: nn.Module = import_module("torchvision.models").resnet18(weights=None).eval()
    return found


def in_each_precision(snn: respike.SpikingNetwork) -> dict[Precision, respike.SpikingNetwork]:
    """A copy for each, so that no weights are prepared anew while the clock runs; of one that has not run yet."""
    found = {precision: copy.deepcopy(snn) for precision in PRECISIONS}
    for precision, each in found.items():
        each.precision = precision
    return found


@dataclass
class Case:
    """A network and a batch for it, what the command was asked for, and how to get at test images."""

    name: str
    args: argparse.Namespace
    judged: Callable[[str], tuple[Tensor, Judge]]

    @cached_property
    def ann(self) -> nn.Module:
        """The network."""
        return ann_of(self.name).to(self.args.device)

    @cached_property
    def x(self) -> Tensor:
        """The batch."""
        shape, usual = NETWORKS[self.name]
        batch = self.args.batch or usual
        if self.name not in REGISTRY:
            return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0)).to(self.args.device)
        source = REGISTRY[self.name].dataset
        data_dir = None if source == "mnist" else self.args.data_dir  # MNIST's test images ship
        images = datasets.load(source if data_dir else "mnist", data_dir=data_dir).tensors[0]
        return images[:batch].to(self.args.device)

    @cached_property
    def snns(self) -> dict[Precision, respike.SpikingNetwork]:
        """Ours, calibrated on the batch: what counts here is how often neurons fire."""
        return in_each_precision(respike.from_torch(self.ann, self.x, USUAL))

    def rate(self, timesteps: int) -> float:
        """Spikes of a neuron in a step."""
        snn, neurons = self.snns["float32"], sum(size for size, _ in self.layers)
        found = respike.evaluate(snn, (self.x, self.ann(self.x).argmax(1)), timesteps=timesteps, progress=False)
        return float(found.spikes[-1]) / neurons / timesteps

    @cached_property
    def layers(self) -> list[tuple[int, bool]]:
        """For each spiking layer, how many neurons it has, and whether its current varies in time."""
        snn = self.snns["float32"]
        varying = {node.name for node in snn.plan.timed}
        spiking = [node for node in snn.graph.nodes if node.role == Role.SPIKE]
        sizes = [prod(n for n in (node.shape or ())[1:] if n is not None) for node in spiking]
        return [(size, not varying.isdisjoint(node.refs)) for size, node in zip(sizes, spiking, strict=True)]

    def ours(self, precision: Precision, timesteps: int) -> Callable[[], object]:
        """A run of ours."""

        def run() -> object:
            snn.timesteps = timesteps
            return snn(self.x)

        snn = self.snns[precision]
        return run

    def of_frames(self, timesteps: int) -> Callable[[], object]:
        """A run of ours in float32 on an input that moves: its first layer is computed in every step."""
        snn = self.snns["float32"].with_time()
        frames = self.x[:, None].expand(-1, timesteps, *self.x.shape[1:])
        return lambda: snn(frames)


def forwards(ann: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    """The ANN as it is given and as it is fastest; its input comes as given, and its layout is part of the work."""
    last: dict[str, Any] = {"memory_format": torch.channels_last}
    laid_out, half = copy.deepcopy(ann).to(**last), copy.deepcopy(ann).bfloat16().to(**last)
    return {
        "ANN float32, as given": lambda: ann(x),
        "ANN float32, channels-last": lambda: laid_out(x.contiguous(**last)),
        "ANN bfloat16, channels-last": lambda: half(x.bfloat16().contiguous(**last)).float(),
    }


def floor(case: Case, timesteps: int) -> Callable[[], object]:
    """A copy of as many bytes as our scans in float32 read and write; a constant current is read once."""
    values = len(case.x) * sum(size * (2 if varying else 1) for size, varying in case.layers)
    source = torch.rand(values // 2, device=case.x.device)
    target = torch.empty_like(source)
    return lambda: [target.copy_(source) for _ in range(timesteps)]


def converters() -> dict[str, Callable[[Case, int], peers.Decode]]:
    """The peers that are installed, in the ways in which they can be run."""
    found, _ = peers.installed()

    def at_once(case: Case, t: int) -> peers.Decode:
        return in_parts(case, t, multi_step(found[RECIPE](case.ann, case.x[:64], t), t, case.x[:2]))

    modes: dict[str, Callable[[Case, int], peers.Decode]] = {}
    if RECIPE in found:  # what a step costs is the same with every recipe
        modes["SpikingJelly, single-step"] = lambda case, t: found[RECIPE](case.ann, case.x[:64], t)
        modes["SpikingJelly, multi-step"] = at_once
    if "Sinabs" in found:
        modes["Sinabs"] = lambda case, t: in_parts(case, t, found["Sinabs"](case.ann, case.x[:64], t))
    return modes


def multi_step(single: peers.Converted, timesteps: int, images: Tensor) -> peers.Decode:
    """SpikingJelly with all steps at once, layer after layer, of its network that goes step by step.

    Raises:
        RefusedError: it cannot, or decides otherwise than step by step on these images.
    """
    functional = import_module("spikingjelly.activation_based.functional")
    snn = copy.deepcopy(single.snn)
    functional.set_step_mode(snn, "m")

    def decode(images: Tensor) -> Tensor:
        functional.reset_net(snn)
        output: Tensor = snn(images.expand(timesteps, *images.shape))
        return output.mean(0)

    try:
        with torch.no_grad():
            same = torch.equal(decode(images).argmax(1), single(images).argmax(1))
    except Exception as error:
        raise peers.RefusedError(f"refused: {str(error).partition(chr(10))[0][:110]}") from error
    if not same:
        raise peers.RefusedError("refused: it decides otherwise than step by step")
    return decode


def in_parts(case: Case, timesteps: int, decode: peers.Decode) -> peers.Decode:
    """The same for a batch in parts, if all of it over all steps would take too much memory."""
    part = max(1, AT_ONCE // (4 * timesteps * max(size for size, _ in case.layers)))
    return lambda images: torch.cat([decode(some) for some in images.split(part)])

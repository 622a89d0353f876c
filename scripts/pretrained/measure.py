"""One row of ``table.py``, measured in the process that it has to itself."""

from __future__ import annotations

import contextlib
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import peers
import torch
from torch import Tensor, nn

import respike
from respike.convert.memory_limits import give_back
from respike.progress import Bar

from .networks import NETWORKS, Pretrained

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "signed": {"neuron": "signed"},
    "bursts of 4": {"max_spikes": 4},
    "multi-threshold": {"neuron": "multi_threshold"},
    "signed bursts of 16": {"neuron": "signed", "max_spikes": 16},
    "layerwise": {"schedule": "layerwise"},
}
AUTO = "auto within "
"""Before the number of points, or percent of error, in the code of a row that ``timesteps="auto"`` chooses."""
BATCH = 16
"""Samples at a time, of the ANN's passes and of judging."""
PASSES = 3
"""Passes of the ANN before a conversion, and as many behind it: machines drift."""
STATUS = Path("/proc/self/status")


class Row(NamedTuple):
    """What a conversion costs and keeps; None where it is not known, and ``note`` says why.

    Attributes:
        network: Its name in ``NETWORKS``.
        code: One of ``CODES``, or ``AUTO`` and what it chose, or another converter.
        T: Timesteps that it is calibrated for and judged at.
        latency: Timesteps until the answer is there.
        metric: What ``value`` is: "points lost" against the labels; "error, % of spread": the mean absolute error in
            percent of the ANN's largest output less its smallest.
        value: The network's own metric.
        agreement: Samples on which it decides as the ANN, in percent.
        error: Norm of the outputs' error ÷ norm of the ANN's outputs; of numbers that are no scores ÷ norm of their
            deviation from their mean.
        synops: Synaptic operations ÷ multiply-accumulates of the ANN.
        passes: Time of the conversion in forward passes of the ANN over the same samples.
        seconds: The same in seconds.
        memory: Most memory during the conversion above a process with torch and respike loaded, MiB. It includes the
            network and its samples.
        calibrating: Samples that calibrated.
        judging: Samples that judged.
        note: Why there is nothing.
    """

    network: str
    code: str
    T: int
    latency: int | None = None
    metric: str = ""
    value: float | None = None
    agreement: float | None = None
    error: float | None = None
    synops: float | None = None
    passes: float | None = None
    seconds: float | None = None
    memory: float | None = None
    calibrating: int | None = None
    judging: int | None = None
    note: str = ""


def measure(name: str, code: str, timesteps: int, quick: bool, threads: int) -> Row:
    """A network of ``NETWORKS`` in one code, or by another converter.

    Raises:
        MissingError: packages are missing.
    """
    torch.set_num_threads(threads)
    loaded = taken("VmRSS")
    found, row = NETWORKS[name](quick), Row(name, code, timesteps)
    made, row = converted(found, row, loaded)
    return row if made is None or not found.trained else judged(found, made, row)


def converted(found: Pretrained, row: Row, loaded: float | None) -> tuple[Any, Row]:
    """What the converter made, None if it refused, and the row with what that took."""
    if row.code in CODES:
        warm_up(**CODES[row.code])
    passes = [seconds_of_pass(found) for _ in range(PASSES)]
    forget_peak()
    start = time.perf_counter()
    try:
        if row.code.startswith(AUTO):
            wanted = respike.Auto(within=float(row.code.removeprefix(AUTO)), prefer="latency")
            with Bar() as told:
                made: Any = respike.from_torch(found.model, found.calibration, wanted, progress=told)
            row = row._replace(code=f"{row.code}: {made.choice.chosen.code}", T=made.timesteps)
        elif row.code in CODES:
            with Bar() as told:
                made = respike.from_torch(found.model, found.calibration, row.T, progress=told, **CODES[row.code])
        else:
            made = peers.installed()[0][row.code](found.model, found.calibration, row.T)
    except (peers.RefusedError, respike.ConversionError) as reason:
        return None, row._replace(note=str(reason).partition("\n")[0])
    took, peak = time.perf_counter() - start, taken("VmHWM")
    passes += [seconds_of_pass(found) for _ in range(PASSES)]
    return made, row._replace(
        passes=took / statistics.median(passes),
        seconds=took,
        memory=None if peak is None or loaded is None else peak - loaded,
        calibrating=len(found.calibration),
    )


def warm_up(**options: Any) -> None:
    """Converts a network of a few neurons, so that the kernels are compiled when the clock starts."""
    layers = (nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 4), nn.ReLU())
    respike.from_torch(nn.Sequential(*layers, nn.Linear(4, 2)).eval(), torch.rand(8, 1, 4, 4), 2, **options)


@torch.no_grad()
def seconds_of_pass(found: Pretrained) -> float:
    """How long the ANN takes for all calibration samples."""
    start = time.perf_counter()
    for some in found.calibration.split(BATCH):
        found.model(some)
    return time.perf_counter() - start


@torch.no_grad()
def judged(found: Pretrained, made: Any, row: Row) -> Row:
    """The row with what the judging samples say."""
    wanted = torch.cat([found.model(some) for some in found.judging.split(BATCH)])
    row = row._replace(judging=len(wanted), latency=row.T)
    if isinstance(made, respike.SpikingNetwork):
        outputs, synops = counted(made, found.judging, wanted)
        row = row._replace(latency=made.latency, synops=synops)
    else:
        try:
            outputs = torch.cat([made(some) for some in found.judging.split(BATCH)])
        except Exception as error:  # whatever another converter's network raises is a row of the table
            return row._replace(note=f"fails: {str(error).strip().partition(chr(10))[0][:110]}")
    off = outputs - wanted
    if not found.scores:
        spread = wanted.max() - wanted.min()
        centred = (wanted - wanted.mean(0)).norm()
        value = float(100 * off.abs().mean() / spread)
        return row._replace(metric="error, % of spread", value=value, error=float(off.norm() / centred))
    decided, ann = outputs.argmax(1), wanted.argmax(1)
    row = row._replace(agreement=share(decided, ann), error=float(off.norm() / wanted.norm()))
    if found.labels is None:
        return row
    return row._replace(metric="points lost", value=share(ann, found.labels) - share(decided, found.labels))


def counted(snn: respike.SpikingNetwork, samples: Tensor, wanted: Tensor) -> tuple[Tensor, float]:
    """Outputs after all steps, and synaptic operations ÷ MACs, from one run."""
    outputs = torch.empty_like(wanted)

    def kept(output: Tensor, which: Tensor) -> Tensor:
        outputs[which] = output  # at every step; the last one stays
        return torch.zeros(len(output))

    data = samples, torch.arange(len(samples))
    result = respike.evaluate(snn, data, metric=kept, batch_size=BATCH)
    return outputs, float(result.synops[-1]) / result.ann_macs


def share(found: Tensor, wanted: Tensor) -> float:
    """Percentage that is equal."""
    return 100 * float((found == wanted).double().mean())


def taken(key: str) -> float | None:
    """MiB that this process has (VmRSS) or has had at most (VmHWM); None where the system does not say."""
    # Not ru_maxrss: a process starts with that of the one that started it.
    if not STATUS.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in STATUS.read_text().splitlines() if line.startswith(key))


def forget_peak() -> None:
    """What loading and the ANN's passes took does not count as the conversion's; where Linux does not, it does."""
    give_back()
    with contextlib.suppress(OSError):
        STATUS.with_name("clear_refs").write_text("5")

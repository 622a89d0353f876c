"""A conversion that is interrupted goes on, with any number of processes, to the network that it would have been."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning
from respike.progress import Progress
from respike.resume_file import ResumeError


def net(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 20), nn.ReLU(),
        nn.Linear(20, 5),
    ).eval()  # fmt: skip


def images(count: int = 90) -> Tensor:
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(0))


class Stop(BaseException):
    """Somebody has pulled the plug."""


class Until(Progress):
    """Ends the work when it has reported so often; counts what it did."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.stages: list[str] = []

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        if len(self.stages) == self.most:
            raise Stop
        self.stages.append(stage)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "signed": {"neuron": "signed", "schedule": "pipelined"},
    "percentile": {"threshold": "percentile", "correction": "bias"},
    "max": {"threshold": "max", "correction": "none"},
    "auto": {"timesteps": respike.Auto(within=60, judge="error"), "neuron": "iaf", "max_spikes": 2, "samples": 48},
}


def converted(path: Path | None, most: int, options: dict[str, Any], **changed: Any) -> tuple[Any, list[str]]:
    until = Until(most)
    given = {"calibration": images().split(16), "timesteps": 4, "samples": 80, **options, "resume": path, **changed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        snn = respike.from_torch(given.pop("model", net()), progress=until, **given)
    return snn, until.stages


def same(found: Any, wanted: Any) -> None:
    for name, values in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[name], values), name
    assert (found.closeness, found.choice) == (wanted.closeness, wanted.choice)
    for name, layer in wanted.neurons.items():
        assert torch.equal(found.neurons[name].largest, layer.largest)


CASES = [
    *((case, 2) for case in ("plain", "percentile")),
    ("auto", 1),
    *(pytest.param(case, 7, marks=pytest.mark.slow) for case in OPTIONS),
]


@pytest.mark.parametrize(("case", "times"), CASES)
def test_it_goes_on_from_wherever_it_was_interrupted(
    case: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    options = OPTIONS[case]
    wanted, stages = converted(None, 10**6, options)
    for most in torch.linspace(len(stages) / (times + 1), len(stages) - 1, times).long().tolist():
        path = tmp_path / f"{most}.resume"
        with pytest.raises(Stop):
            converted(path, most, options)
        found, _ = converted(path, 10**6, options)
        same(found, wanted)
        again, told = converted(path, 10**6, options)  # all is done
        same(again, wanted)
        assert not any(stage.startswith("calibrating") for stage in told)


def test_layers_that_are_done_are_not_calibrated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    path = tmp_path / "net.resume"
    _, stages = converted(None, 10**6, {})
    second = next(k for k, stage in enumerate(stages) if stage.startswith("calibrating layer 2"))
    with pytest.raises(Stop):
        converted(path, second, {})
    _, told = converted(path, 10**6, {})
    calibrated = [stage for stage in told if stage.startswith("calibrating")]
    assert not any(stage.startswith("calibrating layer 1") for stage in calibrated)
    assert any(stage.startswith("calibrating layer 2") for stage in calibrated)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": net(2)}, "it belongs to another model"),
    "seed": ({"seed": 1}, "it was made with seed=0, and this has seed=1"),
    "timesteps": ({"timesteps": 5}, "it was made with timesteps="),
    "threshold": ({"threshold": "max"}, "it was made with threshold="),
    "number of batches": ({"calibration": images(60).split(16)}, "it belongs to other data"),
    "form": ({"calibration": respike.Encoded(images().split(16))}, "it was made with form="),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_file_of_another_conversion_is_refused(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    changed, reason = CHANGES[what]
    path = tmp_path / "net.resume"
    converted(path, 10**6, {})
    written = path.read_bytes()
    with pytest.raises(ResumeError, match=reason):
        converted(path, 10**6, {}, **changed)
    assert path.read_bytes() == written


class Stream:
    """Batches of which only their number is known before they are read."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


def test_other_samples_are_refused_once_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.resume"
    converted(path, 10**6, {}, calibration=Stream(images().split(16)))
    for others in (images().split(16)[:3], (1 - images()).split(16), images().split(16)[::-1]):
        with pytest.raises(ResumeError, match="other calibration samples, or in another order"):
            converted(path, 10**6, {}, calibration=Stream(others))


def test_the_memory_of_the_first_run_is_that_of_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which pieces are computed at once, and so what they round to, does not change with what is free."""
    from respike.convert import pipeline

    budgets: list[int] = []
    calibrate = pipeline.calibrate

    def told(*args: Any) -> Any:
        budgets.append(args[2].memory_budget)
        return calibrate(*args)

    monkeypatch.setattr(pipeline, "calibrate", told)
    path = tmp_path / "net.resume"
    for free in (10**9, 10**6):
        monkeypatch.setattr(pipeline, "calibration_budget", lambda *_, free=free: free)
        converted(path, 10**6, {})
    assert budgets == [10**9, 10**9]

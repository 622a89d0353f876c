"""Several processes convert to the network that one finds, bit for bit."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import respike
from respike.convert import ConversionWarning
from respike.progress import Progress
from respike.ranks import RankError, here


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 20), nn.ReLU(),
        nn.Linear(20, 5),
    ).eval()  # fmt: skip


class Meeting(nn.Module):
    """Samples meet each other: a batch is one piece."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.last = nn.Linear(4, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        return self.last(torch.relu(x - x.mean(0, keepdim=True)))  # type: ignore[no-any-return]


def images(count: int = 90) -> Tensor:
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def plain() -> tuple[nn.Module, Any]:
    return net(), images()


def few() -> tuple[nn.Module, Any]:
    return net(), images(3)


def large_batches() -> tuple[nn.Module, Any]:
    return net(), [images(90), images(20)]


def dataset() -> tuple[nn.Module, Any]:
    return net(), TensorDataset(images(), torch.zeros(90))


def loader() -> tuple[nn.Module, Any]:
    return net(), DataLoader(TensorDataset(images(), torch.zeros(90)), batch_size=7, shuffle=True, num_workers=1)


def stream() -> tuple[nn.Module, Any]:
    return net(), (part for part in images().split(11))


def meeting() -> tuple[nn.Module, Any]:
    return Meeting(), torch.rand(70, 4, generator=torch.Generator().manual_seed(3)).split(16)


def frames() -> tuple[nn.Module, Any]:
    return net(), respike.Frames(torch.rand(40, 4, 1, 6, 6, generator=torch.Generator().manual_seed(4)).round())


def smooth() -> tuple[nn.Module, Any]:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.GELU(), nn.Linear(12, 8), nn.SiLU(), nn.Linear(8, 3))
    return model.eval(), images().split(17)


def encoded() -> tuple[nn.Module, Any]:
    return net(), respike.Encoded(images(30), "poisson")


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (plain, {}),
    "few": (few, {}),
    "large batches": (large_batches, {"max_spikes": 2}),
    "dataset": (dataset, {"schedule": "pipelined"}),
    "loader": (loader, {"threshold": "max"}),
    "stream": (stream, {"threshold": "percentile", "correction": "bias"}),
    "one threshold": (plain, {"threshold": respike.MSE(granularity="layer")}),
    "percentile": (plain, {"threshold": "percentile", "correction": "none"}),
    "layerwise": (plain, {"schedule": "layerwise"}),
    "codes": (plain, {"neuron": "multi_threshold"}),
    "leak": (plain, {"neuron": "lif"}),
    "little memory": (plain, {"memory_budget": 40_000}),
    "meeting": (meeting, {}),
    "frames": (frames, {}),
    "encoded": (encoded, {}),
    "population": (smooth, {"population": 3, "neuron": "iaf"}),
    "auto": (
        plain,
        {"timesteps": respike.Auto(within=60, judge="error"), "neuron": "iaf", "max_spikes": 2, "samples": 48},
    ),
}


def converted(build: Any, options: dict[str, Any]) -> Any:
    torch.manual_seed(7)
    model, data = build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        snn = respike.from_torch(model, data, **{"timesteps": 4, "samples": 80, **options})
    choice: Any = None if snn.choice is None else snn.choice.as_dict()
    choice = choice, dict(snn.graph.populations)
    return dict(snn.state_dict()), snn.closeness, choice, [x.largest for x in snn.neurons.values()]  # type: ignore[union-attr]


def same(case: str, found: Any, wanted: Any) -> None:
    assert found[0].keys() == wanted[0].keys()
    for name, values in wanted[0].items():
        assert torch.equal(found[0][name], values), (case, name)
    assert found[1:3] == wanted[1:3], case
    for own, values in zip(found[3], wanted[3], strict=True):
        assert torch.equal(own, values), case


def every(names: list[str]) -> dict[str, Any]:
    return {name: converted(*CASES[name]) for name in names}


QUICK = ["plain", "few", "stream", "percentile", "population"]


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    """What one process without a group finds."""
    return {}


def known(names: list[str], wanted: dict[str, Any]) -> dict[str, Any]:
    wanted.update(every([name for name in names if name not in wanted]))
    return wanted


@pytest.mark.parametrize(
    ("size", "names"),
    [(2, QUICK), (3, QUICK), *(pytest.param(size, list(CASES), marks=pytest.mark.slow) for size in (2, 3))],
)
def test_the_network_does_not_depend_on_how_many_processes_there_are(
    size: int, names: list[str], wanted: dict[str, Any], tmp_path: Path
) -> None:
    for found in run(every, size, tmp_path, names):
        assert not isinstance(found, Exception), found
        for name in names:
            same(name, found[name], known(names, wanted)[name])


class Until(Progress):
    """Ends the work when rank 0 has reported so often: that of all, as of a machine that is switched off."""

    def __init__(self, most: int) -> None:
        self.most = most

    def report(self, stage: str, done: int = 0, total: int | None = None) -> None:
        self.most -= 1
        if self.most < 0:
            os._exit(1)


def interrupted(path: str, most: int) -> None:
    os.environ["RESPIKE_INTERVAL"] = "0"
    os.environ["RESPIKE_PATIENCE"] = "20"
    converted(plain, {"resume": path, "progress": Until(most)})


def resumed(path: str) -> Any:
    return converted(plain, {"resume": path})


@pytest.mark.parametrize(("size", "then"), [(3, 1), (1, 2)])
def test_another_number_of_processes_goes_on(size: int, then: int, wanted: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "net.resume"
    run(interrupted, size, tmp_path, str(path), 6)
    assert path.exists()
    found = run(resumed, then, tmp_path, str(path))
    for one in found:
        assert not isinstance(one, Exception), one
        same("resumed", one, known(["plain"], wanted)["plain"])


def of_its_own() -> Any:
    torch.manual_seed(here().rank)
    return respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(30, 4), 2)


def test_processes_with_other_models_are_refused(tmp_path: Path) -> None:
    for error in run(of_its_own, 2, tmp_path):
        assert "rank 1 of 2 converts another model than rank 0: all processes must give the same" in str(error)


def infinite(options: dict[str, Any]) -> Any:
    """The ANN overflows on a sample of the second batch."""
    x = images(100).flatten(1)
    x[-1] = 3e38
    torch.manual_seed(0)  # processes are used again, and one before has drawn by rank
    model = nn.Sequential(nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.fill_(30.0)
        model[0].bias.zero_()
    return respike.from_torch(model, x.split(50), 2, **options)


@pytest.mark.parametrize("options", [{}, {"threshold": "max", "correction": "none"}])
def test_activations_that_are_not_finite_are_told_by_the_process_that_has_them(
    options: dict[str, Any], tmp_path: Path
) -> None:
    first, second = run(infinite, 2, tmp_path, options)
    assert isinstance(first, RankError)
    assert first.told
    assert isinstance(second, respike.ConversionError)
    assert "the ANN's activations are not finite on the calibration data" in str(second)

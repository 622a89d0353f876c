"""Several processes diagnose a network, and write its report, as one does; and go on where others have stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run
from torch import nn

import respike
from respike.evaluation.diagnosis.looking import Looking
from respike.ranks import RankError
from respike.resume_file import ResumeError

Both = tuple[nn.Module, respike.SpikingNetwork]


@pytest.fixture(scope="module")
def both() -> Both:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 9), nn.ReLU(), nn.Linear(9, 3)
    ).eval()
    return model, respike.from_torch(model, torch.rand(64, 1, 8, 8), timesteps=5)


def images(count: int = 300) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def diagnosed(both: Both, **options: Any) -> dict[str, Any]:
    model, snn = both
    given = {"tensor": images(), "batches": list(images().split(37))}[options.pop("form", "tensor")]
    return respike.diagnose(snn, given, model, **options).as_dict()


def several(both: Both) -> list[dict[str, Any]]:
    forms: list[dict[str, Any]] = [{}, {"form": "batches"}, {"samples": 70}, {"samples": 9}]
    return [diagnosed(both, **options) for options in forms]


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_diagnose_as_one(size: int, both: Both, tmp_path: Path) -> None:
    wanted = several(both)
    assert run(several, size, tmp_path, both) == [wanted] * size


class Stop(Exception):  # noqa: N818 - it is no error
    pass


def stopping(both: Both, file: str, after: int, **options: Any) -> tuple[int, Any]:
    """Begin, and stop when so many batches have been looked at by this process."""
    os.environ["RESPIKE_INTERVAL"] = "0"
    look, count = Looking._look, 0

    def counted(self: Any, *args: Any) -> Any:
        nonlocal count
        if count == after:
            raise Stop
        count += 1
        return look(self, *args)

    Looking._look = counted  # type: ignore[method-assign]
    try:
        found = diagnosed(both, resume=file, **options)
        return count, found
    except (Stop, RankError):
        return count, None
    finally:
        del os.environ["RESPIKE_INTERVAL"]
        Looking._look = look  # type: ignore[method-assign]


def test_it_goes_on_to_the_same_result(both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    wanted = diagnosed(both)
    assert stopping(both, file, 2) == (2, None)
    with pytest.raises(ResumeError, match="samples=512, and this has samples=100"):
        diagnosed(both, resume=file, samples=100)
    assert stopping(both, file, 1) == (1, None)
    assert stopping(both, file, 99) == (2, wanted)  # of 5 batches
    assert stopping(both, file, 99) == (0, wanted)


@pytest.mark.slow
def test_another_number_of_processes_goes_on(both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    run(stopping, 2, tmp_path, both, file, 1)
    found = run(stopping, 3, tmp_path, both, file, 99)
    assert [result for _, result in found] == [diagnosed(both)] * 3
    assert sum(count for count, _ in found) == 3


def report(both: Both) -> Any:
    from respike.report import gather

    model, snn = both
    x = images(60)
    return gather(snn, (x, model(x).argmax(1)), model, calibration=x, sample=3).as_dict()


@pytest.mark.slow
def test_several_processes_gather_one_report(both: Both, tmp_path: Path) -> None:
    wanted = report(both)
    assert run(report, 2, tmp_path, both) == [wanted, wanted]

"""One CUDA device for each process; where there is one device, they share it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run

import respike
from respike.ranks import device_of_rank, here


def on_device() -> dict[str, Any]:
    os.environ["LOCAL_RANK"] = str(here().rank)
    device = device_of_rank()
    model = respike.models.load("mnist_cnn").to(device)
    snn = respike.from_torch(model, respike.models.datasets.calibration()[:128].to(device), timesteps=4)
    assert next(iter(snn.buffers())).device == device
    images, labels = (x[:300] for x in respike.models.datasets.load("mnist").tensors)
    return respike.evaluate(snn, (images, labels), ann=model, batch_size=50).as_dict()


@pytest.mark.cuda
def test_processes_on_devices_give_what_one_gives(tmp_path: Path) -> None:
    (alone,) = run(on_device, 1, tmp_path)
    assert run(on_device, 2, tmp_path) == [alone, alone]


def test_a_process_takes_the_device_that_its_launcher_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for rank, index in (("0", 0), ("1", 1), ("2", 0)):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert device_of_rank() == torch.device("cuda", index)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of_rank() == torch.device("cpu")

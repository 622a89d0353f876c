"""What tonic makes of events, respike takes; and the frames that need no tonic are those that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import respike
from respike.models import EventCamera, datasets, to_frames

tonic = pytest.importorskip("tonic")


def recordings(count: int) -> list[np.ndarray[Any, Any]]:
    return [EventCamera().events(image) for image in datasets.calibration()[:count]]


@pytest.mark.parametrize("timesteps", [1, 20, 100])
def test_frames_of_equal_time_are_those_of_tonic(timesteps: int) -> None:
    window = 300_000 // timesteps
    made = tonic.transforms.ToFrame((34, 34, 2), time_window=window, start_time=0, end_time=300_000)
    for events in recordings(4):
        assert events.dtype == tonic.io.events_struct
        assert torch.equal(to_frames(events, (34, 34), timesteps), torch.from_numpy(made(events)).float())


def as_n_mnist(events: np.ndarray[Any, Any]) -> bytes:
    """In the format of N-MNIST's files: five bytes for each event, x, y, p and 23 bits of time."""
    t, p = events["t"].astype(np.int64), events["p"].astype(np.int64)
    columns = [events["x"], events["y"], p << 7 | t >> 16, t >> 8 & 255, t & 255]
    return np.stack(columns, 1).astype(np.uint8).tobytes()


@pytest.fixture
def n_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixteen recordings as the data set has them, without its ten thousand others, which are looked for."""
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda _: True)
    for number, events in enumerate(recordings(16)):
        folder = tmp_path / "NMNIST" / "Train" / str(number % 10)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.bin").write_bytes(as_n_mnist(events))
    return tmp_path


@pytest.mark.parametrize("cut", ["time", "count"])
def test_a_data_set_of_tonic_calibrates_and_is_evaluated(n_mnist: Path, cut: str) -> None:
    """The recipe of the tutorial."""
    transforms = tonic.transforms
    if cut == "time":
        frames = transforms.ToFrame((34, 34, 2), time_window=20_000, start_time=0, end_time=300_000)
    else:
        frames = transforms.ToFrame((34, 34, 2), n_event_bins=15)
    as_numbers = transforms.Compose([frames, np.float32])
    data = tonic.datasets.NMNIST(str(n_mnist), train=True, transform=as_numbers)
    assert len(data) == 16 and data[0][0].shape == (15, 2, 34, 34)
    model = respike.models.load("mnist_events")
    snn = respike.from_torch(model, respike.Frames(data), timesteps=15)
    result = respike.evaluate(snn, data, ann=model)
    assert result.samples == 16 and result.agreement is not None and result.agreement[-1] >= 0.8

"""Which samples ``respike report`` chooses the early exit on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from respike.cli.commands.report import _calibration
from respike.source_names import SourceError

SAVED: dict[str, Any] = {"model": "net.respike", "ann": "fashion_vit", "data": "test.npz", "timesteps": 8}
NOT_GIVEN = {"calibration": None, "data_dir": None, "image_size": 224, "workers": 0, "weights": None}


@pytest.mark.parametrize("ann", ["fashion_vit", "cli_models:tiny", None])
def test_without_calibration_samples_at_hand_there_is_no_early_exit(
    ann: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _calibration({**SAVED, **NOT_GIVEN, "ann": ann}, nn.Identity()) is None
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert "no early exit" in said.err
    assert "--calibration" in said.err


def test_samples_that_ship_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(_calibration({**SAVED, **NOT_GIVEN, "ann": "mnist_cnn"}, nn.Identity())) > 100
    assert not capsys.readouterr().err


def test_samples_that_were_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no data file none\.npz"):
        _calibration({**SAVED, **NOT_GIVEN, "calibration": "none.npz"}, nn.Identity())
    with pytest.raises(SourceError):
        _calibration({**SAVED, **NOT_GIVEN, "data_dir": tmp_path / "none"}, nn.Identity())

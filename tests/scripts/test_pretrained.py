from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import respike

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def stand_in(outputs: int, trained: bool = True) -> Any:
    """A network of a few neurons; labels are its own decisions, but for the first four, which are wrong."""
    from pretrained.networks import Pretrained

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, outputs)).eval()
    calibration, judging = torch.rand(2, 32, 6, generator=torch.Generator().manual_seed(2))
    labels = None
    if outputs > 1:
        labels = model(judging).argmax(1)
        labels[:4] = (labels[:4] + 1) % outputs
    return Pretrained(model, calibration, judging, labels, outputs > 1, trained)


@pytest.fixture
def shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[list[dict[str, str]], str]]:
    """Runs the command on such networks, in this process: its rows and what it printed."""
    import benchmark
    from pretrained import networks, table
    from pretrained.measure import measure
    from pretrained.packages import need

    kinds = {"scores": lambda quick: stand_in(3), "numbers": lambda quick: stand_in(1)}
    kinds |= {"untrained": lambda quick: stand_in(3, trained=False), "gone": lambda quick: need("no-such-package")}
    for name, build in kinds.items():
        monkeypatch.setitem(networks.NETWORKS, name, build)
    monkeypatch.setattr(table, "UNTRAINED", ("untrained",))
    monkeypatch.setattr(table, "apart", measure)

    def run(*options: str) -> tuple[list[dict[str, str]], str]:
        file = tmp_path / "rows.csv"
        arguments = ["benchmark.py", "pretrained", *options, "--quick", "--no-peers", "--csv", str(file)]
        monkeypatch.setattr(sys, "argv", arguments)
        benchmark.main()
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.exists() else []
        return rows, capsys.readouterr().out

    return run


Shown = Callable[..., tuple[list[dict[str, str]], str]]


def outputs_of(outputs: int, timesteps: int, **options: Any) -> tuple[Tensor, Tensor]:
    found = stand_in(outputs)
    snn = respike.from_torch(found.model, found.calibration, timesteps, **options)
    with torch.no_grad():
        return snn(found.judging), found.model(found.judging)


def test_rows_say_what_networks_of_these_options_answer(shown: Shown) -> None:
    rows, printed = shown("--network", "scores", "-T", "2,4", "--codes", "binary")
    assert [(row["code"], row["T"], row["latency"]) for row in rows] == [("binary", "2", "2"), ("binary", "4", "4")]
    for row in rows:
        found, wanted = outputs_of(3, int(row["T"]))
        alike = found.argmax(1) == wanted.argmax(1)
        assert float(row["agreement"]) == pytest.approx(100 * float(alike.double().mean()))
        assert float(row["error"]) == pytest.approx(float((found - wanted).norm() / wanted.norm()), abs=1e-4)
        labels = stand_in(3).labels
        lost = (wanted.argmax(1) == labels).double().mean() - (found.argmax(1) == labels).double().mean()
        assert row["metric"] == "points lost" and float(row["value"]) == pytest.approx(100 * float(lost), abs=1e-4)
        assert float(row["passes"]) > 0 and 0 < float(row["synops"]) < float(row["T"])
        assert (row["calibrating"], row["judging"]) == ("32", "32")
        assert row["code"] in printed


def test_numbers_are_judged_by_their_error_in_units_of_their_spread(shown: Shown) -> None:
    ((row,), printed) = shown("--network", "numbers", "-T", "4", "--codes", "layerwise")
    found, wanted = outputs_of(1, 4, schedule="layerwise")
    error, spread = (found - wanted).abs().mean(), wanted.max() - wanted.min()
    assert float(row["value"]) == pytest.approx(float(100 * error / spread), abs=1e-3)
    assert float(row["error"]) == pytest.approx(float((found - wanted).norm() / (wanted - wanted.mean()).norm()), 1e-3)
    assert row["latency"] == "12" and row["agreement"] == "" and row["metric"] in printed


def test_of_networks_without_training_only_the_conversion_counts(shown: Shown) -> None:
    ((row,), _) = shown("--network", "untrained", "-T", "2", "--codes", "signed", "binary")
    assert row["code"] == "signed" and float(row["passes"]) > 0 and float(row["seconds"]) > 0
    assert {row[key] for key in ("value", "agreement", "error", "synops", "latency")} == {""}


def test_auto_is_a_row_of_its_own_with_what_it_chose(shown: Shown) -> None:
    rows, _ = shown("--network", "scores", "-T", "2", "--codes", "binary", "--auto", "20")
    found = stand_in(3)
    snn = respike.from_torch(found.model, found.calibration, respike.Auto(within=20, prefer="latency"))
    assert snn.choice is not None
    assert [row["code"] for row in rows] == ["binary", f"auto within 20: {snn.choice.chosen.code}"]
    assert int(rows[1]["T"]) == snn.timesteps


def test_missing_packages_are_named_and_the_other_networks_go_on(shown: Shown) -> None:
    rows, printed = shown("--network", "gone", "numbers", "-T", "2", "--codes", "binary")
    assert [row["network"] for row in rows] == ["numbers"]
    assert "gone is left out: not installed: no-such-package; pip install no-such-package" in printed


def killed(*case: Any) -> None:
    os._exit(1)


@pytest.mark.slow
def test_a_killed_process_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrained import table

    monkeypatch.setattr(table, "measure", killed)
    row = table.apart("svhn", "binary", 4, True, 1)
    assert (row.network, row.T) == ("svhn", 4) and "process was killed" in row.note
    assert "process was killed" in table.cells(row)[-1]


def test_features_are_those_of_librosa() -> None:
    """librosa 0.11: ``(power_to_db(melspectrogram(n_fft=321, hop_length=160, n_mels=120), ref=np.max) + 40) / 40``."""
    from pretrained.speech import features

    t = np.arange(4000) / 16000
    found = features(0.5 * np.sin(2 * np.pi * (200 + 9000 * t) * t)[None])
    assert found.shape == (1, 25, 120)
    wanted = [[0.25179, -0.28351, -0.43508, -0.71387], [-1, -1, 0.61993, -1], [-1, -1, -1, 0.28188]]
    assert torch.allclose(found[0, [0, 12, 24]][:, [10, 40, 70, 100]], torch.tensor(wanted), atol=1e-5)


def test_samples_are_drawn_from_their_seed() -> None:
    from pretrained import pictures, speech

    (one, labels), (same, _), (other, _) = (pictures.digits(6, seed) for seed in (0, 0, 1))
    assert one.shape == (6, 3, 32, 32) and one.dtype == torch.float32 and 0 <= one.min() < one.max() <= 1
    assert torch.equal(one, same) and not torch.equal(one, other) and labels.max() < 10
    sounds = [speech.sounds(1, seed) for seed in (0, 0, 1)]
    assert sounds[0].shape == (1, speech.LENGTH) and np.abs(sounds[0]).max() <= 1
    assert np.array_equal(sounds[0], sounds[1]) and not np.array_equal(sounds[0], sounds[2])
    assert speech.features(sounds[0]).shape == (1, 900, 120)

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

import respike

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.slow
def test_speed_compares_the_ann_and_ours_in_every_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    file = tmp_path / "speed.csv"
    tiny = "--networks mnist_cnn -T 2 --batch 4 --repeats 1 --no-peers --parts steps profile"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "speed", *tiny.split(), "--csv", str(file)])
    benchmark.main()
    shown = capsys.readouterr().out
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    ratios = {row["what"]: float(row["value"]) for row in rows if row["measure"] == "÷ ANN"}
    ours = [f"ours, {precision}" for precision in ("float32", "bfloat16", "int8")]
    ann = ["ANN float32, as given", "ANN float32, channels-last", "ANN bfloat16, channels-last"]
    assert list(ratios) == [*ann, *ours, "ours, float32, input of frames", "plain copy of our scans' bytes"]
    assert all(0 < ratio < math.inf for ratio in ratios.values())
    assert all(name in shown for name in ratios)
    for name in ours:  # in percent, written with four digits
        shares = [float(row["value"]) for row in rows if row["part"] == "profile" and row["what"] == name]
        assert len(shares) == 4
        assert sum(shares) == pytest.approx(100, abs=0.01)


@pytest.mark.slow
def test_growth_is_told_for_each_size_and_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    table, figure = tmp_path / "growth.csv", tmp_path / "growth.png"
    tiny = f"--sizes 1 8 --repeats 1 --csv {table} --figure {figure}"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "growth", *tiny.split()])
    benchmark.main()
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    sizes = [(row["grows"], row["size"]) for row in rows]
    assert sizes == [(grows, size) for grows in ("T", "batch", "width") for size in ("1", "8") for _ in range(3)]
    assert all(0 < float(row["ratio"]) < math.inf and 0 < float(row["rate"]) < 1 for row in rows)
    assert figure.stat().st_size > 0


@pytest.mark.slow
def test_recordings_are_judged_after_each_tenth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    table, figure = tmp_path / "recordings.csv", tmp_path / "recordings.png"
    tiny = f"-T 20 --samples 200 --no-peers --csv {table} --figure {figure}"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "recordings", *tiny.split()])
    benchmark.main()
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    wanted = [(network, str(share)) for network in ("ANN so far", "respike") for share in range(10, 101, 10)]
    assert [(row["network"], row["share"]) for row in rows] == wanted
    whole = rows[9]
    assert float(whole["agreement"]) == 100 and float(whole["below_the_ann"]) == 0
    assert all(float(row["accuracy"]) > 90 for row in rows if int(row["share"]) >= 50)
    assert 0 < float(rows[-1]["spikes"]) < 0.5 and float(rows[-1]["time"]) == 1
    assert figure.stat().st_size > 0


@pytest.mark.slow
def test_encoders_are_told_with_their_slopes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    table, figure = tmp_path / "encoders.csv", tmp_path / "encoders.png"
    tiny = f"--samples 256 --encoders poisson error_diffusion --csv {table} --figure {figure}"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "encoders", *tiny.split()])
    benchmark.main()
    shown = capsys.readouterr().out
    from inputs.encoded import Row, slope

    rows = [
        Row(row["encoder"], int(row["T"]), float(row["error"]), float(row["input_synops"]), float(row["synops"]))
        for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    ]
    assert all(0 < row.input_synops < row.synops for row in rows)
    for encoder, wanted in (("poisson", -0.5), ("error_diffusion", -1.0)):
        found = slope([row for row in rows if row.encoder == encoder])
        assert found == pytest.approx(wanted, abs=0.1)
        assert f"{found:.2f}" in shown
    assert figure.stat().st_size > 0


@pytest.mark.slow
def test_a_stream_of_samples_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from ranks import gain

    held = gain.held_by(60_000, 1000)
    assert sorted(held) == [6_000, 60_000]
    assert held[60_000] < 1.05 * held[6_000]


@pytest.mark.slow
def test_what_two_ranks_gain_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    tiny = "--network mnist_mlp -T 2 --samples 2000 --rounds 1"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "ranks", *tiny.split()])
    benchmark.main()
    found = [line for line in capsys.readouterr().out.splitlines() if "rounds:" in line]
    assert [line.split(":")[0] for line in found] == [
        f"two {what}, {kind}" for kind in ("time", "processor time") for what in ("ranks", "programs")
    ]
    assert all(0 < float(line.split()[-1].strip(")")) < math.inf for line in found)


@pytest.mark.slow
def test_smooth_networks_have_a_row_for_each_code_and_kind_of_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import benchmark
    from smooth import codes

    images = torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(0))  # Fashion-MNIST does not ship
    test = TensorDataset(images[40:], torch.arange(20) % 10)
    monkeypatch.setattr(codes, "data_of", lambda *_: (images[:40], test))
    table = tmp_path / "smooth.csv"
    tiny = f"smooth fashion_vit -T 2 --codes binary signed --populations 2 --samples 20 --calibration 16 --csv {table}"
    monkeypatch.setattr("sys.argv", ["benchmark.py", *tiny.split()])
    benchmark.main()
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    kinds = [(row["code"], row["activation"]) for row in rows]
    assert kinds == [(code, kind) for code in ("binary", "signed") for kind in ("tracking", "2 ReLUs")]
    assert all("spikes of one sign" in row["points_lost"] for row in rows[:2])
    for row in rows[2:]:
        assert float(row["points_lost"]) == pytest.approx(
            float(row["accuracy"]) * -1 + accuracy_of(images[40:]), abs=0.01
        )
        assert float(row["synops"]) > 0 and float(row["energy"]) > 0
        assert 0 < float(row["macs"]) < 0.01 * float(row["ann_macs"])  # of the first layer, once
    shown = capsys.readouterr().out
    assert "| signed | 2 ReLUs | 2 |" in shown and "- binary, tracking: iaf neurons" in shown


@torch.no_grad()
def accuracy_of(images: torch.Tensor) -> float:
    """Of the ANN on labels 0 to 9, again and again, in percent."""
    decided = respike.models.load("fashion_vit")(images).argmax(1)
    return 100 * float((decided == torch.arange(len(images)) % 10).double().mean())

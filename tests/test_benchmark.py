from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

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

from __future__ import annotations

import csv
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.slow
def test_files_are_held_against_respike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    file = tmp_path / "rows.csv"
    tiny = "mnist_mlp mnist_cnn -T 4 --samples 60 --repeats 1"
    monkeypatch.setattr("sys.argv", ["benchmark.py", "onnx-export", *tiny.split(), "--csv", str(file)])
    benchmark.main()
    assert "no decision differs" in capsys.readouterr().out
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["network"], row["form"]) for row in rows] == [
        (name, form) for name in ("mnist_mlp", "mnist_cnn") for form in ("loop", "step")
    ]
    assert all(float(row["alike"]) >= 95 and int(row["decisions"]) == 0 for row in rows)

"""A handful of the files that ``scripts/import_corpus.py`` holds against onnxruntime, and the script itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import slow

import respike

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import import_corpus

    logging.disable(logging.WARNING)
    yield import_corpus
    logging.disable(logging.NOTSET)


def written(
    script: Any, name: str, exporter: str, batch: int | None, folder: Path
) -> tuple[Path, torch.nn.Module, Any]:
    """One file of the corpus, with the module and its samples."""
    model, x = script.NETWORKS[name].build()
    script.export(model, x, exporter, batch, folder / "net.onnx")
    np.savez(folder / "net.npz", x=x.numpy())
    return folder / "net.onnx", model, x


@pytest.mark.parametrize("batch", [slow(1), 3])
@pytest.mark.parametrize("exporter", [slow("dynamo"), "legacy"])
@pytest.mark.parametrize("name", ["patches", "positions for each sample"])
def test_fixed_batches_are_equal_at_any(script: Any, name: str, exporter: str, batch: int, tmp_path: Path) -> None:
    verdict = script.judged(written(script, name, exporter, batch, tmp_path)[0])
    assert verdict.kind == "equal", verdict


@pytest.mark.parametrize(
    ("name", "exporter", "batch"),
    [
        ("sets with masks", "legacy", 1),
        ("bytes, standardised, sqrt, log", "legacy", 3),
        ("embedding and one-hot", "dynamo", 1),
    ],
)
def test_functions_of_the_input_alone_convert(
    script: Any, name: str, exporter: str, batch: int, tmp_path: Path
) -> None:
    """They are computed once; the error of the rest falls as 1/T."""
    path, model, x = written(script, name, exporter, batch, tmp_path)
    assert script.judged(path).kind == "equal"
    errors = []
    for steps in (16, 256):
        snn = respike.from_onnx(path, x, steps, schedule="layerwise", threshold="max", correction="none")
        with torch.no_grad():
            errors.append(float((snn(x) - model(x)).square().mean().sqrt()))
    assert errors[1] < errors[0] / 5, errors


def test_what_is_not_equal_is_told_apart(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mixes, *_ = written(script, "over the batch", "legacy", 3, tmp_path)
    assert script.judged(mixes).kind == "declared"
    recurrent, *_ = written(script, "recurrent", "legacy", None, tmp_path)
    verdict = script.judged(recurrent)
    assert verdict.kind == "refused" and "GRU" in verdict.why
    path, *_ = written(script, "flatten", "legacy", None, tmp_path)

    def off(*args: Any, **options: Any) -> Any:
        net = respike.convert.load_onnx(*args, **options)
        next(net.parameters()).data *= 1.001
        return net

    monkeypatch.setattr(script, "load_onnx", off)
    assert script.judged(path).kind == "wrong"
    monkeypatch.setattr(sys, "argv", ["import_corpus.py", "--no-write", "--files", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 1


def test_a_refusal_must_name_a_node(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, *_ = written(script, "flatten", "legacy", None, tmp_path)

    def vague(*args: Any, **options: Any) -> Any:
        raise respike.convert.ConversionError("this cannot be imported")

    monkeypatch.setattr(script, "load_onnx", vague)
    assert script.judged(path).kind == "wrong"

"""Results of parts, merged: bit for bit what all samples at once give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import respike
from respike.evaluation import Evaluation, merge
from respike.evaluation.merging import missing_parts

N = 60


@pytest.fixture(scope="module")
def both() -> tuple[nn.Module, respike.SpikingNetwork]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3)).eval()
    return model, respike.from_torch(model, torch.rand(64, 6), timesteps=5)


def data(values: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(N, 6, generator=generator)
    return x, torch.randn(N, 3, generator=generator) if values else torch.randint(3, (N,), generator=generator)


def seventh(output: Tensor, target: Tensor) -> Tensor:
    return output.sum(1) / 7


@pytest.mark.parametrize("kind", ["labels", "values", "metric", "float32"])
@pytest.mark.parametrize("schedule", ["synchronous", "layerwise"])
def test_uneven_parts_are_the_whole(
    kind: str, schedule: Any, both: tuple[nn.Module, respike.SpikingNetwork], tmp_path: Path
) -> None:
    model = both[0]
    snn = both[1] if schedule == "synchronous" else respike.from_torch(model, data()[0], 5, schedule=schedule)
    options: dict[str, Any] = {"ann": model, "batch_size": 7}
    options |= {"metric": {"metric": seventh}, "float32": {"against_float32": True}}.get(kind, {})
    x, y = data(kind == "values")
    whole = respike.evaluate(snn, (x, y), **options)
    paths = []
    for number, piece in enumerate((slice(0, 7), slice(7, 42), slice(42, N))):
        paths.append(tmp_path / f"{number}.json")
        respike.evaluate(snn, (x[piece], y[piece]), **options).to_json(paths[-1])
    parts = [Evaluation.from_json(path) for path in paths]
    found = merge([merge([parts[2], parts[0]]), parts[1]])
    assert found.as_dict() == whole.as_dict()
    assert str(found.cost()) == str(whole.cost())


def test_parts_that_evaluate_takes_are_the_whole(both: tuple[nn.Module, respike.SpikingNetwork]) -> None:
    model, snn = both
    x, y = data()
    forms = [(x, y), list(zip(x.split(7), y.split(7), strict=True))]
    whole = respike.evaluate(snn, (x, y), ann=model, batch_size=7).as_dict()
    for form in forms:
        parts = [respike.evaluate(snn, form, ann=model, batch_size=7, part=(k, 4)) for k in range(1, 5)]
        assert [part.samples for part in parts] == [18, 14, 14, 14]  # of 9 batches, the last one of 4
        found = merge(parts)
        assert not missing_parts(found)
        assert missing_parts(merge(parts[:2])) == "3 and 4 of 4"
        assert missing_parts(merge(parts[1:2])) == "1, 3 and 4 of 4"
        uncut = found.as_dict()
        assert uncut["sums"].pop("cut") == [[k, 4, 7] for k in range(1, 5)]
        assert uncut["sums"].pop("digest") != whole["sums"]["digest"]
        assert uncut == {**whole, "sums": {k: v for k, v in whole["sums"].items() if k not in ("cut", "digest")}}
    assert merge([respike.evaluate(snn, (x, y), ann=model, batch_size=7)]).as_dict() == whole


def test_what_does_not_belong_together_is_refused(both: tuple[nn.Module, respike.SpikingNetwork]) -> None:
    model, snn = both
    x, y = data()
    one = respike.evaluate(snn, (x[:30], y[:30]), ann=model)
    two = respike.evaluate(snn, (x[30:], y[30:]), ann=model)
    other = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3))
    for wrong, reason in (
        (respike.evaluate(snn, (x[30:], y[30:]), ann=model, timesteps=4), "another number of timesteps: 4 and not 5"),
        (respike.evaluate(snn, (x[30:], y[30:])), "another ANN"),
        (respike.evaluate(snn, (x[30:], y[30:]), ann=other), "another ANN"),
        (respike.evaluate(snn, (x[30:], y[30:]), ann=model, metric=seventh), "another metric: 'seventh' and not 'acc"),
        (respike.evaluate(respike.from_torch(other, x, 5), (x[30:], y[30:]), ann=model), "another network"),
        (one, "results 1 and 2 share samples"),
        (respike.evaluate(snn, (x, y), ann=model), "results 1 and 2 share samples"),
        (respike.evaluate(snn, (x[25:], y[25:]), ann=model), "results 1 and 2 share samples"),
        (replace(two, sums=None), "result 2 does not hold the sums"),
        (replace(two, sums={**(two.sums or {}), "samples": 31}), "its sums are not those that were written"),
    ):
        with pytest.raises(ValueError, match=reason):
            merge([one, wrong])
    with pytest.raises(ValueError, match="results 1 and 2 share samples"):
        merge([merge([one, two]), two])
    with pytest.raises(ValueError, match="results 1 and 2 share samples"):
        merge([respike.evaluate(snn, (x, y), ann=model, batch_size=7, part=(1, n)) for n in (2, 3)])
    assert merge([one, one], again=True).samples == 60
    with pytest.raises(ValueError, match="at least one"):
        merge([])


def test_files_of_something_else_are_refused(both: tuple[nn.Module, respike.SpikingNetwork], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    written = json.loads(respike.evaluate(both[1], data()).to_json())
    for text, reason in (
        ("{", "is not a JSON file"),
        ("[1]", "is not an evaluation"),
        (json.dumps({**written, "layers": [{"name": "x"}]}), "is a damaged evaluation"),
        (json.dumps({key: value for key, value in written.items() if key != "latency"}), "is a damaged evaluation"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=reason):
            Evaluation.from_json(path)

"""What a report says is what the network does, counted in other ways."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Converted
from frame_networks import small
from PIL import Image
from samples import one_in
from torch import Tensor, nn

import respike
from respike.report import Report, gather, write_page
from respike.report.contents.activations import activations
from respike.report.contents.decisions import decisions
from respike.report.contents.pictures import picture
from respike.report.contents.sample import sample_run


def sent(snn: respike.SpikingNetwork, x: Tensor, timesteps: int) -> dict[str, Tensor]:
    """What each layer sends in each step, ``(T, N, ...)``."""
    found: dict[str, list[Tensor]] = {}
    for _ in snn.blocks([x], timesteps=timesteps, recorder=lambda n, e, v: found.setdefault(n.name, []).append(v)):
        pass
    return {name: torch.cat(values) for name, values in found.items()}


def test_decisions_are_those_of_the_networks(converted: Converted) -> None:
    snn, ann, (x, y) = converted.snn, converted.ann, converted.data
    own, other = snn(x).argmax(1), ann(x).argmax(1)
    found = converted.report.decisions
    assert found is not None
    pairs = [Counter(zip(y.tolist(), answer.tolist(), strict=True)) for answer in (own, other)]
    assert {(a, b): (n, m) for a, b, n, m in found["confusion"]} == {
        cell: (pairs[0][cell], pairs[1][cell]) for cell in {*pairs[0], *pairs[1]}
    }
    differ = (own != other).nonzero().flatten().tolist()
    assert 0 < len(differ) < 48
    assert [(d["index"], d["label"], d["snn"], d["ann"]) for d in found["differing"]["shown"]] == [
        (k, int(y[k]), int(own[k]), int(other[k])) for k in differ
    ]
    assert [found["differing"][k] for k in ("count", "snn", "ann", "neither")] == [
        len(differ),
        int(((own != other) & (own == y)).sum()),
        int(((own != other) & (other == y)).sum()),
        int(((own != other) & (other != y) & (own != y)).sum()),
    ]
    first = base64.b64decode(found["differing"]["shown"][0]["picture"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(first)))
    assert np.abs(pixels / 255 - x[differ[0], 0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_decisions_of_fewer_steps_and_without_an_ann(converted: Converted) -> None:
    x, y = converted.data
    found = decisions(converted.snn, None, (x, y), timesteps=2, batch_size=20)
    assert found is not None
    assert found["differing"] is None and found["samples"] == 48 and found["classes"] == ["0", "1", "2", "3"]
    own = converted.snn.simulate(x, timesteps=2)[:, -1].argmax(1)
    assert sum(n for a, b, n, _ in found["confusion"] if a == b) == int((own == y).sum())
    with pytest.raises(ValueError, match="4 classes and 2 names"):
        decisions(converted.snn, None, (x, y), timesteps=2, classes=["a", "b"])


def test_activations_are_those_of_the_relus_and_rates_those_of_the_neurons(converted: Converted) -> None:
    x = converted.images
    seen: dict[str, Tensor] = {}
    hooks = [
        converted.ann[k].register_forward_hook(lambda m, i, o, k=k: seen.update({f"{k} (ReLU)": o})) for k in (1, 4)
    ]
    with torch.no_grad():
        converted.ann(x)
    for hook in hooks:
        hook.remove()
    spikes = sent(converted.snn, x, 5)
    found = activations(converted.snn, converted.ann, x, timesteps=5, samples=48)
    assert found["samples"] == 48 and [layer["where"] for layer in found["layers"]] == list(seen)
    for layer in found["layers"]:
        ann, mean = seen[layer["where"]], spikes[layer["name"]].mean(0)
        theta = converted.snn.neurons[layer["name"]].threshold
        rate = mean / theta
        assert layer["zeros"] == pytest.approx(float((ann == 0).double().mean()))
        assert sum(layer["values"]["ann"]) == int((ann > 0).sum())
        assert sum(layer["values"]["snn"]) == int((mean > 0).sum())
        assert layer["thresholds"] == pytest.approx([float(theta.min()), float(theta.mean()), float(theta.max())])
        rows: Counter[int] = Counter()
        columns: Counter[int] = Counter()
        for column, row, count in layer["rates"]["cells"]:
            rows[row] += count
            columns[column] += count
        assert layer["rates"]["level"] == 1 / 5
        assert rows == Counter((rate * 5).round().long().flatten().tolist())
        edges = (ann / theta / layer["rates"]["step"]).long().clamp(max=39)
        assert sum(columns.values()) == ann.numel()
        assert sum(abs(n - int((edges == c).sum())) for c, n in columns.items()) <= 2  # on the edge of a bin


def test_more_values_than_are_kept_are_drawn_evenly(converted: Converted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respike.report.contents.activations.VALUES", 2000)
    whole = converted.report.activations
    part = activations(converted.snn, converted.ann, converted.images, timesteps=5, samples=48)
    again = activations(converted.snn, converted.ann, converted.images, timesteps=5, samples=48)
    assert whole is not None and part == again
    for few, all_of_them in zip(part["layers"], whole["layers"], strict=True):
        count = sum(n for *_, n in few["rates"]["cells"])
        assert 1900 < count <= 2000 < sum(n for *_, n in all_of_them["rates"]["cells"])
        assert abs(few["zeros"] - all_of_them["zeros"]) < 4 * (0.25 / count) ** 0.5  # four standard deviations


@pytest.mark.parametrize("options", one_in(3, [{"neuron": "signed"}, {}, {"neuron": "lif"}, {"max_spikes": 3}]))
def test_a_samples_spikes_are_the_networks_and_no_charge_is_lost(converted: Converted, options: dict[str, Any]) -> None:
    x, y = converted.images[7:8], converted.labels[7:8]
    snn = respike.from_torch(converted.ann, converted.images[:16], timesteps=5, **options)
    run = sample_run(snn, (x,), y, converted.ann, index=7, timesteps=5)
    assert run is not None
    whole = sent(snn, x, 5)
    snn.memory_budget = 1  # step by step
    again = sample_run(snn, (x,), y, converted.ann, index=7, timesteps=5)
    assert again is not None
    for one, other in zip(again["layers"], run["layers"], strict=True):
        assert one["events"] == other["events"]
        assert one["trace"]["potential"] == pytest.approx(other["trace"]["potential"], abs=1e-5)
    for layer in run["layers"]:
        theta = snn.neurons[layer["name"]].threshold
        spikes = (whole[layer["name"]] / theta).flatten(1)
        assert layer["neurons"] == spikes.shape[1]
        assert layer["active"] == int((spikes != 0).any(0).sum()) > 0
        chosen = torch.zeros(5, len(layer["shown"]))
        for step, row, count in layer["events"]:
            chosen[step - 1, row] = count
        assert torch.allclose(chosen, spikes[:, layer["shown"]], atol=1e-5)
        trace = layer["trace"]
        assert trace["spikes"] == pytest.approx(chosen[:, trace["row"]].tolist())
        if options.get("neuron") != "lif":  # which leaks
            gained = trace["potential"][-1] - trace["potential"][0]
            assert sum(trace["current"]) == pytest.approx(sum(trace["spikes"]) + gained, abs=1e-4)
    steps, expected = snn.simulate(x)[0], converted.ann(x)[0].tolist()
    assert [s["class"] for s in run["scores"]] == steps[-1].argsort(descending=True).tolist()
    for one in run["scores"]:
        assert one["snn"] == pytest.approx(steps[:, one["class"]].tolist(), abs=1e-6)
        assert one["ann"] == pytest.approx(expected[one["class"]], abs=1e-6)


def test_pictures_are_of_images_alone() -> None:
    def pixels(x: Tensor) -> np.ndarray:
        found = picture(x)
        assert found is not None
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.partition(",")[2]))))

    colour = torch.rand(3, 9, 7)
    assert np.array_equal(pixels(colour), (255 * colour.double()).round().byte().permute(1, 2, 0).numpy())
    normalised = pixels(torch.randn(1, 8, 8))
    assert normalised.min() == 0 and normalised.max() == 255
    assert pixels(torch.rand(3, 300, 200)).shape == (96, 64, 3)
    assert [picture(x) for x in (torch.rand(5, 8, 8), torch.rand(8), torch.rand(1, 2, 50), "no image")] == [None] * 4


def test_json_brings_everything_back(converted: Converted, tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    text = converted.report.to_json(path)
    assert path.read_text(encoding="utf-8") == text + "\n"
    back = Report.from_json(path)
    assert back.to_json() == text
    assert back.run["command"] == "respike report small.onnx" and back.run["seed"] == 0
    assert back.run["versions"]["torch"] == metadata.version("torch")
    result = respike.evaluate(converted.snn, converted.data, converted.ann)
    result.to_json(path)
    assert Report.from_json(path).evaluation == json.loads(result.to_json())
    assert Report.from_json(path).name == "small"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "not a JSON file"),
        ({"format": "respike report 2"}, "says 'respike report 2'"),
        ({"name": None}, "has no name"),
        ({"evaluation": None}, "'evaluation' is missing"),
        ({"evaluation": {"samples": 3}}, "evaluation has no schedule, accuracy"),
        ({"diagnosis": []}, "'diagnosis' is missing or no object"),
        ({"cost": {"verdict": "dear"}}, "cost has no model, energy"),
    ],
)
def test_files_that_are_no_reports_are_told_apart(
    converted: Converted, tmp_path: Path, change: dict[str, Any] | None, message: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{" if change is None else json.dumps(converted.report.as_dict() | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        Report.from_json(path)
    assert "broken.json" in str(caught.value)


def test_tables_hold_what_was_found(converted: Converted, tmp_path: Path) -> None:
    report = converted.report
    files = report.to_csv(tmp_path / "tables")
    assert {f.stem for f in files} == {"timesteps", "layers", "confusion", "differing", "early_exit"}
    read = {f.stem: list(csv.DictReader(io.StringIO(f.read_text(encoding="utf-8")))) for f in files}
    assert [float(row["accuracy"]) for row in read["timesteps"]] == report.evaluation["accuracy"]
    assert report.cost is not None and report.diagnosis is not None and report.decisions is not None
    assert [float(row["energy_pj"]) for row in read["timesteps"]] == report.cost["energy"]
    errors = {x["name"]: x["error"] for x in report.diagnosis["layers"]}
    assert {row["name"]: float(row["error"]) for row in read["layers"] if row["error"]} == errors
    assert sum(int(row["snn"]) for row in read["confusion"]) == 48
    assert len(read["differing"]) == report.decisions["differing"]["count"]
    assert {row["label"] for row in read["confusion"]} <= {"square", "ring", "bar", "dot"}


def test_what_cannot_be_known_is_left_out(converted: Converted, tmp_path: Path) -> None:
    x, y = converted.images[:16], converted.labels[:16]
    converted.snn.save(tmp_path / "net.respike")
    alone = gather(respike.load(tmp_path / "net.respike"), (x, y))
    assert alone.diagnosis is alone.activations is alone.early_exit is None
    assert alone.decisions is not None and alone.decisions["differing"] is None and alone.sample is not None
    layerwise = respike.from_torch(converted.ann, x, timesteps=4, schedule="layerwise")
    found = gather(layerwise, (x, y), converted.ann, calibration=x)
    assert found.sample is found.early_exit is None and found.diagnosis is not None
    values = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    u = torch.rand(20, 3)
    snn = respike.from_torch(values, u, timesteps=4)
    result = respike.evaluate(snn, (u, u[:, :2]), values, metric=lambda a, b: (a - b).square().mean(1))
    regression = gather(snn, (u, u[:, :2]), values, evaluation=result, calibration=u)
    assert regression.decisions is regression.early_exit is None and regression.activations is not None
    unit = gather(converted.snn.normalised(), (x, y), converted.ann)
    assert unit.diagnosis is None and unit.sample is not None


def test_data_that_cannot_be_read_again_and_samples_that_are_not_there(converted: Converted) -> None:
    with pytest.raises(ValueError, match="several times"):
        gather(converted.snn, iter([converted.data]), converted.ann)
    with pytest.raises(ValueError, match="no sample 48: the data has 48"):
        gather(converted.snn, converted.data, sample=48)


def test_a_page_about_frames_says_so(tmp_path: Path) -> None:
    model, snn, frames = small()
    report = gather(snn, (frames, torch.zeros(64).long()), model, name="frames", calibration=frames)
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The picture is the mean of its frames." in text
    assert re.search(r"a frame for each timestep</dt>\s*<dd[^>]*>input<", text)
    assert re.search(r"input \(input\)</th>\s*<td[^>]*>events<", text)


class Gated(nn.Module):
    """A smooth activation, and a product of two signals."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.act, self.b, self.c, self.d = nn.Linear(6, 8), nn.GELU(), *(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.a(x))
        scores: Tensor = self.d(self.b(h).sigmoid() * self.c(h))
        return scores


def test_functions_products_and_sums_of_relus_are_on_the_page(tmp_path: Path) -> None:
    model, x = Gated(), torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    snn = respike.from_torch(model, x, 4, population=3)
    write_page(gather(snn, (x, torch.arange(40) % 8), model), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    about = snn.as_dict()
    assert about["populations"] and about["product"]
    for made in about["populations"]:
        row = f'<th scope="row">{made["where"]}</th><td>3</td><td>{100 * made["error"]:.2f} %</td>'
        assert row in page
    places = ", ".join(dict.fromkeys(about["product"]))
    assert re.search(rf'<th scope="row">products of signals</th><td>1</td><td class="words[^>]*>{places}<', page)

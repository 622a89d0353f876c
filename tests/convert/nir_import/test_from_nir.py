"""``from_nir`` gives back what ``to_nir`` wrote, and runs the IF graphs of others by the meaning that is given."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nir_networks import NETWORKS, converted, in_256ths, recorded
from torch import Tensor, nn

import respike
from respike.convert import ConversionError, FormatError

h5py = pytest.importorskip("h5py", reason="NIR files need respike[nir]")
nir = pytest.importorskip("nir", reason="NIR files need respike[nir]")

MEANING: dict[str, Any] = {"reset": "subtract", "spikes": "single", "floor": None, "timesteps": 6}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_written_comes_back(name: str, tmp_path: Path) -> None:
    build, shape = NETWORKS[name]
    x = in_256ths(torch.rand(16, *shape))
    snn = converted(build(), x).quantised(8)
    snn.timesteps = 3
    snn.to_nir(tmp_path / "net.nir")
    back = respike.from_nir(tmp_path / "net.nir")
    assert (back.timesteps, back.calibrated_timesteps, back.fitted) == (3, 4, True)
    wanted, found = recorded(snn, x), recorded(back, x)
    assert len(found) == len(wanted) > 0
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    torch.testing.assert_close(back(x), snn(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mnist_mlp", "fashion_resnet", "fashion_mobilenet"])
def test_reference_networks_come_back(name: str, tmp_path: Path) -> None:
    x = in_256ths(respike.models.datasets.calibration()[:8])
    snn = converted(respike.models.load(name), x, correction="bias").quantised(8)
    snn.to_nir(tmp_path / "net.nir")
    back = respike.from_nir(tmp_path / "net.nir")
    assert all(torch.equal(a, b) for a, b in zip(recorded(back, x), recorded(snn, x), strict=True))
    assert [n.shape for n in back.graph.nodes if n.role == "spike"] == [
        n.shape for n in snn.graph.nodes if n.role == "spike"
    ]
    # Neither the zeros between groups nor factors are synapses.
    wanted, found = (respike.evaluate(s, (x, torch.zeros(8).long())).synops for s in (snn, back))
    assert found == pytest.approx(wanted)


def test_all_else_works_on_it(tmp_path: Path) -> None:
    x, labels = respike.models.datasets.calibration()[:32], torch.zeros(32).long()
    converted(respike.models.load("mnist_mlp"), x, 8).to_nir(tmp_path / "net.nir")
    snn = respike.from_nir(tmp_path / "net.nir")
    result = respike.evaluate(snn, (x, labels))
    assert result.cost().synops[-1] > 0
    assert respike.EarlyExit(snn, x)(x).output.shape == (32, 10)
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(x), snn(x))
    assert "net_2 (IF)" in snn.summary()
    with pytest.raises(ConversionError, match="unit thresholds"):
        respike.diagnose(snn, x)


def simulated(weights: list[Any], x: Tensor, steps: int, multiple: bool, floor: float | None) -> Tensor:
    """Spikes of the last of some layers of (weight, r, θ), by the words of ``from_nir``."""
    v = [torch.zeros(len(x), len(weight)).double() for weight, _, _ in weights]
    sent = []
    for _ in range(steps):
        signal = x.double()
        for i, (weight, r, theta) in enumerate(weights):
            v[i] = v[i] + r * (signal @ weight.double().T)
            signal = (v[i] / theta).floor().clamp(min=0, max=None if multiple else 1)
            v[i] = v[i] - signal * theta
            if floor is not None:
                v[i] = torch.maximum(v[i], floor * theta)
        sent.append(signal)
    return torch.stack(sent)


def foreign(path: Path, dt: float = 1.0) -> list[Any]:
    """A file of two layers as another simulator may write it, and its weights."""
    weights = [
        (in_256ths(torch.randn(8, 5)), torch.full((8,), 2.0).double(), torch.linspace(0.5, 4, 8).double()),
        (in_256ths(torch.randn(4, 8)), torch.ones(4).double(), torch.ones(4).double()),
    ]
    nodes = []
    for weight, r, theta in weights:
        nodes += [nir.Linear(weight.numpy()), nir.IF((r / dt).numpy(), theta.numpy())]
    nir.write(path, nir.NIRGraph.from_list(*nodes))
    return weights


@pytest.mark.parametrize("spikes", ["single", "multiple"])
@pytest.mark.parametrize("dt", [1.0, 2.0**-13])
def test_graphs_of_others_run_as_they_are_told(spikes: str, dt: float, tmp_path: Path) -> None:
    weights, x = foreign(tmp_path / "net.nir", dt), in_256ths(torch.rand(32, 5))
    snn = respike.from_nir(tmp_path / "net.nir", **{**MEANING, "spikes": spikes}, dt=dt)
    wanted = simulated(weights, x, 6, spikes == "multiple", None)
    assert wanted.max() > 1 if spikes == "multiple" else wanted.max() == 1
    assert torch.equal(recorded(snn, x)[-1].double(), wanted)
    assert torch.allclose(snn(x).double(), wanted.mean(0))  # spikes of 1, whatever the thresholds


@pytest.mark.parametrize("floor", [0, -0.25])
def test_a_floor_is_the_neurons(floor: float, tmp_path: Path) -> None:
    weights, x = foreign(tmp_path / "net.nir"), in_256ths(torch.rand(32, 5))
    snn = respike.from_nir(tmp_path / "net.nir", **{**MEANING, "spikes": "multiple", "floor": floor})
    wanted = simulated(weights, x, 6, True, floor)
    assert not torch.equal(wanted, simulated(weights, x, 6, True, None))
    assert torch.equal(recorded(snn, x)[-1].double(), wanted)


def test_thresholds_of_each_place(tmp_path: Path) -> None:
    """Which the engine has as currents that are scaled."""
    theta = 2.0 ** torch.arange(32).reshape(2, 4, 4).fmod(3).numpy()
    weight = in_256ths(torch.randn(2, 1, 3, 3)).numpy()
    conv = nir.Conv2d((4, 4), weight, (1, 1), (1, 1), (1, 1), 1, np.zeros(2, np.float32))
    nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(conv, nir.IF(np.ones((2, 4, 4)), theta)))
    x = in_256ths(torch.rand(8, 1, 4, 4))
    snn = respike.from_nir(tmp_path / "net.nir", **MEANING)
    with torch.no_grad():
        current = torch.conv2d(x, torch.from_numpy(weight), padding=1).double()
    v, total = torch.zeros_like(current), torch.zeros_like(current)
    for _ in range(6):
        spikes = (v + current >= torch.from_numpy(theta)).double()
        v, total = v + current - spikes * torch.from_numpy(theta), total + spikes
    assert torch.allclose(snn(x).double(), total / 6)


def test_the_meaning_has_to_be_given(tmp_path: Path) -> None:
    foreign(tmp_path / "net.nir")
    for left_out in MEANING:
        with pytest.raises(ConversionError, match="does not say what its IF nodes do"):
            respike.from_nir(tmp_path / "net.nir", **{k: v for k, v in MEANING.items() if k != left_out})
    with pytest.raises(ConversionError, match="hard reset"):
        respike.from_nir(tmp_path / "net.nir", **{**MEANING, "reset": "zero"})
    with pytest.raises(ConversionError, match="must be one of single, multiple"):
        respike.from_nir(tmp_path / "net.nir", **{**MEANING, "spikes": "many"})


def test_a_file_of_ours_says_it_itself(tmp_path: Path) -> None:
    x = torch.rand(16, 4)
    converted(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), x).to_nir(tmp_path / "net.nir")
    assert respike.from_nir(tmp_path / "net.nir", reset="subtract", spikes="single", floor=None).timesteps == 4
    assert respike.from_nir(tmp_path / "net.nir", timesteps=9).timesteps == 9
    for other in ({"spikes": "multiple"}, {"floor": -1}, {"reset": "zero"}):
        with pytest.raises(ConversionError, match="not what the file says"):
            respike.from_nir(tmp_path / "net.nir", **other)


def test_all_unknown_nodes_are_in_one_error(tmp_path: Path) -> None:
    ones = np.ones(3)
    nodes = {
        "in": nir.Input(np.array([3])),
        "leaky": nir.LIF(tau=ones, r=ones, v_leak=ones, v_threshold=ones),
        "cuba": nir.CubaLIF(ones, ones, ones, ones, ones),
        "wait": nir.Delay(ones),
        "spikes": nir.IF(ones, ones),
        "back": nir.Linear(np.eye(3)),
        "alone": nir.Linear(np.eye(3)),
        "out": nir.Output(np.array([3])),
    }
    names = ["in", "leaky", "cuba", "wait", "spikes", "out"]
    edges = [*itertools.pairwise(names), ("spikes", "back"), ("back", "spikes")]
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises(ConversionError) as caught:
        respike.from_nir(tmp_path / "net.nir", **MEANING)
    found = {refusal.where: refusal.why for refusal in caught.value.refusals}
    assert "leak" in found["leaky (LIF)"]
    assert "leak" in found["cuba (CubaLIF)"]
    assert "waits" in found["wait (Delay)"]
    assert "is read by nothing" in found["alone (Linear)"]
    (loop,) = [where for where, why in found.items() if why == "is a loop"]
    assert "spikes" in loop
    assert "back" in loop


def test_a_missing_file_and_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="no such file"):
        respike.from_nir(tmp_path / "net.nir")
    with pytest.raises(FormatError, match="not a regular file"):
        respike.from_nir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ConversionError, match=r"respike\[nir\]"):
        respike.from_nir(tmp_path / "net.nir")

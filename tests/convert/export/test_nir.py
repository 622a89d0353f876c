"""``to_nir`` writes what a neutral interpreter runs with the same spikes, and refuses all else in one error."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import nir_interpreter
import pytest
import torch
import torch.nn.functional as F
from nir_networks import NETWORKS, converted, in_256ths, recorded
from random_networks import RandomNet
from random_oracles import inputs
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import respike
from respike.convert import ConversionError, SpikingNetwork
from respike.convert.export.nir import nir_of

h5py = pytest.importorskip("h5py", reason="NIR files need respike[nir]")
nir = pytest.importorskip("nir", reason="NIR files need respike[nir]")


def differing(snn: SpikingNetwork, x: Tensor, path: Path) -> tuple[int, Tensor]:
    """How many spikes of the file are not the network's, and its output."""
    snn.to_nir(path)
    spikes, output = nir_interpreter.run(path, x)
    pairs = list(zip(spikes.values(), recorded(snn, x), strict=True))
    assert all(int(sent.sum()) > 0 for _, sent in pairs)
    return sum(int((found != sent).sum()) for found, sent in pairs), output.float()


def check_same(snn: SpikingNetwork, x: Tensor, path: Path) -> None:
    """The file's spikes and output are the network's."""
    wrong, output = differing(snn, x, path)
    assert wrong == 0
    torch.testing.assert_close(output, snn(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mnist_mlp", "fashion_resnet", "fashion_mobilenet"])
@pytest.mark.parametrize("images", [8, pytest.param(256, marks=pytest.mark.slow)])
def test_reference_networks(name: str, images: int, tmp_path: Path) -> None:
    x = in_256ths(respike.models.datasets.calibration()[:images])
    check_same(converted(respike.models.load(name), x, 8, correction="bias").quantised(8), x, tmp_path / "net.nir")


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    x = in_256ths(torch.rand(24, *shape))
    snn = converted(build(), x)
    check_same(snn.quantised(8), x, tmp_path / "net.nir")
    wrong, _ = differing(snn, x, tmp_path / "float.nir")
    assert wrong <= 2  # where rounding decides, a spike comes a step later, and none comes in its place


def test_the_file_is_for_old_and_new_readers(tmp_path: Path) -> None:
    """Without ``v_reset``, which nir 1.0.4 does not know; nodes stand in the order in which they run."""
    torch.manual_seed(0)
    snn = converted(
        nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)), torch.rand(8, 1, 4, 4)
    )
    snn.to_nir(tmp_path / "net.nir")
    with h5py.File(tmp_path / "net.nir") as file:
        nodes = file["node/nodes"]
        assert list(nodes) == ["input", "n_0", "n_1", "n_2_flatten", "n_3", "output"]
        assert set(nodes["n_1"]) == {"type", "r", "v_threshold", "metadata"}
        assert nodes["n_1/metadata/v_0"].shape == (12, 2, 2)
        assert (nodes["n_1/v_threshold"][()] == 1).all()
        metadata = {key: value[()] for key, value in file["node/metadata"].items() if isinstance(value, h5py.Dataset)}
    assert metadata["timesteps"] == 4
    assert metadata["reset"] == b"subtract"
    assert metadata["spikes"] == b"single"


class Everything(nn.Module):
    """One of each thing that is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(4, 3)
        self.transposed = nn.ConvTranspose2d(4, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([F.relu(self.first(x)), F.relu(self.first(x))], 1)[:, :4]
        y = self.pool(F.relu(self.transposed(y)))
        return torch.softmax(self.head(y.mean((2, 3))), 1)


def test_all_that_nir_cannot_say_is_in_one_error(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.rand(8, 2, 8, 8)
    snn = converted(Everything(), x, neuron="signed")
    snn.schedule = "layerwise"
    with pytest.raises(ConversionError) as caught:
        snn.to_nir(tmp_path / "net.nir")
    found = {refusal.where: refusal.todo for refusal in caught.value.refusals}
    assert "schedule" in found["the network"]
    assert "average-pooling" in found["pool (MaxPool2d)"]
    assert "mean of the outputs" in next(todo for where, todo in found.items() if "softmax" in where)
    assert {"transposed (ConvTranspose2d)", "forward: cat"} <= found.keys()
    assert len([r for r in caught.value.refusals if "neuron='iaf'" in r.todo]) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [({"neuron": "lif"}, "neuron='iaf'"), ({"max_spikes": 2}, "max_spikes=1"), ({"precision": "int8"}, "precision")],
)
def test_other_neurons_and_arithmetic_are_refused(options: dict[str, Any], word: str, tmp_path: Path) -> None:
    snn = converted(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(16, 4), **options)
    with pytest.raises(ConversionError, match=word):
        snn.to_nir(tmp_path / "net.nir")


REFUSED: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "kernel": (lambda: nn.Conv2d(2, 4, (2, 3)), (2, 6, 6), "odd or all even"),
    "ceil": (lambda: nn.AvgPool2d(2, ceil_mode=True), (2, 5, 5), "ceil_mode=False"),
    "border": (lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False), (2, 5, 5), "count_include_pad"),
    "windows": (lambda: nn.AdaptiveAvgPool2d(2), (2, 5, 5), "divide"),
    "positions": (lambda: nn.Linear(5, 3), (2, 5, 5), "kernel size 1"),
    "unflatten": (lambda: nn.Unflatten(1, (1, 2)), (2, 5, 5), "flatten to one axis"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_readers_do_not_take_are_refused(name: str, tmp_path: Path) -> None:
    build, shape, word = REFUSED[name]
    x = torch.rand(16, *shape)
    model = nn.Sequential(nn.Conv2d(shape[0], shape[0], 1), nn.ReLU(), build())
    with pytest.raises(ConversionError, match=word):
        converted(model, x).to_nir(tmp_path / "net.nir")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snn = converted(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(16, 4))
    for name in ("nir", "h5py"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ConversionError, match=r"respike\[nir\]"):
                snn.to_nir(tmp_path / "net.nir")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [1052, *one_in(9, range(2000, 2036))])
def test_random_networks_can_be_written_or_are_refused(seed: int) -> None:
    """Whatever they are made of: 1052 has a pool that goes over channels too."""
    net = RandomNet(seed).eval()
    snn = converted(net, TensorDataset(*inputs(net, seed)), correction="none")
    with suppress(ConversionError):
        assert nir_of(snn).nodes

"""A network as a Python file gives what the network gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
import zoo
from exported import CODES
from samples import one_in
from torch import Tensor, nn

import respike
from respike.layers import RateNeuron


def imported(path: Path) -> nn.Module:
    """What ``load()`` of the file gives."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: nn.Module = module.load()
    return found


def in_time(inputs: tuple[Tensor, ...], steps: int) -> list[Tensor]:
    return [x[:, None].expand(-1, steps, *x.shape[1:]) for x in inputs]


@pytest.mark.parametrize("code", CODES)
def test_every_code_comes_back(code: str, tmp_path: Path) -> None:
    x = respike.models.datasets.calibration()[:40]
    snn = respike.from_torch(respike.models.load("mnist_mlp"), x, 3, **CODES[code]).with_floor(-2)
    snn.to_python(tmp_path / "net.py")
    network = imported(tmp_path / "net.py")
    with torch.no_grad():
        assert torch.equal(network(*in_time((x,), 3)), snn.simulate(x))
    neurons = [layer for layer in network.modules() if isinstance(layer, RateNeuron)]
    assert [repr(layer) for layer in neurons] == [
        repr(layer) for layer in snn.to_module().modules() if isinstance(layer, RateNeuron)
    ]


@pytest.mark.filterwarnings("ignore:this network is far from the ANN", "ignore:.*never fires on the calibration data")
@pytest.mark.parametrize("name", one_in(5, list(zoo.CONVERTS)[::4]))
def test_networks_of_the_zoo_come_back_or_are_refused(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    snn = respike.from_torch(case.build().eval(), [x], 3, correction="none", **case.extra)
    try:
        module = snn.to_module()
    except respike.ConversionError:
        pytest.skip("it has no module")
    if any("_Applied" in type(layer).__name__ or len(getattr(layer, "sums", [0])) > 1 for layer in module.modules()):
        with pytest.raises(respike.ConversionError, match="no spelling"):
            snn.to_python(tmp_path / "net.py")
        assert not list(tmp_path.iterdir())
        return
    snn.to_python(tmp_path / "net.py")
    made = imported(tmp_path / "net.py")
    assert [name for name, _ in made.named_parameters()] == [name for name, _ in module.named_parameters()]
    with torch.no_grad():
        wanted, found = (net(*in_time(x, 3)) for net in (module, made))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_names_that_cannot_be_imported_are_refused(tmp_path: Path) -> None:
    snn = respike.from_torch(respike.models.load("mnist_mlp"), torch.rand(20, 1, 28, 28), 2)
    for name in ("net", "my-net.py", "net.txt", "class.py", "None.py", "torch.py", "math.py"):
        with pytest.raises(respike.ConversionError, match="cannot be imported"):
            snn.to_python(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        snn.to_python(tmp_path / "none" / "net.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["net.py", "net.safetensors"])
def test_neither_file_is_replaced_if_one_cannot_be(folder: str, tmp_path: Path) -> None:
    """Code and tensors of two networks would not fit."""
    snn = respike.from_torch(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.rand(8, 3), 2, correction="none")
    (tmp_path / folder).mkdir()
    (other,) = {"net.py", "net.safetensors"} - {folder}
    (tmp_path / other).write_text("what was there")
    with pytest.raises(respike.errors.RespikeError, match=f"{folder}: it is a folder"):
        snn.to_python(tmp_path / "net.py")
    assert (tmp_path / other).read_text() == "what was there"


def test_functions_of_ours_are_imported(tmp_path: Path) -> None:
    """A pool that takes samples for channels is one that PyTorch refuses in some layouts."""

    class Across(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.conv(nn.functional.max_pool3d(x, (2, 1, 1))).relu()
            return found

    torch.manual_seed(0)
    x = torch.rand(8, 4, 5, 5)
    snn = respike.from_torch(Across(), x, 3, correction="none")
    snn.to_python(tmp_path / "net.py")
    with torch.no_grad():
        assert torch.equal(imported(tmp_path / "net.py")(*in_time((x,), 3)), snn.simulate(x))

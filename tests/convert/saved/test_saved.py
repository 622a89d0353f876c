"""What is saved and loaded again gives the same spikes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from exported import digits
from safetensors.torch import load_file
from samples import one_in, quick_are
from saved_networks import again, assert_same, same, small, told
from torch import Tensor, nn

import respike
from respike.convert import FormatError


@pytest.mark.parametrize("name", quick_are(["mnist_mlp"], respike.models.REGISTRY))
def test_the_reference_networks_come_back(name: str, tmp_path: Path) -> None:
    x = digits(name, 40)
    snn = respike.from_torch(respike.models.load(name), x, 6, correction="bias")
    assert_same(snn, again(snn, tmp_path), (x[:10],))


@pytest.mark.slow
def test_what_chose_its_options_is_told_as_before(tmp_path: Path) -> None:
    snn, x = small(timesteps=respike.Auto(within=20))
    loaded = again(snn, tmp_path)
    assert_same(snn, loaded, (x,))
    assert loaded.choice == snn.choice is not None
    assert loaded.closeness == snn.closeness is not None
    assert [m.options for m in loaded.neurons.values()] == [m.options for m in snn.neurons.values()]
    assert [m.where for m in loaded.neurons.values()] == [m.where for m in snn.neurons.values()]


@pytest.mark.filterwarnings("ignore:this network runs 9 timesteps")  # on purpose
def test_what_was_changed_after_conversion_is_saved(tmp_path: Path) -> None:
    snn, x = small()
    snn.timesteps, snn.precision = 9, "int8"
    next(iter(snn.neurons.values())).threshold *= 1.25
    assert_same(snn, again(snn, tmp_path), (x,))
    twice = again(snn.double(), tmp_path)
    assert twice(x).dtype == torch.float64
    assert_same(snn, twice, (x,))


LAYERS = {
    "pads": lambda: nn.Sequential(nn.ReflectionPad2d((1, 2, 0, 1)), nn.ReplicationPad2d(1), nn.ZeroPad2d((0, 1, 2, 0))),
    "pads by operator": lambda: Curve(lambda y: torch.ops.aten.reflection_pad2d(y, [1, 2, 0, 1])),
    "pools": lambda: nn.Sequential(nn.MaxPool2d((2, 1), 1, (1, 0)), nn.AvgPool2d((1, 3), (1, 2))),
    "folds": lambda: nn.Sequential(nn.Unfold(2, padding=1), nn.Fold((8, 8), 2, padding=1), nn.PixelUnshuffle(2)),
    "axes": lambda: nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (8, 4, 2)), nn.Flatten(-2, -1), nn.ChannelShuffle(2)),
    "samples": lambda: nn.Sequential(nn.Upsample(scale_factor=(1.5, 0.7)), nn.Upsample(size=5, mode="bilinear")),
    "long": lambda: nn.Sequential(
        nn.Flatten(2), nn.AdaptiveMaxPool1d(9), nn.AvgPool1d(3, 1, 1), nn.ConstantPad1d(2, 1)
    ),
}


@pytest.mark.parametrize("name", one_in(3, LAYERS))
def test_layers_with_odd_arguments_come_back(name: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), LAYERS[name](), nn.Flatten(), nn.LazyLinear(5))
    x = torch.rand(20, 3, 8, 8)
    model(x)
    snn = respike.from_torch(model, x, 3)
    assert_same(snn, again(snn, tmp_path), (x,))
    exact = snn.double()
    assert same(snn(x).argmax(1), exact.normalised()(x).argmax(1))


class Pair(NamedTuple):
    scores: Tensor
    rest: Any


class Shapes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(5, 7).t())  # not contiguous

    def forward(self, batch: dict[str, Any], scale: float = 2.0) -> Pair:
        y = torch.relu(nn.functional.linear(batch["x"], self.w) + scale * batch["y"][0])
        return Pair(nn.functional.linear(y, self.w.t()), OrderedDict(b=[y], a=(None, 3)))


def test_structures_of_inputs_and_outputs_come_back(tmp_path: Path) -> None:
    batch = {"x": torch.randn(9, 5), "y": (torch.randn(9, 7),)}
    snn = respike.from_torch(Shapes(), [(batch, None)], 5, correction="none")
    loaded = again(snn, tmp_path)
    before, after = snn(batch), loaded(batch)
    assert type(after).__name__ == "Pair" and after._fields == ("scores", "rest")
    assert same(tuple(before), tuple(after))
    assert same(told(snn, (batch,)), told(loaded, (batch,)))  # type: ignore[arg-type]
    assert all(t.is_contiguous() for t in snn.weights.buffers())
    with pytest.raises(ValueError, match="structured as when traced"):
        loaded(batch["x"])


def test_analog_parts_come_back_or_are_named(tmp_path: Path) -> None:
    x = torch.rand(4, 3, 8, 8)
    snn = analog(lambda y: y * torch.sigmoid(y))
    assert_same(snn, again(snn, tmp_path), (x,))
    odd = analog(torch.asinh)
    with pytest.raises(FormatError, match=r"cannot be saved: operation 'asinh' is 'aten.asinh.default', which is not"):
        odd.save(tmp_path / "odd.respike")
    assert not list(tmp_path.iterdir())


class Curve(nn.Module):
    def __init__(self, curve: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.curve = curve

    def forward(self, x: Tensor) -> Tensor:
        return self.curve(x)


def analog(curve: Callable[[Tensor], Tensor]) -> respike.SpikingNetwork:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Curve(curve), nn.Conv2d(4, 5, 3))
    return respike.from_torch(model, torch.rand(8, 3, 8, 8), 3, analog=["2"])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    snn, _ = small()
    path = tmp_path / "net.respike"
    snn.save(path)
    before = path.read_bytes()
    broken, _ = small()
    next(iter(broken.neurons.values())).threshold[0] = float("nan")
    with pytest.raises(FormatError, match="not finite"):
        broken.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["net.respike"]
    with pytest.raises(FileNotFoundError, match="folder"):
        snn.save(tmp_path / "nowhere" / "net.respike")


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems only")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_permissions_of_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        small()[0].save(tmp_path / "net.respike")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.respike").stat().st_mode) == 0o666 & ~umask


LARGE = """
import sys
from pathlib import Path
import torch
import respike
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 200_000), nn.ReLU(), nn.Linear(200_000, 60))
snn = respike.from_torch(model, torch.rand(4, 8), 2, correction="none")
print("ready", flush=True)
while True:
    snn.save(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems only")
def test_what_a_killed_save_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """The process is killed while something lies in the folder that is not the network."""
    path, other = tmp_path / "net.respike", os.environ | {"PYTHONPATH": str(Path(respike.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", LARGE, str(path)], env=other, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        left: list[Path] = []
        while not left:
            left = [file for file in tmp_path.iterdir() if file != path]
            assert process.poll() is None
        process.kill()
        process.wait(60)
    small()[0].save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.respike"]


@pytest.mark.cuda
def test_a_network_on_a_gpu_is_loaded_to_the_cpu(tmp_path: Path) -> None:
    snn, x = small()
    loaded = again(snn.cuda(), tmp_path)
    assert {b.device.type for b in loaded.buffers()} == {"cpu"}
    assert_same(snn, loaded.cuda(), (x.cuda(),))


def test_a_state_dict_and_a_file_hold_the_same_tensors(tmp_path: Path) -> None:
    snn, _ = small()
    snn.save(tmp_path / "net.respike")
    stored, state = load_file(tmp_path / "net.respike"), snn.state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], state[name]) for name in state)

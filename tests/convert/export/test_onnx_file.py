"""``to_onnx`` writes what onnxruntime runs with the engine's outputs."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import zoo
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in, quick_are
from torch import Tensor, nn

import respike
from respike.convert import ConversionError, ConversionWarning, SpikingNetwork
from respike.convert.export.onnx_file import write
from respike.convert.export.onnx_file.neuron_step import fired
from respike.layers.kernels import Rule, eager

CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "bursts": {"max_spikes": 3},
    "signed": {"neuron": "signed"},
    "multi-threshold": {"neuron": "multi_threshold"},
    "lif": {"neuron": "lif"},
}


def converted(model: nn.Module, *x: Tensor, steps: int = 4, **options: Any) -> SpikingNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        settings = {"correction": "bias", "threshold": "max", **options}
        return respike.from_torch(model, [x], steps, **settings)


def small(**options: Any) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )
    x = torch.rand(16, 1, 10, 10)
    return converted(model.eval(), x, **options), x


def opened(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path))


def fed(session: Any, snn: SpikingNetwork, x: tuple[Any, ...]) -> dict[str, Any]:
    """The network's inputs, but for those that no output needs."""
    named = dict(zip(snn.graph.inputs, snn.graph.flatten(x), strict=True))
    return {value.name: named[value.name].numpy() for value in session.get_inputs() if value.name in named}


def looped(snn: SpikingNetwork, path: Path, x: tuple[Any, ...], steps: list[int]) -> list[list[Any]]:
    """The outputs after each of these numbers of steps."""
    snn.to_onnx(path, "loop")
    session = opened(path)
    feed = fed(session, snn, x)
    return [session.run(None, {**feed, "timesteps": np.array(t)}) for t in steps]


def stepped(snn: SpikingNetwork, path: Path, x: tuple[Any, ...], steps: int) -> list[list[Any]]:
    """The outputs after each of so many steps, as a user of the file takes them."""
    snn.to_onnx(path, "step")
    session = opened(path)
    feed = fed(session, snn, x)
    batch = len(x[0])
    states = {
        value.name: np.zeros(
            [n if isinstance(n, int) else batch if n == "batch" else 1 for n in value.shape], "float32"
        )
        for value in session.get_inputs()
        if value.name.startswith("state.")
    }
    names = [value.name for value in session.get_outputs()]
    found = []
    for _ in range(steps):
        given = dict(zip(names, session.run(None, {**feed, **states}), strict=True))
        states = {name: given[f"next_{name}"] for name in states}
        found.append([given[name] for name in names if not name.startswith("next_state.")])
    return found


def wanted(snn: SpikingNetwork, x: tuple[Any, ...], steps: int) -> list[list[Any]]:
    """The engine's outputs after each step."""
    blocks = list(snn.blocks(snn.graph.flatten(x), timesteps=steps, length=1))
    return [[value[0].numpy() for value in block if isinstance(value, Tensor)] for block in blocks]


def compare(found: list[list[Any]], engine: list[list[Any]], tolerance: float = 0) -> None:
    for ours, theirs in zip(found, engine, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            if tolerance:
                np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))
            else:
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", one_in(12, range(24)))
@pytest.mark.parametrize("code", CODES)
def test_random_networks_give_the_same_numbers(seed: int, code: str, tmp_path: Path) -> None:
    """Where every sum is exact, bit for bit; a leak rounds."""
    net = RandomNet(seed + 100 * list(CODES).index(code)).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, correction="none", **CODES[code])
    exact(snn)
    engine = wanted(snn, x, 4)
    rounds = 1e-6 if code == "lif" else 0
    compare(looped(snn, tmp_path / "loop.onnx", x, [1, 2, 4]), [engine[t - 1] for t in (1, 2, 4)], rounds)
    some = [0, 1, 3]  # a mean over three steps is rounded before the last layer
    found = stepped(snn, tmp_path / "step.onnx", x, 4)
    compare([found[t] for t in some], [engine[t] for t in some], rounds)
    compare(found, engine, 1e-6)


@pytest.mark.parametrize("name", one_in(15, zoo.CONVERTS))
def test_networks_of_the_zoo_give_the_same_outputs(name: str, tmp_path: Path) -> None:
    """But for rounding, as onnxruntime adds up in another order; a spike more or less would be far more.

    Samples may meet in them: one step has no time axis that could come between them.
    """
    torch.manual_seed(0)
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    snn = converted(case.build().eval(), *x, **case.extra)
    engine = wanted(snn, x, 4)
    compare(looped(snn, tmp_path / "loop.onnx", x, [1, 4]), [engine[0], engine[3]], 1e-5)
    compare(stepped(snn, tmp_path / "step.onnx", x, 4), engine, 1e-5)


@pytest.mark.parametrize("name", quick_are(["mnist_cnn"], respike.models.REGISTRY))
@pytest.mark.parametrize("code", quick_are(["binary"], CODES))
def test_reference_networks_send_the_same_spikes(name: str, code: str, tmp_path: Path) -> None:
    """With weights in whole numbers, which are added up alike in any order."""
    x = (respike.models.datasets.calibration()[:24] * 256).round() / 256
    snn = converted(respike.models.load(name), x, steps=3, **CODES[code]).quantised(8)
    engine = wanted(snn, (x,), 3)
    compare(looped(snn, tmp_path / "loop.onnx", (x,), [1, 2, 3]), engine, 1e-6)
    compare(stepped(snn, tmp_path / "step.onnx", (x,), 3), engine, 1e-6)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(),
        Rule(most=4),
        Rule(most=1, signed=True),
        Rule(most=4, signed=True),
        *(Rule(signed=True, levels=levels) for levels in (2, 3, 4, 7)),
    ],
    ids=str,
)
def test_spikes_are_the_engines(rule: Rule) -> None:
    """At the threshold and at each of its parts, at infinity, and anywhere else."""
    grid = torch.arange(-600, 601) / 64
    v_mem = torch.cat(
        [grid, grid.nextafter(torch.tensor(torch.inf)), torch.randn(1000) * 3, torch.tensor([1e30, -1e30])]
    )
    theta = torch.tensor([[1.0], [0.37], [3.0]])
    for held in (0.0, 0.25, 1.0, 5.0):
        net = torch.full((3, len(v_mem)), held) if rule.signed else None
        at = v_mem * theta
        assert torch.equal(fired(rule, at, net, theta), eager.fire(rule, at, net, theta))


@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_size_is_free(batch: int, tmp_path: Path) -> None:
    snn, x = small()
    x = x[:batch]
    compare(looped(snn, tmp_path / "loop.onnx", (x,), [4]), wanted(snn, (x,), 4)[3:], 1e-6)
    compare(stepped(snn, tmp_path / "step.onnx", (x,), 4), wanted(snn, (x,), 4), 1e-6)


def test_what_does_not_vary_is_computed_once(tmp_path: Path) -> None:
    """The first layer and its bias come before the loop, the last one behind it; the second's weights are in it."""
    snn, _ = small()
    snn.to_onnx(tmp_path / "net.onnx")
    graph = onnx.load(tmp_path / "net.onnx").graph
    kinds = [node.op_type for node in graph.node]
    place = kinds.index("Loop")
    assert kinds[:place] == ["Conv"]
    assert kinds[place + 1 :].count("Gemm") == 1
    body = graph.node[place].attribute[0].g
    inner = [node.op_type for node in body.node]
    assert inner.count("Conv") == 1 and inner.count("MaxPool") == 1 and "Gemm" not in inner
    assert [value.dims for value in body.initializer if len(value.dims) == 4] == [[6, 4, 3, 3]]
    assert [value.dims for value in graph.initializer if len(value.dims) == 4 and value.dims[2] == 3] == [[4, 1, 3, 3]]


@pytest.mark.parametrize("form", write.FORMS)
def test_the_file_says_what_it_is(form: write.Form, tmp_path: Path) -> None:
    snn, _ = small(neuron="multi_threshold")
    path = tmp_path / "net.onnx"
    snn.to_onnx(path, form)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 18)]
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["respike.form"] == form and about["respike.timesteps"] == "4"
    assert about["respike.version"] == respike.__version__ == model.producer_version
    assert json.loads(about["respike.code"]) == [{"neuron": "multi_threshold", "max_spikes": 1, "levels": 4}]
    session = opened(path)
    shapes = {value.name: value.shape for value in session.get_inputs()}
    (x, *others) = shapes
    assert shapes[x] == ["batch", 1, 10, 10]
    if form == "loop":
        assert others == ["timesteps"]
        assert session.get_inputs()[1].type == "tensor(int64)" and shapes["timesteps"] == []
    else:
        assert json.loads(about["respike.states"]) == {name: f"next_{name}" for name in others}
        assert shapes["state.1.v_mem"] == shapes["state.1.net"] == ["batch", 4, 8, 8]
        assert shapes["state.2.sum"] == ["batch", 4, 8, 8] and shapes["state.2.before"] == ["batch", 4, 4, 4]
    for stranger in (b"torch.onnx", b"site-packages", str(Path(respike.__file__).parent).encode()):
        assert stranger not in path.read_bytes()


class _Names(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, linear: Tensor, timesteps: Tensor) -> Any:
        y = self.b(self.a(linear + timesteps).relu())
        z = y.relu()
        return {
            "linear_1": y,
            "add_1": y,
            "linear": linear,
            "state.steps": [z, z + 1],
            "loop.step": torch.ones(3),
            "": z,
        }


def test_names_of_the_user_and_of_the_file_do_not_meet(tmp_path: Path) -> None:
    """Outputs that are inputs, constants, the same value, or called as a value inside."""
    x = torch.rand(16, 4), torch.rand(16, 4)
    snn = converted(_Names().eval(), *x)
    engine = wanted(snn, x, 2)
    compare(stepped(snn, tmp_path / "step.onnx", x, 2), engine, 1e-6)
    snn.to_onnx(tmp_path / "loop.onnx")
    session = opened(tmp_path / "loop.onnx")
    given = {"linear": x[0].numpy(), "timesteps": x[1].numpy(), "timesteps_": np.array(2)}
    compare([session.run(None, given)], engine[1:], 1e-6)
    names = [value.name for value in session.get_outputs()]
    assert names[:2] == ["linear_1", "add_1"] and "state.steps_1" in names and len(set(names)) == 7


class _Special(nn.Module):
    """Functions of the input that ONNX has no operators for."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.special.i1(x) + torch.special.ndtri(x / 2 + 0.2)
        y: Tensor = self.b(self.a(x).relu())
        return y


def test_all_operations_that_cannot_be_exported_are_named(tmp_path: Path) -> None:
    snn = converted(_Special().eval(), torch.rand(16, 4))
    path = tmp_path / "net.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ConversionError, match="cannot be written as an ONNX file") as caught:
        snn.to_onnx(path)
    assert [refusal.why.rpartition(" ")[2] for refusal in caught.value.refusals] == ["special_i1", "special_ndtri"]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snn, _ = small()
    path = tmp_path / "net.onnx"
    with pytest.raises(ConversionError, match="form must be one of loop, step; got 'unrolled'"):
        snn.to_onnx(path, "unrolled")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="folder"):
        snn.to_onnx(tmp_path / "none" / "net.onnx")
    monkeypatch.setattr(write, "MOST", 100)
    with pytest.raises(ConversionError, match="less than 2 GiB"):
        snn.to_onnx(path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConversionError, match=r"pip install 'respike\[onnx-export\]'"):
        snn.to_onnx(path)
    snn.schedule = "layerwise"
    monkeypatch.undo()
    with pytest.raises(ConversionError, match="synchronous"):
        snn.to_onnx(path)
    assert not list(tmp_path.iterdir())

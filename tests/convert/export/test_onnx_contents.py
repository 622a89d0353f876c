"""What is in the files that ``to_onnx`` writes, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx_sessions import compare, converted, opened, small, stepped, wanted, zeros
from torch import Tensor, nn

import respike
from respike.convert import ConversionError
from respike.convert.export.onnx_file import write


@pytest.mark.parametrize("form", write.FORMS)
def test_another_runtime_gives_the_same(form: write.Form, tmp_path: Path) -> None:
    """ONNX's own reference, which takes each operator by the letter."""
    snn, x = small(max_spikes=2)
    x = x[:2]
    snn.to_onnx(tmp_path / "net.onnx", form)
    model = onnx.load(tmp_path / "net.onnx")
    feed = {"timesteps": np.array(1)} if form == "loop" else zeros(opened(tmp_path / "net.onnx"), 2)
    found = ReferenceEvaluator(model).run(["output"], {"input": x.numpy(), **feed})
    assert isinstance(found, list)
    compare([found], wanted(snn, (x,), 1), 1e-6)


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
def test_the_file_says_what_it_is(form: write.Form, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
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
    assert "onnxruntime" not in capfd.readouterr().err  # where it warns
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
        x = torch.special.i1(x) + torch.special.ndtri(x)
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


def test_an_output_that_is_called_as_a_state(tmp_path: Path) -> None:
    """It gets another name: states are found by theirs."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"next_state.steps": self.last(self.first(x).relu())}

    torch.manual_seed(0)
    x = torch.rand(8, 4)
    snn = converted(Named(), x)
    snn.to_onnx(tmp_path / "step.onnx", "step")
    session = opened(tmp_path / "step.onnx")
    names = [value.name for value in session.get_outputs()]
    assert names[:2] == ["next_state.steps_", "next_state.steps"]
    found = session.run(names[:1], {"x": x.numpy(), **zeros(session, len(x))})
    compare([found], wanted(snn, (x,), 1), 1e-6)

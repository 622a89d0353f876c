"""Attention with masks, and softplus, as PyTorch's exporters write them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_graphs import op, save
from torch import Tensor, nn

import respike
from respike.convert import ConversionError, load_onnx, verify_onnx


class Attends(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.project, self.head, self.options = nn.Linear(8, 24), nn.Linear(8, 4), options

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.unflatten(-1, (2, 4)).transpose(1, 2) for y in self.project(x).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, **self.options)
        return self.head(mixed.transpose(1, 2).flatten(2)).mean(1)


class Padded(nn.Module):
    """Tokens, of which those with the number 0 are not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 8), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x), src_key_padding_mask=x == 0).mean(1))


def model_and_inputs(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    tokens = torch.randint(1, 7, (12, 5))
    tokens[::2, 4] = 0
    seen = torch.ones(5, 5, dtype=torch.bool)
    made: dict[str, tuple[nn.Module, Tensor]] = {
        "causal": (Attends(is_causal=True), torch.randn(12, 5, 8)),
        "masked": (Attends(attn_mask=seen.tril()), torch.randn(12, 5, 8)),
        "blind": (Attends(attn_mask=seen.tril(-1)), torch.randn(12, 5, 8)),  # the first place sees nothing
        "padded": (Padded(), tokens),
        "softplus": (
            nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 9), nn.Softplus(2), nn.Linear(9, 3)),
            torch.randn(12, 6),
        ),
    }
    model, x = made[name]
    return model.eval(), x


def export(model: nn.Module, x: Tensor, path: Path, exporter: str) -> Path:
    kind, version = exporter.split("-")
    options: dict[str, Any] = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}}
    if kind == "dynamo":
        pytest.importorskip("onnxscript")
        options = {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim("N")},), "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x[:3],), str(path / "net.onnx"), opset_version=int(version), **options)
    return path / "net.onnx"


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("causal", "legacy-17"),
        ("causal", "dynamo-18"),
        ("masked", "legacy-17"),
        ("masked", "dynamo-20"),
        ("blind", "legacy-17"),
        ("padded", "dynamo-18"),
        ("softplus", "dynamo-18"),
    ],
)
def test_files_of_either_exporter(name: str, exporter: str, tmp_path: Path) -> None:
    model, x = model_and_inputs(name)
    path = export(model, x, tmp_path, exporter)
    net = load_onnx(path)
    assert verify_onnx(net, path, [x]) < 1e-4
    with torch.no_grad():
        wanted = model(x)
        assert (net(x) - wanted).abs().max() < 1e-4
    snn = respike.from_onnx(path, x, timesteps=32)
    found = snn(x)
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(x), found)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, -2, 0, 1, 2**63 - 1])
def test_a_triangle(upper: int, k: int | None, tmp_path: Path) -> None:
    nodes = [op("Trilu", "x" if k is None else "x k", "y", upper=upper)]
    path = save(tmp_path, nodes, {} if k is None else {"k": np.array(k)}, x=["N", 4, 5], opset=18)
    x = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    net = load_onnx(path)
    assert torch.equal(net(x), (torch.triu if upper else torch.tril)(x, k or 0))
    assert abs(k or 0) > 9 or verify_onnx(net, path, [x]) == 0


def test_a_triangle_begins_at_one_place(tmp_path: Path) -> None:
    path = save(tmp_path, [op("Trilu", "x k", "y")], {"k": np.array([1, 2])}, x=["N", 4, 5], opset=18)
    with pytest.raises(ConversionError, match="needs one number"):
        load_onnx(path)


def test_a_number_in_the_shape_of_the_input_is_data(tmp_path: Path) -> None:
    nodes = [op("Shape", "x", "s"), op("Expand", "one s", "o"), op("Add", "x o", "y")]
    path = save(tmp_path, nodes, {"one": np.array(1.5, np.float32)})
    net = load_onnx(path)
    x = torch.rand(90, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net(x), x + 1.5) and verify_onnx(net, path, [x]) == 0
    program = torch.export.export(net, (x,), dynamic_shapes={"inputs": ({0: torch.export.Dim("N")},)})
    assert len(program.graph.nodes) < 12

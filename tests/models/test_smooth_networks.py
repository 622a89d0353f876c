"""The reference networks with smooth activations and products of signals: what they compute, and how they export."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import quick_are
from torch import nn

import respike
from respike.convert import load_onnx, verify_onnx
from respike.models import REGISTRY, datasets
from respike.models.mobilenet_v3 import SqueezeExcitation
from respike.models.vit import SelfAttention

NAMES = [name for name, reference in REGISTRY.items() if reference.smooth]
BATCH = {0: torch.export.Dim("batch", min=1, max=4096)}
EXPORTERS: dict[str, dict[str, Any]] = {
    "dynamo": {"dynamo": True, "dynamic_shapes": (BATCH,), "verbose": False},
    "legacy": {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}},
}


@torch.no_grad()
def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = SelfAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(4, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


@torch.no_grad()
def test_squeeze_and_excitation_is_that_of_torchvision() -> None:
    ops = pytest.importorskip("torchvision.ops")
    torch.manual_seed(0)
    ours, theirs = SqueezeExcitation(8, 2), ops.SqueezeExcitation(8, 2, scale_activation=nn.Hardsigmoid)
    theirs.fc1.load_state_dict(ours.gate[1].state_dict())
    theirs.fc2.load_state_dict(ours.gate[3].state_dict())
    x = torch.randn(4, 8, 5, 6)
    torch.testing.assert_close(ours(x), theirs(x))


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_any_batch_goes_through_the_traced_program(name: str) -> None:
    model, x = respike.models.load(name), datasets.calibration()[:5]
    program = torch.export.export(model, (x[:2],), dynamic_shapes=(BATCH,)).module()
    torch.testing.assert_close(program(x), model(x))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "exporter"), quick_are([("fashion_vit", "legacy")], [(n, e) for n in NAMES for e in EXPORTERS])
)
def test_onnx_files_compute_the_same(name: str, exporter: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model, x = respike.models.load(name), datasets.calibration()[:5]
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (x[:2],), tmp_path / "net.onnx", opset_version=20, **EXPORTERS[exporter])
    finally:
        logging.disable(logging.NOTSET)
    net = load_onnx(tmp_path / "net.onnx")
    torch.testing.assert_close(net(x), model(x), atol=1e-4, rtol=1e-4)
    assert verify_onnx(net, tmp_path / "net.onnx") < 1e-5

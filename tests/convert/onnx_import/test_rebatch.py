"""Files exported with a fixed batch take any: held against the module, and against onnxruntime sample by sample."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from samples import one_in, slow
from small_graphs import op, save, weights
from torch import Tensor, nn

import respike
from respike.convert import ConversionError, load_onnx, verify_onnx


class Small(nn.Module):
    """A function of an image (N, 1, 8, 8) or a sequence (N, 5, 6), with layers for it."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.conv, self.line, self.out, self.embed = (
            nn.Conv2d(1, 4, 3),
            nn.Linear(144, 5),
            nn.Linear(8, 5),
            nn.Linear(6, 8),
        )
        self.register_buffer("token", torch.randn(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


IMAGE, SEQUENCE = (1, 8, 8), (5, 6)
NETWORKS: dict[str, tuple[Callable[[Any, Tensor], Tensor], tuple[int, ...]]] = {
    "flatten": (lambda s, x: s.line(F.relu(s.conv(x)).flatten(1)), IMAGE),
    "a token for each sample": (
        lambda s, x: s.out(F.relu(torch.cat([s.token.expand(x.shape[0], -1, -1), s.embed(x)], 1)).mean(1)),
        SEQUENCE,
    ),
    "ones for each sample": (lambda s, x: F.relu(s.embed(x) + torch.ones(x.shape[0], 1, 8)).mean(1), SEQUENCE),
    "batch times heads": (
        lambda s, x: F.relu(s.embed(x)).view(x.shape[0], 5, 2, 4).transpose(1, 2).reshape(x.shape[0] * 2, 5, 4).mean(1)
        .reshape(x.shape[0], 8),
        SEQUENCE,
    ),
    "sizes": (lambda s, x: F.interpolate(s.conv(x), size=(9, 5), mode="bilinear").relu(), IMAGE),
    "expanded channels": (lambda s, x: F.relu(s.conv(x)[:, :1]).expand(x.shape[0], 3, 6, 6).flatten(1), IMAGE),
    "time first": (lambda s, x: s.out(F.relu(s.embed(x.permute(1, 0, 2))).mean(0)), SEQUENCE),
}  # fmt: skip
OF_ONE: dict[str, tuple[Callable[[Any, Tensor], Tensor], tuple[int, ...]]] = {
    "squeezes everything": (lambda s, x: F.relu(s.embed(x)).mean(1).squeeze(), SEQUENCE),
    "flattens everything": (lambda s, x: s.line(F.relu(s.conv(x)).flatten()), IMAGE),
    "leaves its batch and comes back": (
        lambda s, x: s.line(F.relu(s.conv(x).squeeze(0)).unsqueeze(0).flatten(1)),
        IMAGE,
    ),
    "softmax of what it squeezed": (lambda s, x: F.softmax(F.relu(s.embed(x)).mean(1).squeeze(0), 0), SEQUENCE),
    "into one row": (lambda s, x: s.line(F.relu(s.conv(x)).reshape(1, -1)), IMAGE),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def exported(model: nn.Module, x: Tensor, path: Path, dynamo: bool) -> Path:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=dynamo, **({"verbose": False} if dynamo else {}))
    return path


@pytest.mark.parametrize("batch", [slow(1), 3])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fixed_batch_takes_any(name: str, batch: int, dynamo: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    function, shape = NETWORKS[name]
    model, x = Small(function).eval(), torch.rand(7, *shape)
    path = exported(model, x[:batch], tmp_path / "net.onnx", dynamo)
    net = load_onnx(path)
    assert net.batch is None
    torch.testing.assert_close(net(x), model(x), atol=1e-5, rtol=1e-4)
    assert verify_onnx(net, path, (x,)) < 1e-5


@pytest.mark.parametrize("name", one_in(3, OF_ONE))
def test_a_batch_of_one_that_is_squeezed_or_flattened_away(name: str, tmp_path: Path) -> None:
    """The file's own result for each sample, one after the other."""
    torch.manual_seed(0)
    function, shape = OF_ONE[name]
    model, x = Small(function).eval(), torch.rand(7, *shape)
    path = exported(model, x[:1], tmp_path / "net.onnx", dynamo=False)
    net = load_onnx(path)
    assert net.batch is None
    expected = torch.stack([model(sample).flatten() for sample in x.split(1)])
    torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(x[:1]), model(x[:1]), atol=1e-5, rtol=1e-4)  # the file's own shape
    assert verify_onnx(net, path, (x,)) < 1e-5
    assert verify_onnx(net, path, (x[:1],)) < 1e-5
    snn = respike.from_onnx(path, x, 8)
    assert snn(x).shape == expected.shape


def test_the_default_exporter_of_pytorch_with_one_sample(tmp_path: Path) -> None:
    """It writes Reshape with allowzero = 1 for Flatten."""
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    model, x = Small(NETWORKS["flatten"][0]).eval(), torch.rand(16, *IMAGE)
    path = exported(model, x[:1], tmp_path / "net.onnx", dynamo=True)
    assert any(a.name == "allowzero" and a.i for node in onnx.load(path).graph.node for a in node.attribute)
    snn = respike.from_onnx(path, x, 16, schedule="layerwise", threshold="max", correction="none")
    twin = respike.from_torch(model, x, 16, schedule="layerwise", threshold="max", correction="none")
    torch.testing.assert_close(snn(x), twin(x), atol=1e-5, rtol=1e-4)


def test_a_large_batch_is_no_large_network(tmp_path: Path) -> None:
    """4,096 samples at once would need more than any tensor may have; one does not."""
    nodes = [
        op("Conv", "x k", "c", pads=[1, 1, 1, 1]),
        op("Relu", "c", "h"),
        op("Reshape", "h s", "f"),
        op("MatMul", "f w", "y"),
    ]
    constants = {"k": weights(64, 3, 3, 3), "s": np.array([4096, -1]), "w": weights(64 * 64 * 64, 2)}
    net = load_onnx(save(tmp_path, nodes, constants, x=[4096, 3, 64, 64]))
    x = torch.rand(2, 3, 64, 64)
    expected = F.conv2d(x, torch.from_numpy(constants["k"]), padding=1).relu().flatten(1)
    assert net.batch is None
    torch.testing.assert_close(net(x), expected @ torch.from_numpy(constants["w"]), atol=1e-3, rtol=1e-3)
    constants["s"] = np.array([2048, -1])  # two samples to a row: nothing but all 4,096 will do
    constants["w"] = weights(2, 2)
    nodes[3] = op("ReduceMean", "f", "y", axes=[1])
    with pytest.raises(ConversionError, match="elements"):
        load_onnx(save(tmp_path, nodes, constants, x=[4096, 3, 64, 64]))


@pytest.mark.parametrize("same", [True, False])
def test_rows_of_a_constant_that_are_the_same_are_one(same: bool, tmp_path: Path) -> None:
    rows = np.repeat(weights(1, 6), 3, 0) if same else weights(3, 6)
    net = load_onnx(save(tmp_path, [op("Add", "x b", "s"), op("Relu", "s", "y")], {"b": rows}, x=[3, 6]))
    assert net.batch == (None if same else 3)
    x = torch.rand(3 if not same else 5, 6)
    torch.testing.assert_close(net(x), (x + torch.from_numpy(rows if not same else rows[:1])).relu())
    assert same == ("(1, 6)" in str({k: tuple(v.shape) for k, v in net.named_buffers()}))


def test_verify_runs_the_file_at_the_batch_it_declares(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = save(tmp_path, [op("MatMul", "x w", "a"), op("Relu", "a", "y")], {"w": weights(6, 5)}, x=[4, 6])
    net = load_onnx(path)
    for count in (1, 4, 10):
        assert verify_onnx(net, path, (torch.rand(count, 6),)) < 1e-6
    assert verify_onnx(net, path) < 1e-6


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize(("end", "free"), [(None, False), (5000, False), (2**31 - 1, True), (2**63 - 1, True)])
def test_a_file_that_cuts_its_batch_loses_no_samples(batch: int, end: int | None, free: bool, tmp_path: Path) -> None:
    """Slice takes the first ``end`` samples, or as many as the file declares; ends beyond any batch take all."""
    constants = {"a": np.array([0]), "b": np.array([end or batch]), "c": np.array([0])}
    net = load_onnx(save(tmp_path, [op("Slice", "x a b c", "s"), op("Relu", "s", "y")], constants, x=[batch, 6]))
    assert net.batch == (None if free else batch)
    x = torch.rand(batch, 6) - 0.5
    torch.testing.assert_close(net(x), x.relu())
    x = torch.rand(2 * batch, 6) - 0.5
    if free:
        torch.testing.assert_close(net(x), x.relu())
    else:
        with pytest.raises(ConversionError, match="wants the shape"):
            net(x)


def test_samples_that_meet_only_where_numbers_are_negative_are_seen(tmp_path: Path) -> None:
    nodes = [op("Neg", "x", "n"), op("Relu", "n", "r"), op("ReduceMax", "r", "m", axes=[0]), op("Add", "x m", "y")]
    assert load_onnx(save(tmp_path, nodes, {}, x=[3, 6])).batch == 3

"""A block of each family that has gates, smooth activations or attention: the graph is the model, by samples."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import quick_are
from torch import Tensor, nn

from respike.convert import load_onnx, relative_error
from respike.convert.graph import Graph
from respike.convert.run.analog import evaluate_graph
from respike.convert.sample_axis import apart
from respike.convert.saved.allowed_operations import operations
from respike.convert.tracing.normal_form import prepare, to_graph

tv = pytest.importorskip("torchvision.models")


class ChannelsLast(nn.Module):
    """A block that takes ``(N, H, W, C)``, as Swin's do, and the mean over space."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).mean((2, 3))


def mbconv() -> nn.Module:
    config = tv.efficientnet.MBConvConfig(4, 3, 1, 8, 8, 1)
    return tv.efficientnet.MBConv(config, 0.1, nn.BatchNorm2d)


def mobilenet() -> nn.Module:
    config = tv.mobilenetv3.InvertedResidualConfig(8, 3, 16, 8, True, "HS", 1, 1, 1.0)
    return tv.mobilenetv3.InvertedResidual(config, nn.BatchNorm2d)


def maxvit() -> nn.Module:
    sizes = {"partition_size": 2, "input_grid_size": (8, 8), "n_layers": 1, "p_stochastic": [0.1]}
    return tv.maxvit.MaxVitBlock(8, 16, 0.25, 4, nn.BatchNorm2d, nn.GELU, 8, 2, 0.1, 0.1, **sizes)


def swin(shift: int, block: str) -> nn.Module:
    return ChannelsLast(getattr(tv.swin_transformer, block)(8, 2, [4, 4], [shift, shift], stochastic_depth_prob=0.1))


def vit() -> nn.Module:
    model = tv.VisionTransformer(8, 4, 1, 2, 8, 16, dropout=0.1, num_classes=5)
    model.conv_proj = nn.Conv2d(8, 8, 4, 4)
    nn.init.normal_(model.heads.head.weight)
    return model


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "MBConv": mbconv,
    "MobileNetV3": mobilenet,
    "ConvNeXt": lambda: tv.convnext.CNBlock(8, 0.5, 0.1),
    "ViT": vit,
    "Swin": partial(swin, 0, "SwinTransformerBlock"),
    "Swin, shifted": partial(swin, 2, "SwinTransformerBlock"),
    "Swin V2, shifted": partial(swin, 2, "SwinTransformerBlockV2"),
    "MaxViT": maxvit,
}


def built(name: str) -> nn.Module:
    """The block, with statistics of batch norm as after training."""
    torch.manual_seed(0)
    block = BLOCKS[name]().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 1.5)
    return block


def check(graph: Graph, x: Tensor) -> None:
    """Samples are proven to stay apart, and do; a file may hold every operation."""
    assert apart(graph)
    assert {node.op for node in graph.nodes} <= operations()
    (whole,) = evaluate_graph(graph, [x])
    pieces = [evaluate_graph(graph, [piece])[0] for piece in x.split(2)]
    torch.testing.assert_close(torch.cat(pieces), whole)


QUICK = ["MBConv", "ConvNeXt", "ViT", "Swin, shifted", "MaxViT"]


@pytest.mark.parametrize("name", quick_are(QUICK, BLOCKS))
def test_a_block_is_traced_to_the_same_function(name: str) -> None:
    block, x = built(name), torch.randn(3, 8, 8, 8)
    graph = to_graph(prepare(block), (x,))
    assert relative_error(graph, block, (x,)) < 1e-5
    check(graph, x)


@pytest.fixture
def _quiet_exporters() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_quiet_exporters")
@pytest.mark.parametrize(
    ("name", "exporter"),
    quick_are([("ViT", "legacy")], [(name, exporter) for exporter in ("legacy", "dynamo") for name in BLOCKS]),
)
def test_a_file_of_a_block_is_the_same_function(name: str, exporter: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    block, x = built(name), torch.randn(3, 8, 8, 8)
    options: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, "dynamo": False}
    if exporter == "dynamo":
        batch = {0: torch.export.Dim("batch", min=1, max=4096)}
        options = {"dynamo": True, "dynamic_shapes": (batch,), "verbose": False}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(block, (x[:2],), tmp_path / "block.onnx", opset_version=18, **options)
    net = load_onnx(tmp_path / "block.onnx")
    with torch.no_grad():
        torch.testing.assert_close(net(x), block(x), rtol=1e-4, atol=1e-5)
    graph = to_graph(prepare(net), (x,))
    assert relative_error(graph, block, (x,)) < 1e-5
    check(graph, x)

"""torchvision's families: a fast subset of ``scripts/convert_pretrained.py``."""

from __future__ import annotations

import copy

import convert_pretrained as script
import pytest
import torch
from pretrained.families import build, image_size
from samples import quick_are, slow

from respike.convert import normal_form, relative_error
from respike.convert.sample_axis import apart
from respike.convert.saved.allowed_operations import operations
from respike.convert.tracing.normal_form import prepare, to_graph

QUICK = ["resnet18", "squeezenet1_1"]
OTHERS = ["alexnet", "mnasnet1_0", "vgg11_bn", "densenet121", "regnet_x_400mf", "mobilenet_v2"]


@pytest.mark.parametrize("name", quick_are(QUICK, QUICK + OTHERS))
def test_converts_with_the_anns_output(name: str) -> None:
    model = build(name)
    x = torch.rand(2, 3, 64, 64)
    graph = normal_form(model, (x,))
    assert relative_error(graph, model, (x,)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    "mobilenet_v3_small efficientnet_b0 regnet_y_400mf convnext_tiny vit_b_16 swin_t swin_v2_t maxvit_t".split(),
)
def test_gates_and_attention_are_traced_with_the_anns_output_and_samples_apart(name: str) -> None:
    model, size = build(name), image_size(name)
    x = torch.rand(2, 3, size, size)
    graph = to_graph(prepare(model), (x,))
    assert relative_error(graph, model, (x,)) < 1e-4
    assert apart(graph)
    assert {node.op for node in graph.nodes} <= operations()


@pytest.mark.slow
def test_a_whole_resnet_follows_the_ann_in_time() -> None:
    model, x = build("resnet18"), torch.rand(2, 3, 64, 64)
    assert script.correlation(script.spiking(model, x), model, x) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "googlenet"])
def test_converts_with_the_anns_output_and_comes_back_from_a_file(name: str) -> None:
    model, x = build(name), torch.rand(2, 3, 64, 64)
    snn = script.spiking(model, x)
    assert relative_error(snn.origin, model, (x,)) < 1e-4
    assert script.comes_back(snn, x)


def nonlinear_modules(model: torch.nn.Module, kinds: set[str]) -> set[str]:
    return {name for name, module in model.named_modules() if type(module).__name__ in kinds}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        slow(("mobilenet_v3_small", {"Hardswish", "SqueezeExcitation"})),
        slow(("convnext_tiny", {"GELU", "LayerNorm2d"})),
    ],
)
def test_each_function_and_product_has_its_place_in_time_and_neurons_behind_it(name: str, kinds: set[str]) -> None:
    model = build(name)
    graph = normal_form(model, (torch.rand(2, 3, 64, 64),))
    placed = {node.path for node in graph.nodes if node.role in ("function", "product")}
    first = {node.path for node in graph.nodes if node.role == "static"}
    spiking = {node.path for node in graph.nodes if node.role == "spike"}
    for module in nonlinear_modules(model, kinds):
        assert any(path == module or path.startswith(f"{module}.") for path in placed | first), module
        assert any(path == module or path.startswith(f"{module}.") for path in spiking), module
    assert len(first) <= 1  # in front of the first neurons


@pytest.mark.slow
def test_a_network_that_rounding_moves_is_no_bug() -> None:
    torch.manual_seed(0)
    model, x = build("resnet101"), torch.rand(2, 3, 64, 64)  # deep, and not trained
    graph = normal_form(model, (x,))
    with torch.no_grad():
        wanted, exact = model(x), copy.deepcopy(model).double()(x.double())
    moved = float((wanted - exact).abs().max() / exact.abs().max())
    assert relative_error(graph, model, (x,)) < max(1e-4, 4 * moved)

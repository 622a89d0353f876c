"""Networks trained with quantised activations: layerwise at T = L they are the network itself."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike
from respike.convert import normal_form, relative_error
from respike.convert.graph import RELU
from respike.convert.run.analog import evaluate_graph

LEVELS = 4
X = torch.rand(32, 2, 8, 8, generator=torch.Generator().manual_seed(5))


class Floor(torch.autograd.Function):
    """As the published codes have it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        return x.floor()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


floor: Callable[[Tensor], Tensor] = Floor.apply  # type: ignore[assignment]


def _straight(value: Tensor, through: Tensor) -> Tensor:
    return through + (value - through).detach()


Spelling = Callable[[Tensor, Tensor, int], Tensor]
SPELLINGS: dict[str, tuple[Spelling, float]] = {
    "QCFS": (lambda x, up, n: floor(torch.clamp(x / up, 0, 1) * n + 0.5) / n * up, 0.5),
    "QCFS, rounded first": (lambda x, up, n: torch.clamp(floor(x / up * n + 0.5) / n, 0, 1) * up, 0.5),
    "behind a ReLU": (lambda x, up, n: torch.clamp(floor(F.relu(x) / up * n + 0.5) / n, max=1) * up, 0.5),
    "DoReFa": (lambda x, up, n: torch.round(torch.clamp(x / up, 0, 1) * n) / n * up, 0.5),
    "LSQ": (lambda x, up, n: torch.round((x / (up / n)).clamp(0, n)) * (up / n), 0.5),
    "straight through": (
        lambda x, up, n: _straight((z := torch.clamp(x / up, 0, 1) * n).round(), z) / n * up,
        0.5,
    ),
    "straight through, by a difference": (
        lambda x, up, n: (z := x.clamp(min=0).minimum(up)) - (z - (z / up * n).round() / n * up).detach(),
        0.5,
    ),
    "y − z + z": (
        lambda x, up, n: (z := torch.clamp(x / up, 0, 1) * n) - z.detach() + torch.floor(z + 0.5).detach(),
        0.5,
    ),
    "cast to whole numbers": (lambda x, up, n: (torch.clamp(x / up, 0, 1) * n + 0.5).long().float() / n * up, 0.5),
    "cast, divided as it is": (lambda x, up, n: (torch.clamp(x / up, 0, 1) * n + 0.5).int() / n * up, 0.5),
    "floor division": (lambda x, up, n: (torch.clamp(x / up, 0, 1) + 0.5 / n) // (1 / n) / n * up, 0.5),
    "division that rounds": (
        lambda x, up, n: torch.div(torch.clamp(x / up, 0, 1) * n + 0.5, 1.0, rounding_mode="floor") / n * up,
        0.5,
    ),
    "without the half": (lambda x, up, n: floor(torch.clamp(x / up, 0, 1) * n) / n * up, 0.0),
    "rounded up": (lambda x, up, n: torch.ceil(torch.clamp(x / up, 0, 1) * n) / n * up, 1.0),
    "a quarter": (lambda x, up, n: floor(torch.clamp(x / up, 0, 1) * n + 0.25) / n * up, 0.25),
}


class Activation(nn.Module):
    def __init__(self, spelling: Spelling, up: Tensor, levels: int) -> None:
        super().__init__()
        self.spelling, self.up, self.levels = spelling, nn.Parameter(up), levels

    def forward(self, x: Tensor) -> Tensor:
        return self.spelling(x, self.up, self.levels)


def network(spelling: Spelling, up: Tensor | None = None, levels: int = LEVELS) -> nn.Module:
    torch.manual_seed(0)
    up = torch.tensor([0.7]) if up is None else up
    first, norm, second = nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3)
    with torch.no_grad():
        norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.2, 0.4)  # type: ignore[union-attr]
    acts = (Activation(spelling, up * factor, levels) for factor in (1.0, 1.3))
    parts = first, norm, next(acts), second, next(acts), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 5)
    return nn.Sequential(*parts).eval()


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Equal but for the few samples in which rounding decides otherwise between two steps."""
    differs = (found - expected).abs().amax(1) > 1e-5 * expected.abs().max()
    assert float(differs.float().mean()) <= 1 / 16, float(differs.float().mean())


@pytest.mark.parametrize("name", one_in(3, SPELLINGS))
def test_layerwise_at_as_many_steps_is_the_network_itself(name: str) -> None:
    spelling, start = SPELLINGS[name]
    model = network(spelling)
    snn = respike.from_torch(model, X, LEVELS, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))
        assert snn.origin is not None
        graph = evaluate_graph(snn.origin, [X])[0]
        assert_same(graph, model(X))
        assert torch.allclose(snn(X), graph, atol=1e-6)  # here no tie falls otherwise: the same sums, the same order
    for layer in snn.neurons.values():
        assert layer.levels == LEVELS
        assert abs(float(layer.start.flatten()[0]) - start) < 1e-4
        assert bool((layer.bias == 0).all())
    untouched = {
        name for name, t in snn.origin.tensors.items() if torch.equal(t, dict(snn.weights.named_buffers())[name])
    }
    assert untouched == snn.origin.tensors.keys()


@pytest.mark.slow
def test_thresholds_are_the_trained_ones_at_any_t() -> None:
    model = network(SPELLINGS["QCFS"][0])
    for steps, options in ((4, {}), (16, {}), (3, {"threshold": "max"}), (2, {"max_spikes": 2})):
        snn = respike.from_torch(model, X, steps, **options)  # type: ignore[arg-type]
        most = options.get("max_spikes", 1)
        found = [float(layer.threshold.flatten()[0]) for layer in snn.neurons.values()]
        assert found == pytest.approx([0.7 / most, 0.91 / most])
        assert all(bool((layer.start == 0.5).all()) for layer in snn.neurons.values())


def test_bursts_take_as_many_steps_fewer() -> None:
    model = network(SPELLINGS["without the half"][0])
    snn = respike.from_torch(model, X, LEVELS // 2, schedule="layerwise", max_spikes=2)
    with torch.no_grad():
        assert_same(snn(X), model(X))


def test_a_threshold_for_each_channel() -> None:
    up = torch.linspace(0.4, 1.1, 6)[:, None, None]
    model = network(SPELLINGS["QCFS"][0], up)
    snn = respike.from_torch(model, X, LEVELS, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))


@pytest.mark.parametrize("levels", [1, 2, 15])
def test_any_number_of_levels(levels: int) -> None:
    model = network(SPELLINGS["QCFS"][0], levels=levels)
    snn = respike.from_torch(model, X, levels, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))


def test_synchronously_the_first_layer_is_exact() -> None:
    """Its current is constant."""
    whole = network(SPELLINGS["QCFS"][0])
    torch.manual_seed(1)
    model = nn.Sequential(*whole[:3], nn.Flatten(), nn.Linear(216, 5)).eval()  # type: ignore[misc]
    snn = respike.from_torch(model, X, LEVELS)
    with torch.no_grad():
        assert_same(snn(X), model(X))


def test_files_variants_and_summaries_know_it(tmp_path: Path) -> None:
    model = network(SPELLINGS["QCFS"][0])
    snn = respike.from_torch(model, X, LEVELS, schedule="layerwise")
    snn.save(tmp_path / "q.respike")
    loaded = respike.load(tmp_path / "q.respike")
    with torch.no_grad():
        assert torch.equal(loaded(X), snn(X))
        assert_same(snn.normalised()(X), model(X))
        assert float((snn.quantised(16)(X) - model(X)).norm() / model(X).norm()) < 0.05
    assert [layer.levels for layer in loaded.neurons.values()] == [LEVELS, LEVELS]
    assert f"trained L = {LEVELS}" in snn.summary()
    assert [layer["levels"] for layer in snn.as_dict()["layers"]] == [LEVELS, LEVELS]
    causes = respike.diagnose(snn, X, progress=False)
    assert max(layer.error for layer in causes.layers) < 0.1


class NeuromorphicReLU(nn.Module):
    """Sinabs' activation, rebuilt: rounds down to whole spikes, without an upper bound, and keeps its activity."""

    def __init__(self, quantize: bool = True) -> None:
        super().__init__()
        self.quantize = quantize

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(x)
        if self.quantize:
            y = floor(y)
        self.activity = y.sum() / len(y) * 3
        return y


def sinabs(quantize: bool) -> nn.Module:
    torch.manual_seed(0)
    first, second = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 3)
    with torch.no_grad():
        first.weight *= 12
        second.weight *= 3
    pool = nn.LPPool2d(1, 2)  # Sinabs' SumPool2d
    parts = first, NeuromorphicReLU(quantize), pool, second, NeuromorphicReLU(quantize), nn.Flatten(), nn.Linear(6, 4)
    return nn.Sequential(*parts).eval()


def test_sinabs_relu_that_rounds_down_is_exact_as_long_as_steps_hold_it() -> None:
    model = sinabs(True)
    with torch.no_grad():
        largest = max(float(part(X).max()) for part in (model[:2], model[:5]))
    assert largest > 4
    snn = respike.from_torch(model, X, int(largest) + 1, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))
    assert relative_error(normal_form(model, (X[:4],)), model, (X[:4],)) < 1e-5


@pytest.mark.slow
def test_sinabs_relu_that_does_not_round_is_a_relu() -> None:
    model = sinabs(False)
    errors = []
    for steps in (8, 64):
        snn = respike.from_torch(model, X, steps)
        with torch.no_grad():
            errors.append(float((snn(X) - model(X)).norm() / model(X).norm()))
    assert errors[1] < 0.1
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(
    "pool",
    [
        nn.LPPool2d(1, 2),
        nn.LPPool2d(1.0, (2, 3), 1),
        nn.Sequential(nn.AvgPool2d(2, divisor_override=1)),
        type("Times", (nn.Module,), {"forward": lambda self, x: F.avg_pool2d(x, 2) * 4})(),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_sums_over_windows(pool: nn.Module, signed: bool) -> None:
    """A norm of 1 is a sum also of what is negative, as PyTorch computes it."""
    torch.manual_seed(0)
    middle = [nn.ReLU(), pool] if not signed else [pool, nn.ReLU()]
    model = nn.Sequential(nn.Conv2d(2, 3, 3), *middle, nn.Flatten()).eval()
    graph = normal_form(model, (X,))
    assert relative_error(graph, model, (X,)) < 1e-5
    assert sum(node.op == RELU for node in graph.nodes) == 1


def test_a_norm_of_1_in_one_dimension() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.LPPool1d(1, 2), nn.Flatten())
    x = torch.rand(8, 2, 12)
    assert relative_error(normal_form(model, (x,)), model, (x,)) < 1e-5


@pytest.mark.parametrize(
    "spelling",
    [
        lambda x, up, n: torch.round(torch.clamp(x / up, -1, 1) * n) / n * up * 0.5 + torch.round(x),
        lambda x, up, n: torch.floor(x),
        lambda x, up, n: torch.clamp(torch.floor(x * n), 0.3, 2.2),
    ],
)
def test_other_roundings_are_refused(spelling: Spelling) -> None:
    with pytest.raises(respike.ConversionError, match="rounds a signal"):
        respike.from_torch(network(spelling), X, 4)


def test_steps_below_zero_are_a_constant_besides() -> None:
    model = network(lambda x, up, n: torch.round(torch.clamp(x / up, -1, 1) * n) / n * up)
    snn = respike.from_torch(model, X, 2 * LEVELS, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))


def test_an_onnx_file_with_quantised_activations(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model = network(lambda x, up, n: torch.floor(torch.clamp(x / up, 0, 1) * n + 0.5) / n * up)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own code
        torch.onnx.export(model, (X,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": [0]})
    (tmp_path / "q.onnx").write_bytes(file.getvalue())
    snn = respike.from_onnx(tmp_path / "q.onnx", X, LEVELS, schedule="layerwise")
    with torch.no_grad():
        assert_same(snn(X), model(X))

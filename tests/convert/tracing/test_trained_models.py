"""Models as training leaves them: with kept activations, hooks, parametrised weights, in another precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import respike
from respike.convert import normal_form, relative_error
from respike.convert.tracing.copy_model import prepare

X = torch.rand(24, 2, 6, 6, generator=torch.Generator().manual_seed(3))


class Keeps(nn.Module):
    """As for Grad-CAM: activations in an attribute, a list and a dict, and a hook that collects gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scores = nn.Conv2d(2, 4, 3), nn.Linear(64, 3)
        self.last: Any = None
        self.kept: list[Tensor] = []
        self.by_name: dict[str, Any] = {}
        self.conv.register_forward_hook(lambda m, args, out: self.by_name.update(conv=[out]))
        self.scores.register_full_backward_hook(lambda m, grad_in, grad_out: self.by_name.update(grad=grad_out))

    def forward(self, x: Tensor) -> Tensor:
        self.last = F.relu(self.conv(x))
        self.kept.append(self.last)
        self.by_name["pooled"] = (self.last.mean(), {"deep": self.last * 2})
        return self.scores(self.last.flatten(1))


def around(change: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(change(nn.Conv2d(2, 4, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def _pruned(module: nn.Module) -> nn.Module:
    prune.l1_unstructured(module, "weight", 0.5)
    prune.random_unstructured(module, "bias", 1)
    return module


TRAINED: dict[str, Callable[[], nn.Module]] = {
    "kept activations": Keeps,
    "weight_norm": around(nn.utils.weight_norm),
    "weight_norm, parametrised": around(parametrizations.weight_norm),
    "spectral_norm": around(nn.utils.spectral_norm),
    "spectral_norm, parametrised": around(parametrizations.spectral_norm),
    "pruned": around(_pruned),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("after", ["a training step", "a forward without gradients"])
@pytest.mark.parametrize("name", one_in(2, TRAINED))
def test_a_model_just_trained_converts_and_stays_as_it_is(name: str, after: str) -> None:
    torch.manual_seed(0)
    model = TRAINED[name]()
    model(X).square().sum().backward()
    torch.optim.SGD(model.parameters(), 1e-4).step()  # weights that are computed from others are old now
    if after == "a training step":
        model(X)
    model.eval()
    if after != "a training step":
        with torch.no_grad():
            model(X)
    before = {key: (value, value.clone()) for key, value in model.state_dict(keep_vars=True).items()}
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    last = getattr(model, "last", None)
    graph = normal_form(model, (X,))
    assert relative_error(graph, model, (X,)) < 1e-5
    snn = respike.from_torch(model, X, 8)
    with torch.no_grad():
        assert torch.isfinite(snn(X)).all()
    assert getattr(model, "last", None) is last
    for key, value in model.state_dict(keep_vars=True).items():
        assert value is before[key][0]
        assert torch.equal(value, before[key][1])
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert gradient is None or torch.equal(p.grad, gradient)  # type: ignore[arg-type]
        assert p.requires_grad


def test_a_copy_holds_no_history_anywhere() -> None:
    model = Keeps()
    model(X)
    twin = prepare(model)
    held = [twin.last, *twin.kept, twin.by_name["pooled"][0], twin.by_name["pooled"][1]["deep"]]  # type: ignore[misc, index]
    assert all(x.grad_fn is None and not x.requires_grad for x in held)
    assert torch.equal(twin.last, model.last)  # type: ignore[arg-type]
    assert model.last.grad_fn is not None


def test_lazy_modules_are_named_and_nothing_else_is_called_lazy() -> None:
    with pytest.raises(respike.ConversionError, match=r"1 is a lazy module.*run the model once"):
        respike.from_torch(nn.Sequential(nn.ReLU(), nn.LazyLinear(4)), X)

    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stream = (n for n in range(3))

    with pytest.raises(respike.ConversionError, match="cannot be copied") as caught:
        respike.from_torch(Holds(), X)
    assert "lazy" not in str(caught.value)


class OfAnyPrecision(nn.Module):
    """Casts its input as models in half precision do, and holds numbers outside of parameters and buffers."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.conv, self.scores = nn.Conv2d(2, 4, 3), nn.Linear(64, 3)
        self.to(kind)
        self.kind = kind
        self.scale = torch.tensor(0.5, dtype=kind)
        self.more: dict[str, list[Any]] = {"shift": [torch.full((4, 1, 1), 0.25, dtype=kind)]}
        self.outside = [nn.Linear(3, 3).to(kind)]

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x.to(self.kind))) * self.scale + self.more["shift"][0]
        mask = torch.ones(4, 1, 1, dtype=self.kind, device=x.device)
        return self.outside[0](self.scores((y * mask).flatten(1)))  # type: ignore[no-any-return]


KINDS = (torch.float64, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("kind", one_in(3, KINDS), ids=str)
def test_a_model_of_any_precision_is_converted_in_float32(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    model = OfAnyPrecision(kind).eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    snn = respike.from_torch(model, X.to(kind), 64, threshold="max", correction="none")
    twin = OfAnyPrecision(torch.float32).eval()
    twin.load_state_dict(state)
    twin.scale, twin.more = model.scale.float(), {"shift": [model.more["shift"][0].float()]}
    twin.outside[0].load_state_dict(model.outside[0].state_dict())
    same = respike.from_torch(twin, X.to(kind).float(), 64, threshold="max", correction="none")
    with torch.no_grad():
        assert torch.equal(snn(X.to(kind)), same(X.to(kind).float()))
    assert {v.dtype for v in snn.state_dict().values()} == {torch.float32}
    assert all(v.dtype is kind and torch.equal(v, state[key]) for key, v in model.state_dict().items())
    assert model.scale.dtype is kind


@pytest.mark.parametrize("kind", one_in(3, KINDS), ids=str)
def test_data_of_any_precision_go_everywhere(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 6), nn.ReLU(), nn.Linear(6, 3)).to(torch.float16)
    x = X.to(kind)
    kept = x.clone()
    snn = respike.from_torch(model, x, 4)
    expected = respike.from_torch(model, x.float(), 4)
    assert torch.equal(snn(x), expected(x.float()))
    assert torch.equal(snn.simulate(x), expected.simulate(x.float()))
    layer = snn.as_dict()["layers"][0]["name"]
    assert torch.isfinite(snn.recalibrated(x, layer, ann=model)(x)).all()
    assert respike.diagnose(snn, x, ann=model, progress=False).layers
    assert respike.EarlyExit(snn, x)(x).steps.shape == (len(x),)
    assert x.dtype is kind
    assert torch.equal(x, kept)
    assert model[1].weight.dtype is torch.float16


def test_a_default_precision_of_float64_changes_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 6), nn.ReLU(), nn.Linear(6, 3))
    expected = respike.from_torch(model, X, 4)(X)
    torch.set_default_dtype(torch.float64)
    try:
        found = respike.from_torch(model, X, 4)(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype is torch.float32
    assert torch.allclose(found, expected, atol=1e-5)

"""The model stays as it was, whatever it is wrapped in; options and refusals say what is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from held_back import all_calibrate
from samples import one_in
from torch import Tensor, nn

import respike


def model_with_everything() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(36, 5),
    )


X = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def snapshot(model: nn.Module) -> dict[str, Any]:
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "training": [m.training for m in model.modules()],
        "grad": [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        "dtype": [p.dtype for p in model.parameters()],
        "hooks": [list(m._forward_hooks.values()) for m in model.modules()],
        "attributes": [sorted(m.__dict__) for m in model.modules()],
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("threshold", ["mse", "max"])
def test_the_model_and_the_data_are_left_as_they_were(threshold: str) -> None:
    model = model_with_everything().train()
    model[3].eval()
    model(X).sum().backward()
    model[0].register_forward_hook(lambda module, args, output: None)
    before, data, random = snapshot(model), X.clone(), torch.get_rng_state()
    respike.from_torch(model, X, 4, threshold=threshold)
    assert same(snapshot(model), before)
    assert torch.equal(X, data)
    assert torch.equal(torch.get_rng_state(), random)


def expected(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return copy.deepcopy(model).float().eval()(X)


WRAPPED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "train mode": lambda m: m.train(),
    "float64": lambda m: m.double(),
    "bfloat16": lambda m: m.bfloat16().float(),  # rounded weights
    "data parallel": nn.DataParallel,
    "compiled": lambda m: torch.compile(m, backend="eager"),  # type: ignore[return-value]
    "data parallel of compiled": lambda m: nn.DataParallel(torch.compile(m, backend="eager")),  # type: ignore[arg-type]
    "weight norm": lambda m: nn.Sequential(*m[:-1], nn.utils.parametrizations.weight_norm(m[-1])),  # type: ignore[index]
}


@pytest.mark.parametrize("name", one_in(3, WRAPPED))
def test_any_wrapping_converts_to_the_same_network(name: str) -> None:
    plain = model_with_everything().eval()
    wrapped = WRAPPED[name](copy.deepcopy(plain))
    snn = respike.from_torch(wrapped, X, 256, threshold="max", correction="none")
    wanted = expected(plain)
    assert (snn(X) - wanted).abs().max() < 0.03 * wanted.abs().max()
    assert snn(X).dtype == torch.float32


def test_hooks_that_watch_see_no_tracing_and_hooks_that_change_count() -> None:
    model, seen = model_with_everything().eval(), []
    model[2].register_forward_hook(lambda module, args, output: seen.append(type(output)))
    respike.from_torch(model, X, 4)
    assert set(seen) <= {Tensor}

    model[6].register_forward_hook(lambda module, args, output: 2 * output)
    snn = respike.from_torch(model, X, 256, threshold="max", correction="none")
    wanted = expected(model)
    assert (snn(X) - wanted).abs().max() < 0.03 * wanted.abs().max()


class Applied(nn.Module):
    """A function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def test_all_refused_nodes_are_listed_with_their_names() -> None:
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), Applied(torch.round), nn.Conv2d(4, 4, 1)),
        *(Applied(lambda x: x.sort(1)[0]), nn.ReLU(), nn.Conv2d(4, 2, 1), Applied(torch.round)),
    )
    with pytest.raises(respike.ConversionError) as caught:
        respike.from_torch(model, X)
    assert [r.where for r in caught.value.refusals] == ["3 (Applied)", "5 (Applied)"]  # the last is the head
    for refusal in caught.value.refusals:
        assert refusal.where in str(caught.value)
        assert refusal.why in str(caught.value)
        assert refusal.todo in str(caught.value)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.act(x.mean((2, 3), keepdim=True))


def gated() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), Gate(), nn.Flatten(), nn.Linear(144, 5))


def test_analog_keeps_what_it_names_and_the_summary_marks_it() -> None:
    model = gated().eval()
    snn = respike.from_torch(model, X, 256, threshold="max", correction="none", analog=["2"])
    wanted = expected(model)
    assert (snn(X) - wanted).abs().max() < 0.03 * wanted.abs().max()
    assert "kept analog: 2.act (Sigmoid), 2 (Gate)" in snn.summary()
    half = respike.from_torch(model, X, 4, analog=["2.act"])
    assert half.as_dict()["analog"] == ["2.act (Sigmoid)"]
    roles = [n.role for n in half.graph.nodes if n.where == "2 (Gate)"]
    assert [role for role in roles if role != "linear"] == ["spike", "product", "spike"]


@pytest.mark.parametrize(
    ("analog", "message"),
    [
        (["2.acts"], "did you mean 2.act"),
        (["nothing like it"], "matches no module"),
        (["0"], "has no effect"),
    ],
)
def test_an_analog_name_that_fits_nothing_is_an_error(analog: list[str], message: str) -> None:
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(gated(), X, analog=analog)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": 0}, "timesteps must be a whole number from 1 to 65,536"),
        ({"timesteps": 65_537}, "timesteps must be a whole number from 1 to 65,536"),
        ({"schedule": "sometimes"}, "schedule must be one of synchronous, layerwise, pipelined"),
        ({"max_spikes": 65_537}, "max_spikes must be a whole number from 1 to 65,536"),
        ({"timesteps": "auto", "max_spikes": 65_537}, "max_spikes must be a whole number from 1 to 65,536"),
        ({"threshold": "best"}, "threshold must be one of"),
        ({"schedule": "async"}, "schedule must be one of"),
        ({"correction": "labels"}, "correction must be one of"),
        ({"neuron": "izhikevich"}, "neuron must be"),
        ({"max_spikes": 0}, "max_spikes must be"),
        ({"samples": 0}, "samples must be"),
    ],
)
def test_options_out_of_range_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(gated(), X, **options)


@pytest.mark.parametrize("thing", [3, "mnist_cnn", F.relu])
def test_what_is_no_module_is_an_error(thing: Any) -> None:
    with pytest.raises(respike.ConversionError, match=r"must be a torch\.nn\.Module"):
        respike.from_torch(thing, X)


def test_a_model_that_fails_on_the_data_is_an_error_with_the_shape() -> None:
    with pytest.raises(respike.ConversionError, match=r"fails on calibration samples of shape \(4, 2, 8, 8\)"):
        respike.from_torch(model_with_everything(), torch.rand(9, 2, 8, 8))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 8), nn.Linear(2, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor, y: Tensor, scale: float = 2.0) -> dict[str, Tensor]:
        return {"y": self.out(F.relu(self.a(x) + scale * self.b(y)))}


class DictInput(TwoInputs):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(batch["x"], batch["y"])["y"]


def test_several_inputs_in_every_form() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(50, 3), torch.randn(50, 2)
    model = TwoInputs().eval()
    (a,), (b,) = all_calibrate(x), all_calibrate(y)
    none = torch.zeros(len(a))
    for data in ([(a, b)], [(a, b, none)], [((a, b), none)], [{"x": a, "y": b, "label": a}]):
        snn = respike.from_torch(model, data, 128, threshold="max", correction="none")
        with torch.no_grad():
            torch.testing.assert_close(snn(x, y)["y"], model(x, y)["y"], atol=0.05, rtol=0)
    with pytest.raises(respike.ConversionError, match="takes 2 inputs"):
        respike.from_torch(model, x)


def test_a_dict_as_input() -> None:
    torch.manual_seed(0)
    batch = {"x": torch.randn(50, 3), "y": torch.randn(50, 2)}
    model = DictInput().eval()
    given = {name: all_calibrate(x)[0] for name, x in batch.items()}
    snn = respike.from_torch(model, [(given, None)], 128, threshold="max", correction="none")
    with torch.no_grad():
        torch.testing.assert_close(snn(batch), model(batch), atol=0.05, rtol=0)

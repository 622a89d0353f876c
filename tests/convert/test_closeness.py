"""What is held back from calibration, and what it says of the network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from closeness_cases import agreement_of, error_of, inputs, net, ours
from held_back import in_turn, judging
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import respike
from respike.convert.closeness import Closeness
from respike.models import datasets

OPTIONS: dict[str, dict[str, Any]] = {
    "ridge": {},
    "bias": {"correction": "bias", "neuron": "signed"},
    "none": {"correction": "none"},
    "max": {"threshold": "max", "correction": "bias"},
    "percentile": {"threshold": "percentile", "correction": "none"},
    "layerwise": {"schedule": "layerwise"},
}


@pytest.mark.parametrize("name", one_in(2, OPTIONS))
def test_calibration_never_sees_what_judges(name: str) -> None:
    """Nonsense in the samples that are held back changes no threshold, bias or weight, and is judged."""
    x = inputs(150)
    odd, one = x.clone(), x.clone()
    odd[7::8] = 1000 * torch.randn(len(odd[7::8]), 6)
    one[6] *= 1000
    plain, same, other = (respike.from_torch(net(), list(data.split(40)), 4, **OPTIONS[name]) for data in (x, odd, one))
    for key, value in plain.state_dict().items():
        assert torch.equal(same.state_dict()[key], value), key
    assert ours(same).error != ours(plain).error
    assert any(not torch.equal(other.state_dict()[key], value) for key, value in plain.state_dict().items())


class SequenceFirst(nn.Module):
    """Weights, neurons and weights on ``(sequence, samples, features)``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.b(torch.relu(self.a(x.transpose(0, 1)))).transpose(0, 1).mean(1)
        return found


@pytest.mark.parametrize("correction", ["none", "bias", "ridge"])
def test_samples_that_come_second_in_between_are_held_back_too(correction: str) -> None:
    x = torch.rand(80, 5, 6, generator=torch.Generator().manual_seed(1))
    odd = x.clone()
    odd[7::8] = 1000 * torch.randn(len(odd[7::8]), 5, 6)
    plain, same = (
        respike.from_torch(SequenceFirst(), list(data.split(40)), 4, correction=correction) for data in (x, odd)
    )
    for key, value in plain.state_dict().items():
        assert torch.equal(same.state_dict()[key], value), key
    assert plain.closeness is not None and same.closeness is not None
    assert plain.closeness.samples == 10 and plain.closeness != same.closeness


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        yield from inputs(100)


def forms() -> dict[str, tuple[Any, bool]]:
    """Calibration data of the same samples in every form, and whether these are read in random order."""
    x, none = inputs(100), torch.zeros(100)
    return {
        "tensor": (x, True),
        "array": (x.numpy(), True),
        "data set": (TensorDataset(x, none), True),
        "iterable data set": (Stream(), False),
        "loader": (DataLoader(TensorDataset(x, none), batch_size=30), False),
        "batches": ([x[:50], x[50:]], False),
        "samples": (list(x.split(1)), False),
        "tuples": (((part, None) for part in x.split(27)), False),
        "dicts": ([{"image": x, "label": none}], False),
    }


@pytest.mark.parametrize("form", forms())
def test_it_is_what_the_network_and_the_model_say_of_the_samples_held_back(form: str) -> None:
    data, shuffled = forms()[form]
    model, x = net(), inputs(100)
    held = judging(x, 5) if shuffled else in_turn(x)[1]
    assert len(held) == 12
    snn = respike.from_torch(model, data, 2, seed=5)
    found = ours(snn)
    assert (found.samples, found.timesteps, found.by, found.output) == (12, 2, "decision", None)
    assert found.agreement == pytest.approx(agreement_of(snn, model, held), abs=1e-12)
    # Estimates are float32: 24 bits, and their differences lose no more than a few of them.
    assert found.error == pytest.approx(error_of(snn(held), model(held)), rel=1e-4)


@pytest.mark.parametrize(
    ("given", "calibrate", "judge"), [(7, 7, 0), (8, 7, 1), (63, 56, 7), (64, 56, 8), (512, 448, 64)]
)
def test_one_sample_in_eight_judges(given: int, calibrate: int, judge: int) -> None:
    """Thresholds say of how many samples they are the maximum."""
    x = torch.arange(1.0, given + 1).unsqueeze(1)
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].weight.fill_(1)
    kept, held = in_turn(x)
    assert (len(kept), len(held)) == (calibrate, judge)
    snn = respike.from_torch(model, [x], 64, threshold="max", correction="none")
    assert float(next(iter(snn.neurons.values())).threshold) == kept.max()
    # An error is in units of the spread, which few samples do not show.
    assert (None if snn.closeness is None else snn.closeness.samples) == (judge if judge >= 8 else None)


def test_no_more_than_64_are_held_back() -> None:
    x, seen = inputs(700), [0]

    def batches() -> Iterator[Tensor]:
        for batch in x.split(50):
            seen[0] += len(batch)
            yield batch

    snn = respike.from_torch(net(), batches(), 4, correction="bias")
    assert ours(snn).samples == 64
    assert seen == [600]  # the first 576 samples: 512 calibrate, and 64 judge
    kept = torch.cat([in_turn(x)[0]])[:512]
    with torch.no_grad():  # the readout is right on average over those that calibrate
        assert (snn(kept) - net()(kept)).mean(0).abs().max() < 1e-4


def test_no_more_is_read_than_calibration_asks_for() -> None:
    batches = (inputs(10) for _ in itertools.count())
    snn = respike.from_torch(net(), batches, 4, samples=20)  # 9, 9 and 2 of the next 9
    assert ours(snn).samples == 3
    again = respike.from_torch(net(), iter(inputs(50).split(1)), 4, samples=20)
    assert ours(again).samples == 2  # numbers 7 and 15 of 22


class Both(nn.Module):
    """Several outputs, of which the second is hard."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = net(nn.ReLU(), outputs=8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = self.body(x)
        return {"classes": y.argmax(1), "parts": (self.head(y), self.head(y[:, [0] * 8])), "same": torch.ones(3)}


def test_of_several_outputs_the_worst_is_named() -> None:
    torch.manual_seed(0)
    model, x = Both().eval(), inputs(200)
    snn = respike.from_torch(model, x, 3)
    held = judging(x)
    errors = [error_of(a, b) for a, b in zip(snn(held)["parts"], model(held)["parts"], strict=True)]
    found, worst = ours(snn), int(errors[1] > errors[0])
    assert (found.by, found.agreement, found.output) == ("error", None, f"output['parts'][{worst}]")
    assert found.error == pytest.approx(max(errors), rel=1e-4)


def test_numbers_that_are_no_scores_are_judged_by_their_error() -> None:
    x = inputs(100)
    one = ours(respike.from_torch(net(outputs=1), x, 4))
    assert (one.agreement, one.by) == (None, "error")
    certain = net(nn.Sigmoid(), outputs=1)
    with torch.no_grad():
        certain[4].bias -= certain[:5](x).median()
    snn = respike.from_torch(certain, x, 4)
    held = judging(x)
    agreed = ((snn(held) > 0.5) == (certain(held) > 0.5)).double().mean()
    assert ours(snn).agreement == pytest.approx(float(agreed))
    shifted = net()
    with torch.no_grad():
        shifted[4].bias[1] += 1000  # the largest of several quantities is always the same one
    assert ours(respike.from_torch(shifted, x, 4)).by == "error"


class Classes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1)


def test_class_numbers_are_judged_by_their_decisions() -> None:
    model, x = net(Classes()), inputs(100)
    snn = respike.from_torch(model, x, 4)
    held = judging(x)
    assert ours(snn) == Closeness(float((snn(held) == model(held)).double().mean()), None, 12, 4)


class Meet(nn.Module):
    """Each sample hears of the mean of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.last(torch.relu(y - y.mean(0, keepdim=True)))


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0


def test_what_cannot_be_judged_is_not_known() -> None:
    x = inputs(64)
    meet = Meet()
    plain, other = (respike.from_torch(meet, [data], 4) for data in (x, x * torch.tensor([1.0] * 63 + [9]).view(-1, 1)))
    assert plain.closeness is other.closeness is None
    assert any(not torch.equal(a, b) for a, b in zip(plain.buffers(), other.buffers(), strict=True))  # all calibrate
    assert respike.from_torch(net(Zero()), x, 4).closeness is None
    assert "when converted" not in plain.summary()
    assert plain.as_dict()["closeness"] is None


def test_it_is_judged_as_the_network_will_run() -> None:
    """In its own precision, in small pieces; and it is told how far that is."""
    told: list[str] = []
    model, x = respike.models.load("mnist_mlp"), datasets.calibration()[:200]
    sizes: list[int] = []
    run = respike.SpikingNetwork.forward

    def spied(snn: respike.SpikingNetwork, *args: Tensor) -> Any:
        sizes.append(len(args[0]))
        return run(snn, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(respike.SpikingNetwork, "forward", spied)
        snn = respike.from_torch(model, x, 2, precision="int8", correction="none", progress=told.append)
    assert sizes == [16, 9]
    assert told[-1] == "judging on held-back samples: 25 of 25"
    held = judging(x)
    assert ours(snn).error == pytest.approx(error_of(snn(held), model(held)), rel=1e-4)
    exact = respike.from_torch(model, x, 2, correction="none")
    assert ours(exact).error != ours(snn).error


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int64])
@pytest.mark.parametrize("width", [1, 4])
def test_answers_of_any_type_are_the_ann_s_and_are_judged(kind: torch.dtype, width: int) -> None:
    """A network that says yes or no itself."""

    class Says(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.last = nn.Linear(10, 64), nn.Linear(64, width)

        def forward(self, x: Tensor) -> Tensor:
            return (self.last(self.hidden(x).relu()) > 0).to(kind)

    torch.manual_seed(0)
    model, x = Says().eval(), torch.randn(128, 10)
    with torch.no_grad():
        model.last.bias -= model.last(model.hidden(x).relu()).median(0)[0]
        wanted = model(x)
    snn = respike.from_torch(model, x, 64)
    found = snn(x)
    assert found.dtype == snn.simulate(x).dtype == kind
    assert snn.closeness is not None
    assert snn.closeness.agreement is not None
    assert snn.closeness.agreement > 0.9
    assert float((found == wanted).double().mean()) > 0.95
    auto = respike.from_torch(model, x, respike.Auto(within=10))
    assert auto.choice is not None
    assert auto.choice.chosen.agreement == pytest.approx(float((auto(x) == wanted).double().mean()), abs=0.1)

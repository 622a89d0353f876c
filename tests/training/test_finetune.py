"""Networks learn through their spikes to give the ANN's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import respike
from respike.convert.data import inputs
from respike.convert.held_back import HeldBack
from respike.resume_file import ResumeError


def classifier(seed: int = 0) -> tuple[nn.Module, Tensor]:
    """Scores that decide one way or the other on inputs drawn at random, and the inputs."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4))
    with torch.no_grad():
        for layer in (model[0], model[2], model[4]):
            layer.weight.mul_(3)  # type: ignore[operator]
    return model, torch.randn(800, 8)


def error(snn: respike.SpikingNetwork, model: nn.Module, x: Tensor) -> float:
    """Squared error in units of the outputs' variance."""
    with torch.no_grad():
        wanted = model(x)
        return float((snn(x) - wanted).square().mean() / wanted.var())


@pytest.fixture(scope="module")
def setup() -> tuple[respike.SpikingNetwork, nn.Module, Tensor]:
    model, x = classifier()
    return respike.from_torch(model, x[:256], 2), model, x


def test_strangers_are_decided_as_the_ann_decides_more_often(setup: Any) -> None:
    """Samples that neither calibrated nor trained nor judged."""
    snn, model, x = setup
    strangers = torch.randn(2000, 8, generator=torch.Generator().manual_seed(9))
    tuned = respike.finetune(snn, x, steps=300, learning_rate=2e-3)
    with torch.no_grad():
        wanted = model(strangers).argmax(1)
    before, after = ((net(strangers).argmax(1) == wanted).float().mean() for net in (snn, tuned))
    assert after > before + 0.01
    assert error(tuned, model, strangers) < 0.9 * error(snn, model, strangers)
    assert tuned.closeness is not None
    assert tuned.closeness.samples == 100
    assert tuned.timesteps == snn.timesteps


def test_the_network_given_is_not_changed_and_a_seed_gives_the_same_again(setup: Any) -> None:
    snn, _, x = setup
    before = {name: value.clone() for name, value in snn.state_dict().items()}
    state = torch.get_rng_state()
    first, second = (respike.finetune(snn, x, steps=60, augment=noisy) for _ in range(2))
    other = respike.finetune(snn, x, steps=60, augment=noisy, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in snn.state_dict().items())
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), other(x))
    assert not torch.equal(first(x), snn(x))


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn_like(x)


def test_what_makes_it_worse_is_not_kept(setup: Any) -> None:
    """With steps so large that nothing is left of the network, it comes back as it was."""
    snn, _, x = setup
    with pytest.warns(respike.convert.ConversionWarning, match="found nothing better on the samples held back"):
        tuned = respike.finetune(snn, x, steps=20, learning_rate=3.0)
    assert torch.equal(tuned(x), snn(x))


@pytest.mark.parametrize("done", [7, 30])
def test_training_that_was_broken_off_goes_on_to_the_same_network(
    setup: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    monkeypatch.setenv("RESPIKE_INTERVAL", "0")
    snn, _, x = setup
    options: dict[str, Any] = {"steps": 60, "augment": noisy}
    whole = respike.finetune(snn, x, **options)
    assert not torch.equal(whole(x), snn(x))
    path, calls = tmp_path / "tuning.safetensors", 0

    class StopError(Exception):
        pass

    def stops(line: str) -> None:
        nonlocal calls
        calls += line.startswith("fine-tuning")
        if calls == done:
            raise StopError

    with pytest.raises(StopError):
        respike.finetune(snn, x, **options, resume=path, progress=stops)
    assert path.exists()
    again = respike.finetune(snn, x, **options, resume=path)
    assert torch.equal(again(x), whole(x))
    assert torch.equal(respike.finetune(snn, x, **options, resume=path)(x), whole(x))  # finished: nothing is left to do
    with pytest.raises(ResumeError, match=r"learning_rate=0\.0003, and this has learning_rate=0\.002"):
        respike.finetune(snn, x, **{**options, "learning_rate": 2e-3}, resume=path)
    with pytest.raises(ResumeError, match="belongs to another network"):
        respike.finetune(snn.with_floor(-1), x, **options, resume=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResumeError, match="damaged"):
        respike.finetune(snn, x, **options, resume=path)


def test_a_file_of_something_else_is_left_alone(setup: Any, tmp_path: Path) -> None:
    snn, _, x = setup
    path = tmp_path / "net.respike"
    snn.save(path)
    before = path.read_bytes()
    with pytest.raises(ResumeError, match="is not a file of the format 'respike resume 1'"):
        respike.finetune(snn, x, steps=2, resume=path)
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="missing"):
        respike.finetune(snn, x, steps=2, resume=tmp_path / "missing" / "tuning")


class Rows(torch.utils.data.Dataset[tuple[np.ndarray, int]]):
    def __init__(self, x: Tensor) -> None:
        self.x = x.numpy()

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i], 0

    def __len__(self) -> int:
        return len(self.x)


FORMS = {
    "array": lambda x: x.numpy(),
    "data set": Rows,
    "batches": lambda x: list(x.split(50)),
    "batches and labels": lambda x: [(part, torch.zeros(len(part))) for part in x.split(50)],
    "loader": lambda x: DataLoader(TensorDataset(x), batch_size=50),
}


@pytest.mark.parametrize("form", FORMS)
def test_data_may_have_many_forms(form: str, setup: Any) -> None:
    snn, model, x = setup
    tuned = respike.finetune(snn, FORMS[form](x), model, steps=60)
    assert error(tuned, model, x) < error(snn, model, x)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
def test_samples_that_judge_are_those_that_did_not_calibrate() -> None:
    """The first that are held back are those of conversion, so that what was fitted to cannot judge."""
    model, x = classifier()
    batches = list(x.split(8))
    snn = respike.from_torch(model, batches, 2)
    seen: list[Tensor] = []

    def note(given: Tensor) -> Tensor:
        seen.append(given)
        return given

    tuned = respike.finetune(snn, batches, model, steps=100, augment=note, learning_rate=1e-9)
    trained = torch.cat(seen)
    assert torch.equal(trained, x[torch.arange(len(x)) % 8 != 7][: len(trained)])
    assert tuned.closeness is not None
    assert tuned.closeness.samples == 100
    seen.clear()
    alone = respike.from_torch(model, x, 2, seed=3)
    respike.finetune(alone, x, model, steps=13, augment=note, learning_rate=1e-9, seed=3)
    calibrated = HeldBack(alone.graph)
    for _ in calibrated.others(inputs(x, alone.graph, 3, torch.device("cpu"), alone.timesteps)):
        pass
    for judge in torch.cat([batch[0] for batch in calibrated.batches]):
        assert not bool((torch.cat(seen) == judge).all(1).any())


def test_labels_can_help(setup: Any) -> None:
    """Labels that the ANN never saw: it learns what they say."""
    snn, model, x = setup
    turned = (model(x).argmax(1) + 1) % 4
    tuned = respike.finetune(snn, (x, turned), steps=300, labels=20.0, learning_rate=1e-2)
    assert (tuned(x).argmax(1) == turned).float().mean() > 0.6


@pytest.mark.parametrize(
    "code", [{}, {"neuron": "signed"}, {"neuron": "multi_threshold"}, {"max_spikes": 3}, {"neuron": respike.LIF(9.0)}]
)
def test_every_code_learns(code: dict[str, Any]) -> None:
    model, x = classifier(1)
    snn = respike.from_torch(model, x[:256], 2, **code)
    strangers = torch.randn(2000, 8, generator=torch.Generator().manual_seed(9))
    tuned = respike.finetune(snn, x, steps=400)
    assert error(tuned, model, strangers) < 0.98 * error(snn, model, strangers)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.scores, self.value = nn.Linear(6, 32), nn.Linear(32, 3), nn.Linear(32, 1)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        y = self.body(torch.cat([a, b], 1)).relu()
        return {"scores": self.scores(y).softmax(1), "value": self.value(y)[:, 0], "where": self.scores(y).argmax(1)}


def test_several_inputs_and_outputs() -> None:
    torch.manual_seed(0)
    model, a, b = TwoOutputs(), torch.randn(400, 2), torch.randn(400, 4)
    snn = respike.from_torch(model, TensorDataset(a, b), 1)
    tuned = respike.finetune(snn, TensorDataset(a, b), steps=200)
    with torch.no_grad():
        wanted, before, after = (net(a, b) for net in (model, snn, tuned))
    for name in ("scores", "value"):
        assert (after[name] - wanted[name]).square().mean() < (before[name] - wanted[name]).square().mean()


def regression() -> tuple[respike.SpikingNetwork, nn.Module, Tensor]:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1)), torch.randn(400, 4)
    return respike.from_torch(model, x, 2), model, x


def test_outputs_that_are_no_scores() -> None:
    snn, model, x = regression()
    tuned = respike.finetune(snn, x, steps=200, learning_rate=1e-3)
    assert error(tuned, model, x) < 0.8 * error(snn, model, x)
    with pytest.raises(respike.ConversionError, match="labels need an output of scores"):
        respike.finetune(snn, (x, torch.zeros(len(x))), steps=2, labels=1.0)


def test_a_network_from_a_file_needs_its_ann(setup: Any, tmp_path: Path) -> None:
    snn, model, x = setup
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    with pytest.raises(respike.ConversionError, match="pass ann=model"):
        respike.finetune(loaded, x, steps=2)
    assert error(respike.finetune(loaded, x, model, steps=60), model, x) < error(snn, model, x)


def once() -> Iterator[Tensor]:
    yield torch.zeros(8, 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"labels": -1.0}, "labels must be"),
        ({"augment": 3}, "augment must be a function"),
        ({"data": torch.randn(15, 8)}, "at least 16 samples"),
        ({"data": torch.tensor(1.0)}, "got a single number"),
        ({"held_back": 1}, "held_back must be"),
        ({"seed": 2**63}, "seed must be"),
        ({"learning_rate": 1e38}, "learning_rate must be"),
        ({"augment": lambda x: x[:, 1:]}, "what augment gives is no input of the network: .*must have shape"),
        ({"augment": lambda x: None}, "what augment gives is no input of the network: .*must be a tensor"),
        ({"data": once()}, "can be read only once"),
        ({"data": "images"}, "data must be"),
        ({"data": torch.full((100, 8), float("nan"))}, "NaN"),
        ({"learning_rate": 1e30, "steps": 50}, "diverged|not finite"),
    ],
)
def test_what_cannot_be_used_is_refused(setup: Any, given: dict[str, Any], message: str) -> None:
    snn, _, x = setup
    given = {"data": x, "steps": 2} | given
    with pytest.raises(respike.ConversionError, match=message):
        respike.finetune(snn, given.pop("data"), **given)


def test_networks_without_a_module_are_refused() -> None:
    model, x = classifier()
    with pytest.raises(respike.ConversionError, match="synchronous"):
        respike.finetune(respike.from_torch(model, x, 2, schedule="layerwise"), x)


def test_class_numbers_have_no_gradient() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = classifier()[0]

        def forward(self, x: Tensor) -> Tensor:
            classes: Tensor = self.net(x).argmax(1)
            return classes

    x = torch.randn(100, 8)
    with pytest.raises(respike.ConversionError, match="before it decides"):
        respike.finetune(respike.from_torch(Decides(), x, 2), x, steps=2)

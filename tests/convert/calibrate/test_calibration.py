"""Thresholds and corrections: what they are, from which data, and what happens when the data is odd."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from held_back import calibrating, in_turn
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import respike
from respike.convert.calibrate.start_and_bias import EARLY, start_early
from respike.convert.calibrate.statistics import BINS, Maximum, Percentile
from respike.convert.graph import Node
from respike.convert.options import NeuronOptions, Options
from respike.convert.run.neurons import SpikingReLU
from respike.layers.kernels import Drive


def two_layers(features: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 12), nn.ReLU(), nn.Linear(12, 3))


def theta(snn: respike.SpikingNetwork) -> Tensor:
    return next(iter(snn.neurons.values())).threshold


def test_max_is_the_true_maximum_over_all_batches() -> None:
    model, x = two_layers(), torch.randn(1000, 6)
    snn = respike.from_torch(model, x, threshold="max", correction="none", samples=8)
    with torch.no_grad():
        torch.testing.assert_close(theta(snn), model[:2](calibrating(x)).amax(0), rtol=1e-6, atol=0)
    whole = respike.from_torch(model, x, threshold=respike.Max(granularity="layer"), correction="none")
    assert theta(whole).numel() == 1
    assert theta(whole).item() == theta(snn).max().item()


def test_bursts_divide_the_range_by_their_length() -> None:
    model, x = two_layers(), torch.randn(100, 6)
    one = respike.from_torch(model, x, threshold="max", correction="none")
    four = respike.from_torch(model, x, threshold="max", correction="none", max_spikes=4)
    torch.testing.assert_close(theta(four), theta(one) / 4)


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.9, 100.0])
def test_percentile_is_numpys_within_a_bin(percent: float) -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.gamma(0.5, 1.0, (4997, 3)).astype(np.float32)) * torch.tensor([1.0, 30.0, 0.01])
    statistic = Percentile(percent)
    for part in values.sort(0)[0].split(500):  # ascending: the range must double again and again
        statistic.update(part)
    exact = np.percentile(values.numpy(), percent, axis=0, method="inverted_cdf")
    found = statistic.result().numpy()
    assert (found >= exact * (1 - 1e-6)).all()
    assert (found <= exact + 2 * values.amax(0).numpy() / BINS).all()


def test_statistics_do_not_grow_with_the_number_of_batches() -> None:
    maximum, percentile = Maximum(), Percentile(99.0)
    sizes = set()
    for _ in range(20):
        batch = torch.rand(50, 4)
        for statistic in (maximum, percentile):
            statistic.update(batch)
        sizes.add(percentile.counts.numel() + percentile.exponent.numel())
    assert sizes == {4 * BINS + 4}
    assert percentile.counts.sum() == 20 * 50 * 4


def test_mse_beats_the_maximum_on_what_it_minimises() -> None:
    torch.manual_seed(1)
    model, x = two_layers(), torch.randn(512, 6) ** 3  # heavy tails: clipping pays
    with torch.no_grad():
        target = model[:2](x)
    errors = {}
    for threshold in ("mse", "max"):
        layer = next(iter(respike.from_torch(model, x, 4, threshold=threshold, correction="none").neurons.values()))
        with torch.no_grad():
            spikes, _ = layer.run(model[0](x).expand(4, -1, -1))
        errors[threshold] = (layer.threshold * spikes.mean(0) - target).square().mean()
    assert errors["mse"] < 0.7 * errors["max"]


def test_mse_finds_the_global_minimum_of_each_channel() -> None:
    """Against ten thousand thresholds, in numpy, by the error and 5/N of that on currents 1.5 times as large."""
    torch.manual_seed(2)
    model, x = two_layers(), torch.randn(400, 6)
    snn = respike.from_torch(model, x, 3, correction="none", seed=3)
    with torch.no_grad():
        z = model[0](x).double().numpy()
    grid = np.arange(1, 10_001) / 10_000 * 1.2 * np.maximum(z, 0).max(0)[:, None]
    for c, found in enumerate(theta(snn).double().numpy()):

        def error(t: Any, c: int = c) -> Any:
            def on(z: Any) -> Any:
                return ((t * np.clip(np.floor(3 * z / t + 0.5), 0, 3) / 3 - np.maximum(z, 0)) ** 2).mean()

            return on(z[:, c]) + 5 / 400 * on(1.5 * z[:, c])

        best = min(error(t) for t in grid[c])
        assert error(found) <= 1.1 * best


def test_bias_correction_removes_the_mean_error_of_the_readout() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))
    x = torch.randn(512, 6)
    kept = calibrating(x)
    with torch.no_grad():
        expected = model(kept)
    bias = {c: (respike.from_torch(model, x, 3, correction=c)(kept) - expected).mean(0) for c in ("none", "bias")}
    assert bias["bias"].abs().max() < 1e-4
    assert bias["none"].abs().max() > 5e-3


class LabelsExplode(Dataset[Any]):
    """Gives inputs; whoever looks at a label hears of it."""

    def __len__(self) -> int:
        return 70

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return torch.randn(6, generator=torch.Generator().manual_seed(index)), Label()


class Label:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("calibration looked at a label")


@pytest.mark.parametrize("correction", ["none", "bias", "ridge"])
@pytest.mark.parametrize("threshold", one_in(3, ["mse", "max", "percentile"]))
def test_labels_are_never_looked_at(threshold: Any, correction: Any) -> None:
    """Not even to put them into a batch."""
    respike.from_torch(two_layers(), LabelsExplode(), 4, threshold=threshold, correction=correction)


def test_no_other_images_than_those_given_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a conversion reads a data set by itself, test images least of all."""

    def touched(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("calibration read a data set")

    model, images = respike.models.load("mnist_cnn"), respike.models.datasets.calibration()[:64]
    for name in ("load", "calibration"):
        monkeypatch.setattr(respike.models.datasets, name, touched)
    monkeypatch.setenv("RESPIKE_KERNELS", "eager")  # compiled ones are read from disk
    opened = open
    free = ("/proc/meminfo",)  # where Linux tells how much memory is free
    monkeypatch.setattr("builtins.open", lambda name, *a, **k: opened(name, *a, **k) if name in free else touched())
    respike.from_torch(model, images, 2, correction="ridge")


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        yield from torch.randn(100, 6, generator=torch.Generator().manual_seed(0))


def test_every_form_of_data_is_taken() -> None:
    x = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    model = two_layers()
    shuffled: list[Any] = [x, TensorDataset(x), TensorDataset(x, torch.zeros(100)), x.double()]
    as_they_come: list[Any] = [
        DataLoader(TensorDataset(x), batch_size=30),
        Stream(),
        [x[:50], x[50:]],
        ((part, None) for part in x.split(25)),
        [{"image": x, "label": torch.zeros(100)}],
    ]
    for forms, kept in ((shuffled, calibrating(x)), (as_they_come, in_turn(x)[0])):
        for form in forms:
            snn = respike.from_torch(model, form, 4, threshold="max", correction="none")
            with torch.no_grad():
                torch.testing.assert_close(theta(snn), model[:2](kept).amax(0))


@pytest.mark.parametrize("empty", [torch.zeros(0, 6), [], TensorDataset(torch.zeros(0, 6))])
def test_no_data_is_an_error(empty: Any) -> None:
    with pytest.raises(respike.ConversionError, match="calibration data is empty"):
        respike.from_torch(two_layers(), empty)


@pytest.mark.parametrize("wrong", [3, "mnist", {"x": 1}, torch.tensor(1.0), [3], [()]])
def test_data_of_another_kind_is_an_error(wrong: Any) -> None:
    with pytest.raises(respike.ConversionError, match="calibration"):
        respike.from_torch(two_layers(), wrong)


@pytest.mark.parametrize("threshold", ["mse", "max", "percentile"])
def test_a_single_sample_is_enough(threshold: str) -> None:
    model, x = two_layers(), torch.ones(1, 6)
    snn = respike.from_torch(model, x, 64, threshold=threshold)
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("threshold", ["mse", "max", "percentile"])
def test_dead_and_constant_channels_get_usable_thresholds(threshold: str) -> None:
    model = two_layers()
    with torch.no_grad():
        model[0].weight[0], model[0].bias[0] = 0, -1  # never fires
        model[0].weight[1], model[0].bias[1] = 0, 0.7  # always the same
    snn = respike.from_torch(model, torch.randn(200, 6), 8, threshold=threshold)
    found = theta(snn)
    assert torch.isfinite(found).all()
    assert (found > 0).all()
    # With θ = 0.7 · 8/k for a whole k a constant 0.7 is coded without any error.
    assert abs(8 * 0.7 / found[1] - round(float(8 * 0.7 / found[1]))) < 0.05 or threshold != "mse"


def test_a_layer_that_never_fires_is_named_in_a_warning() -> None:
    model = two_layers()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1)
    with pytest.warns(respike.convert.ConversionWarning, match=r"1 \(ReLU\) never fires"):
        snn = respike.from_torch(model, torch.randn(20, 6), 4)
    assert torch.isfinite(snn(torch.randn(3, 6))).all()


@pytest.mark.parametrize("threshold", ["mse", "max"])
def test_values_that_are_not_finite_are_an_error(threshold: str) -> None:
    x = torch.randn(200, 6)
    x[150:] = float("nan")
    with pytest.raises(respike.ConversionError, match="NaN or infinity: the input of sample"):
        respike.from_torch(two_layers(), [x[:100], x[100:]], threshold=threshold)
    broken = two_layers()
    with torch.no_grad():
        broken[0].weight[0, 0] = float("inf")
    with pytest.raises(respike.ConversionError, match="not finite"):
        respike.from_torch(broken, torch.randn(20, 6), threshold=threshold)


def test_the_seed_decides() -> None:
    model, x = two_layers(), torch.randn(300, 6)
    first, again, other = (respike.from_torch(model, x, 4, samples=32, seed=s) for s in (0, 0, 1))
    assert torch.equal(theta(first), theta(again))
    assert not torch.equal(theta(first), theta(other))


def test_neurons_with_a_constant_current_start_early_and_send_as_many() -> None:
    """V_0 = 0.85·θ, given back by the bias: the rounded count of T steps, and none later than before."""
    steps, current = 8, torch.linspace(-0.5, 1.5, 401).unsqueeze(1)
    half = SpikingReLU(Node("", "", (), shape=(None, 1)), NeuronOptions(), 1)
    half.set_threshold(torch.tensor([1.0]))
    early = copy.deepcopy(half)
    start_early(current, current, early, Options(timesteps=steps))
    assert float(early.start) == pytest.approx(EARLY)
    sent = [n.run(Drive(current.unsqueeze(0), steps, bias=n.bias))[0].cumsum(0) for n in (half, early)]
    assert torch.equal(sent[0][-1][1::2], sent[1][-1][1::2])  # every second is no tie
    assert (sent[1] >= sent[0]).all()
    assert sent[1][0].sum() > 1.2 * sent[0][0].sum()

"""``record``: what layers send and hold."""

from __future__ import annotations

import pytest
import torch
from exported import CODES, converted
from torch import Tensor, nn

from respike.convert import ConversionError, SpikingNetwork


def small(code: str, **options: object) -> tuple[SpikingNetwork, Tensor]:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    x = torch.rand(16, 1, 10, 10)
    return converted(model, x, steps=6, **{**CODES[code], **options}), x


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("length", [None, 2])
def test_spikes_are_those_of_the_run_and_charge_is_conserved(
    code: str, length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V_t − V_0 = Σ(I + bias) − θ·Σ spikes where nothing leaks, and the last layer's spikes are the output."""
    snn, x = small(code)
    if length:
        blocks = snn.blocks
        monkeypatch.setattr(snn, "blocks", lambda *a, **k: blocks(*a, **k, length=length))
    seen = snn.record(x, potentials=True)
    torch.testing.assert_close(seen.output, snn.simulate(x))
    assert list(seen.spikes) == list(seen.potentials) == ["1", "4"]
    last, neuron = seen.spikes["4"], snn.layers()[list(snn.layers())[1]]
    weights = snn.held_graph().tensors
    weight, bias = (weights[name] for name in list(weights)[-2:])
    clock = torch.arange(1.0, 7.0).reshape(1, -1, 1)
    mean = (last * neuron.threshold).cumsum(1).flatten(2) / clock
    torch.testing.assert_close(mean @ weight.T + bias, seen.output, rtol=1e-4, atol=1e-5)
    first = snn.layers()[next(iter(snn.layers()))]
    if code != "lif":
        with torch.no_grad():
            current = nn.functional.conv2d(x, *list(weights.values())[:2]) + first.bias
        charge = first.v_init + clock.reshape(1, -1, 1, 1, 1) * current[:, None]
        held = (charge - (seen.spikes["1"] * first.threshold).cumsum(1)) / first.threshold
        torch.testing.assert_close(seen.potentials["1"], held, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_in_other_precisions_they_are_whole_numbers_too(precision: str) -> None:
    snn, x = small("binary")
    snn.precision = precision
    for spikes in snn.record(x).spikes.values():
        assert set(spikes.unique().tolist()) <= {0.0, 1.0}


def test_of_some_layers_and_of_frames() -> None:
    snn, x = small("binary")
    assert list(snn.record(x, layers="4").spikes) == ["4"]
    assert snn.record(x, layers=["1"], timesteps=3).spikes["1"].shape == (16, 3, 4, 8, 8)
    frames = torch.rand(16, 6, 1, 10, 10)
    seen = snn.with_time().record(frames, potentials=True)
    assert seen.spikes["1"].shape == seen.potentials["1"].shape == (16, 6, 4, 8, 8)
    assert seen.potentials["1"].max() < 2


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Linear(4, 8), nn.Linear(8, 8), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.act(self.b(self.act(self.a(x)))) + 1))


def test_names_are_those_of_the_module_that_it_becomes() -> None:
    """Of a module that is used twice and of a function, too."""
    x = torch.rand(16, 4)
    snn = converted(Functional().eval(), x, steps=4)
    names = list(snn.record(x).spikes)
    module = snn.to_module()
    assert names == list(module.meta["respike"]["neurons"].values())
    assert len(names) == 3


def test_what_cannot_be_recorded_is_said() -> None:
    snn, x = small("binary")
    with pytest.raises(ConversionError, match="take 107,520 bytes, and memory= allows 1,000: name fewer layers"):
        snn.record(x, memory=1000)
    with pytest.raises(ConversionError, match="no layer of neurons is called '7'"):
        snn.record(x, layers="7")
    snn.schedule = "layerwise"
    with pytest.raises(ConversionError, match="no common clock"):
        snn.record(x)

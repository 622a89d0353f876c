"""The spiking network against what it must be: a quantised ANN, a conservation law, the ANN itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn

import respike
from respike.convert.graph import Node


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 10),
        nn.ReLU(),
        nn.Linear(10, 4),
    )


def quantised(z: Tensor, theta: Tensor, steps: int) -> Tensor:
    """ReLU in T+1 values, written without respike."""
    return torch.clamp(torch.floor(z * steps / theta + 0.5), 0, steps) * theta / steps


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("threshold", ["max", "mse"])
def test_layerwise_is_exactly_the_quantised_ann(steps: int, threshold: str) -> None:
    model = small_cnn()
    x = torch.rand(16, 1, 12, 12)
    snn = respike.from_torch(model, x, steps, threshold=threshold, correction="none", schedule="layerwise")
    theta = iter([layer.threshold for layer in snn.neurons.values()])
    y = x
    with torch.no_grad():
        for layer in model:
            y = quantised(y, next(theta), steps) if isinstance(layer, nn.ReLU) else layer(y)
    # Quantisation turns the last bit of a float into a whole step, so the two must agree bit for bit.
    assert torch.equal(snn(x), y)
    assert snn.latency == steps * 4


def test_layerwise_entry_t_of_simulate_is_the_run_with_t_steps() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 6, schedule="layerwise")
    steps = snn.simulate(x)
    for t in (1, 2, 6):
        snn.timesteps = t
        torch.testing.assert_close(snn(x), steps[:, t - 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("neuron", "max_spikes"), [("iaf", 1), ("iaf", 3), ("signed", 1), ("signed", 2), ("multi_threshold", 1)]
)
def test_charge_is_conserved_in_every_neuron(neuron: str, max_spikes: int) -> None:
    """Sum of currents = θ·(net count) + v_T − v_0, in float64."""
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 12, neuron=neuron, max_spikes=max_spikes)
    seen = 0
    for layer in snn.neurons.values():
        shape = (len(layer.threshold), 5, 5) if layer.threshold.dim() == 3 else (len(layer.threshold),)
        currents = torch.randn(12, 6, *shape, dtype=torch.float64) * float(layer.threshold.mean())
        layer = layer.double()
        spikes, (last, *_) = layer.run(currents)
        charge = layer.threshold * spikes.sum(0) + last - layer.v_init
        torch.testing.assert_close(currents.sum(0), charge)
        assert spikes.max() == max_spikes
        seen += 1
    assert seen == 3


def test_what_a_synchronous_network_decodes_is_its_spikes_through_the_next_layer() -> None:
    """The readout's mean current is the last linear layer applied to mean spikes times θ."""
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 10, correction="none")
    last = list(snn.neurons)[-1]
    total = torch.zeros(())

    def count(node: Node, events: Tensor, values: Tensor) -> None:
        nonlocal total
        if node.name == last:
            total = total + values.sum(0)

    (*_, block) = snn.blocks([x], recorder=count)
    final = model[-1]
    assert isinstance(final, nn.Linear)
    torch.testing.assert_close(F.linear(total / 10, final.weight, final.bias), block[0][-1])


@pytest.mark.parametrize("options", one_in(3, [{}, {"neuron": respike.LIF(1e6)}, {"max_spikes": 4}]))
def test_error_falls_with_time(options: dict[str, object]) -> None:
    model, x = small_cnn(), torch.rand(64, 1, 12, 12)
    snn = respike.from_torch(model, x, 16, threshold="max", correction="none", **options)
    with torch.no_grad():
        errors = (snn.simulate(x, timesteps=64) - model(x).unsqueeze(1)).square().mean((0, 2)).sqrt()
    assert errors[63] <= errors[15] / 3


def test_leaky_neurons_stand_in_for_the_relu_with_leak_compensation() -> None:
    model, x = small_cnn(), torch.rand(64, 1, 12, 12)
    with torch.no_grad():
        expected = model(x)
    plain = respike.from_torch(model, x, 32, neuron=respike.LIF(20.0))
    spread = expected.std(0).mean()
    assert (plain(x) - expected).abs().mean() < 0.35 * spread


def test_capped_activations_never_exceed_the_cap() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU6())
    x = 40 * torch.rand(64, 4)
    snn = respike.from_torch(model, x / 2, 32, threshold="max")
    assert model(x).max() == 6
    assert snn(x).max() <= 6
    assert all(layer.threshold.max() <= 6 for layer in snn.neurons.values())


@pytest.mark.parametrize("options", [{}, {"max_spikes": 3}, {"neuron": respike.LIF(7.0)}])
def test_the_neurons_of_a_network_are_layers_of_the_library(options: dict[str, object]) -> None:
    snn = respike.from_torch(small_cnn(), torch.rand(16, 1, 12, 12), 6, **options)
    for neurons in snn.neurons.values():
        shape = (len(neurons.threshold), 5, 5) if neurons.threshold.dim() == 3 else (len(neurons.threshold),)
        currents = torch.randn(9, 4, *shape) * neurons.threshold
        spikes, (last,) = neurons.run(currents)
        layer = neurons.layer
        assert torch.equal(layer(currents.transpose(0, 1)).transpose(0, 1), spikes)
        assert torch.equal(layer.v_mem, last)


@pytest.mark.parametrize("neuron", ["signed", "multi_threshold"])
def test_blocks_of_time_leave_no_seam(neuron: str) -> None:
    """Potential and net count go on where the block before left them: the same spikes, to the last."""
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    snn = respike.from_torch(model, x, 12, neuron=neuron)
    runs = []
    for budget in (snn.memory_budget, 1):
        snn.memory_budget = budget
        events: dict[str, list[Tensor]] = {}
        blocks = list(snn.blocks([x], recorder=lambda node, e, _, to=events: to.setdefault(node.name, []).append(e)))
        spikes = {name: torch.cat(parts) for name, parts in events.items()}
        runs.append((len(blocks), spikes, torch.cat([output for (output,) in blocks])))
    (one, spikes, whole), (several, same, stepwise) = runs
    assert (one, several) == (1, 12)
    assert all(torch.equal(same[name], found) for name, found in spikes.items())
    torch.testing.assert_close(stepwise, whole, rtol=1e-6, atol=1e-6)  # a matrix product rounds by its size


def test_signed_neurons_quantise_the_ann_where_binary_ones_are_uneven() -> None:
    """Layer by layer both are the quantised ANN; all at once the signed network is nearer to it."""
    model, x = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:100]
    error = {}
    for neuron in ("iaf", "signed"):
        snn = respike.from_torch(model, x, 16, neuron=neuron, threshold="max", correction="none")
        together = snn(x)
        snn.schedule = "layerwise"
        error[neuron] = float((together - snn(x)).square().mean())
    assert error["signed"] < 0.5 * error["iaf"]


@pytest.mark.slow
def test_every_spike_of_either_sign_and_any_weight_is_an_event() -> None:
    model, x = small_cnn(), torch.rand(8, 1, 12, 12)
    for neuron in ("signed", "multi_threshold"):
        snn = respike.from_torch(model, x, 8, neuron=neuron)
        for layer in snn.neurons.values():
            shape = (len(layer.threshold), 5, 5) if layer.threshold.dim() == 3 else (len(layer.threshold),)
            spikes, _ = layer.run(torch.randn(8, 4, *shape) * layer.threshold)
            assert spikes.min() < 0
            assert torch.equal(layer.events(spikes), (spikes != 0).float())


def test_a_neuron_says_how_many_values_a_step_can_send() -> None:
    from respike.convert.options import NeuronOptions

    assert [NeuronOptions(max_spikes=n).values_per_step for n in (1, 4)] == [2, 5]
    assert NeuronOptions("signed").values_per_step == 3
    assert NeuronOptions("multi_threshold", levels=4).values_per_step == 9
    for bad in ({"neuron": "multi_threshold", "max_spikes": 2}, {"levels": 0}, {"neuron": "izhikevich"}):
        with pytest.raises(respike.ConversionError):
            NeuronOptions(**bad)

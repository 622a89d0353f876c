"""Spikes and synaptic operations of small networks against arithmetic by hand."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import Net

import respike


def constant(layer: Any, currents: list[float]) -> Any:
    """Make a layer give these currents, one for each output channel, whatever it reads."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(currents))
    return layer


def evaluated(model: nn.Module, shape: tuple[int, ...], thetas: list[float], **options: Any) -> respike.Evaluation:
    """4 steps on two equal samples, with these thresholds, V_0 = θ/2 and no correction."""
    x = torch.ones(2, *shape)
    snn = respike.from_torch(model, x, 4, threshold="max", correction="none", **options)
    for neuron, theta in zip(snn.neurons.values(), thetas, strict=True):
        neuron.set_threshold(torch.tensor([theta]))
    return respike.evaluate(snn, (x, torch.zeros(2, dtype=torch.long)), ann=model)


def counted(result: respike.Evaluation, name: str) -> list[list[float]]:
    return [getattr(layer, name).tolist() for layer in result.layers]


def test_padding_stride_groups_and_bursts_by_hand() -> None:
    model = nn.Sequential(
        constant(nn.Conv2d(1, 4, 1), [0.25, 0.5, 0.75, 2.5]),
        nn.ReLU(),
        constant(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), [0.5] * 6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 5),
    )
    result = evaluated(model, (1, 6, 6), [1.0, 1.0], max_spikes=3)
    # With θ = 1 and V_0 = 1/2 a current I has given floor(t I + 1/2) spikes after t steps:
    #   0.25: 0 1 1 1;  0.5: 1 1 2 2;  0.75: 1 2 2 3;  2.5: 3 5 8 10, each at 36 places.
    first = [0 + 1 + 1 + 3, 1 + 1 + 2 + 5, 1 + 2 + 2 + 8, 1 + 2 + 3 + 10]
    second = [1, 1, 2, 2]  # of 6 x 3 x 3 neurons with the current 0.5
    assert counted(result, "spikes") == [[36.0 * n for n in first], [54.0 * n for n in second]]
    # Windows of 3 rows around rows 0, 2 and 4 see the 6 rows 1, 2, 1, 2, 1 and 1 times: 8 in all, so 64 places of
    # weights for a channel; with 2 groups each channel has 3 output channels.
    assert counted(result, "synops") == [[n * 64.0 * 3 for n in first], [n * 54.0 * 5 for n in second]]
    assert result.synops.tolist() == [n * 192.0 + m * 270 for n, m in zip(first, second, strict=True)]
    assert result.ann_macs == 36 * 4 + 64 * 4 * 3 + 54 * 5
    assert result.ann_needed_macs == result.ann_macs  # nothing is zero in this ANN
    assert [layer.levels for layer in result.layers] == [3, 3]


def test_concatenation_and_residuals_by_hand() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        a, b = F.relu(s.a(x)), F.relu(s.b(x))
        return s.f(F.relu(s.d(torch.cat([a, b], 1)) + s.c(a + b) + a))

    model = Net(
        forward,
        a=constant(nn.Linear(3, 4), [0.25, 0.5, 0.75, 1.0]),
        b=constant(nn.Linear(3, 4), [0.5] * 4),
        c=constant(nn.Linear(4, 4), [1.0] * 4),
        d=constant(nn.Linear(8, 4), [0.0] * 4),
        f=nn.Linear(4, 7),
    )
    result = evaluated(model, (3,), [1.0, 1.0, 1000.0])
    a = [0 + 1 + 1 + 1, 1 + 1 + 2 + 2, 1 + 2 + 2 + 3, 1 + 2 + 3 + 4]
    b = [4 * 1, 4 * 1, 4 * 2, 4 * 2]
    assert counted(result, "spikes") == [a, b, [0, 0, 0, 0]]
    # Each spike goes to 4 neurons through the concatenation and to the same 4 through the sum.
    assert counted(result, "synops") == [[8 * n for n in a], [8 * n for n in b], [0, 0, 0, 0]]
    # Those of a also go straight to the membranes; a + b has no neurons, so nothing is added up there.
    assert counted(result, "direct") == [a, [0, 0, 0, 0], [0, 0, 0, 0]]
    assert result.ann_macs == 12 + 12 + 32 + 16 + 28
    # Comparisons of 12 ReLUs, 4 sums in a + b and 2 x 4 sums before the last ReLU.
    assert (result.ann_work.additions, result.ann_work.values) == (12 + 4 + 8, 4 + 4 + 4 + 4 + 7)


def test_negative_spikes_by_hand() -> None:
    model = nn.Sequential(
        constant(nn.Linear(3, 2), [0.5, 0.25]), nn.ReLU(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 7)
    )
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
        model[2].bias.zero_()
    result = evaluated(model, (3,), [1.0, 1.0], neuron="signed")
    # The currents 0.5 and 0.25 fire in steps 1, 3 and in step 2. So the last neuron gets +1, -1, +1, 0: its potential
    # goes from 0.5 to 1.5, and it fires; to -0.5, and it takes the spike back; to 1.5, and it fires; and stays at 0.5.
    assert counted(result, "spikes") == [[1, 2, 3, 3], [1, 2, 3, 3]]
    assert counted(result, "synops") == [[1, 2, 3, 3], [7, 14, 21, 21]]
    # Each step: the constant current, v >= θ and v < 0; each spike: the reset and the net count.
    assert {(n.step_additions, n.step_multiplications, n.spike_additions) for n in result.layers} == {(3, 0, 2)}


def test_a_maximum_compares_each_spike_in_every_window_that_it_is_in() -> None:
    model = nn.Sequential(
        constant(nn.Conv2d(1, 2, 1), [0.5, 1.0]), nn.ReLU(), nn.MaxPool2d(3, 1, padding=1), nn.Conv2d(2, 5, 1)
    )
    model.append(nn.Flatten())
    result = evaluated(model, (1, 4, 4), [1.0])
    fired = [1 + 1, 1 + 2, 2 + 3, 2 + 4]  # at each of 16 places, in both channels
    # Rows are seen 2, 3, 3 and 2 times by windows of 3 rows with padding: 10 x 10 windows hold a place of a channel.
    assert counted(result, "direct")[0] == [n * (16 + 100.0) for n in fired]
    assert counted(result, "synops") == [[0, 0, 0, 0], [n * 16.0 * 5 for n in fired]]
    assert result.ann_work.additions == 32 + 2 * (100 - 16)  # ReLU; one comparison less than there are values

"""Synapses counted by hand: padding, stride, groups, concatenation, residuals, pooling, upsampling."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import CONVERTS, Net

import respike


def fan(model: nn.Module, *shape: int) -> tuple[list[Tensor], respike.convert.FanOut]:
    """Synapses behind each spiking layer, in order, without the batch axis."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)  # every neuron fires
    snn = respike.from_torch(model, torch.rand(4, *shape), 2)
    counts = snn.fan_out
    return [counts.events[name][0] for name in snn.neurons], counts


def test_padding_and_stride_at_the_borders() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 5, 3, stride=2, padding=1))
    (found,), counts = fan(model, 1, 4, 4)
    # Rows of a 4-row input seen by windows of 3 around rows 0 and 2: row 0 by one, 1 by two, 2 by one, 3 by one.
    rows = torch.tensor([1.0, 2.0, 1.0, 1.0])
    assert torch.equal(found.float(), 5 * (rows[:, None] * rows[None, :]).expand(2, 4, 4))
    assert counts.once.macs == 2 * 16  # 1x1 convolution on the analog input
    assert counts.ann.macs == 2 * 16 + 2 * 5 * (1 + 2 + 1 + 1) ** 2


def test_groups() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1, groups=4))
    (found,), _ = fan(model, 1, 3, 3)
    assert (found == 2).all()


def test_concatenation_and_residual() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        a, b = F.relu(s.a(x)), F.relu(s.b(x))
        return s.d(torch.cat([a, b], 1)) + s.c(a + b)

    model = Net(forward, a=nn.Linear(3, 4), b=nn.Linear(3, 4), c=nn.Linear(4, 7), d=nn.Linear(8, 7))
    found, counts = fan(model, 3)
    assert all((f == 14).all() for f in found)  # 7 through the concatenation, 7 through the sum
    assert counts.once.macs == 2 * 12


def test_average_pool_passes_one_event_to_every_window() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AvgPool2d(3, 1), nn.Conv2d(2, 5, 1))
    (found,), _ = fan(model, 1, 5, 5)
    rows = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0])
    assert torch.equal(found[0].float(), 5 * rows[:, None] * rows[None, :])


def test_global_pool_and_batch_norm_add_no_synapses() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.ReLU(), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 9)
    )
    (found,), _ = fan(model, 1, 5, 5)
    assert (found == 9).all()


def test_bilinear_upsampling_reaches_what_it_touches() -> None:
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), up, nn.Conv2d(1, 3, 1))
    (found,), _ = fan(model, 1, 4, 4)
    matrix = torch.stack([(up(row) != 0).float().sum() for row in torch.eye(16).reshape(16, 1, 1, 4, 4)])
    assert torch.equal(found.flatten().float(), 3 * matrix)


def test_linear_bottleneck_costs_analog_work_in_every_step() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Linear(2, 5))
    (found,), counts = fan(model, 3)
    assert (found == 2).all()
    assert (counts.once.macs, counts.every_step.macs, counts.ann.macs) == (12, 10, 12 + 8 + 10)


@pytest.mark.parametrize("name", ["transposed_conv", "conv_groups_stride_dilation", "channel_shuffle", "padding"])
def test_every_count_agrees_with_probing_each_neuron(name: str) -> None:
    """Set all weights behind the ReLU to 1, send one spike: what arrives, in sum, is the fan-out."""
    torch.manual_seed(0)
    model = CONVERTS[name].build().eval()
    x = torch.rand(4, *CONVERTS[name].shapes[0])
    snn = respike.from_torch(model, x, 2)
    fan_out = next(iter(snn.fan_out.events.values()))[0]
    last = list(model.children())[1]
    nn.init.ones_(last.weight)
    nn.init.zeros_(last.bias)
    for index in torch.randperm(fan_out.numel())[:40].tolist():
        spike = torch.zeros(fan_out.numel())
        spike[index] = 1

        def probe(y: Tensor, spike: Tensor = spike) -> Tensor:
            return spike.reshape(1, *fan_out.shape).expand(len(y), *fan_out.shape)

        with torch.no_grad():
            empty, full = (_with_relu(model, x[:1], lambda y, k=k: k * probe(y)) for k in (0, 1))
        assert round(float((full - empty).sum())) == int(fan_out.flatten()[index])


def _with_relu(model: nn.Module, x: Tensor, relu: object) -> Tensor:
    original = F.relu
    try:
        F.relu = relu
        return model(x)
    finally:
        F.relu = original

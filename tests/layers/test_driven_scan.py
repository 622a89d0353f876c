"""Synapses and neurons in one pass: bit for bit what they give one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from respike.layers import kernels
from respike.layers.kernels import Drive, Rule, Send
from respike.layers.kernels.cpu.driven import driven_scan

LAYERS = {  # inputs, outputs, kernel, stride, padding, dilation, groups, side
    "spread, one block": (16, 16, 3, 1, 1, 1, 1, 9),
    "spread, blocks of both widths": (70, 48, 3, 1, 1, 1, 1, 7),
    "spread, no padding": (24, 16, 3, 1, 0, 1, 1, 8),
    "small maps": (64, 80, 3, 1, 1, 1, 1, 3),
    "stride": (20, 32, 3, 2, 1, 1, 1, 9),
    "groups, dilation": (32, 64, 3, 1, 2, 2, 2, 7),
    "5x5": (12, 24, 5, 1, 2, 1, 1, 8),
}
STEPS, SAMPLES = 5, 6


def made(layer: str, whole: bool = False, most: int = 1) -> tuple[Drive, Tensor]:
    """A drive through the synapses of a layer, and thresholds."""
    inputs, outputs, kernel, stride, padding, dilation, groups, side = LAYERS[layer]
    weight = torch.randn(outputs, inputs // groups, kernel, kernel)
    weight = (weight * 40).clamp(-127, 127).to(torch.int8) if whole else weight
    geometry = (stride,) * 2, (padding,) * 2, (dilation,) * 2, groups
    synapses = kernels.event_synapses(weight, None if whole else torch.randn(outputs), *geometry)
    spikes = (torch.rand(STEPS, SAMPLES, side, side, inputs) < 0.2) * torch.randint(1, most + 1, (1,))
    scale = torch.rand(outputs, 1, 1) / 40 if whole else None
    drive = Drive(spikes.to(torch.int8).movedim(-1, 2), STEPS, scale, bias=torch.rand(outputs, 1, 1), synapses=synapses)
    return drive, torch.rand(outputs, 1, 1) * 4 + 0.5


def compare(rule: Rule, drive: Drive, threshold: Tensor, fused: bool = True) -> None:
    """Both ways, in two blocks of time."""
    send = Send(1.0, torch.int8)
    states: list[Any] = [(threshold * 0.5,) * (2 if rule.counts else 1)] * 2
    for steps in (slice(0, 2), slice(2, STEPS)):
        part = replace(drive, values=drive.values[steps], steps=len(range(STEPS)[steps]))
        part = part if drive.extra is None else replace(part, extra=drive.extra[steps])
        assert (driven_scan(rule, part, threshold, states[0], send) is not None) == fused
        found, states[0] = kernels.scan(rule, part, threshold, states[0], send)
        wanted, states[1] = kernels.scan(rule, part.summed(), threshold, states[1], send)
        assert found.dtype == wanted.dtype == torch.int8
        assert found.shape == wanted.shape
        assert 0 < wanted.count_nonzero() < wanted.numel()
        assert torch.equal(found, wanted)
        assert all(map(torch.equal, states[0], states[1]))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("layer", list(LAYERS))
def test_one_pass_is_two(layer: str, whole: bool) -> None:
    drive, threshold = made(layer, whole)
    compare(Rule(), drive, threshold)


@pytest.mark.parametrize("most", [2, None])
@pytest.mark.parametrize("layer", ["spread, one block", "small maps"])
def test_neurons_that_send_several_spikes(layer: str, most: int | None) -> None:
    drive, threshold = made(layer, most=3)
    compare(Rule(most), drive, threshold / 4)


@pytest.mark.parametrize("kind", [torch.int8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", ["spread, one block", "stride"])
def test_a_second_current(layer: str, kind: torch.dtype) -> None:
    drive, threshold = made(layer)
    shape = drive.summed().values.shape
    extra = torch.randint(-2, 3, shape).to(kind).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    compare(Rule(), replace(drive, extra=extra, extra_scale=torch.rand(shape[2], 1, 1)), threshold)
    compare(Rule(), replace(drive, extra=extra.contiguous()), threshold)


def test_one_threshold_for_the_layer() -> None:
    drive, threshold = made("spread, one block")
    compare(Rule(), replace(drive, bias=None), threshold.mean().reshape(1, 1, 1))


@pytest.mark.parametrize("rule", [Rule(signed=True), Rule(alpha=0.9), Rule(floor=-1.0), Rule(signed=True, levels=3)])
def test_other_neurons_take_two_passes(rule: Rule) -> None:
    drive, threshold = made("spread, one block")
    send = Send(1.0, torch.float32)
    state = (threshold * 0.5,) * (2 if rule.counts else 1)
    assert driven_scan(rule, drive, threshold, state, Send(1.0, torch.int8)) is None
    found, wanted = (kernels.scan(rule, each, threshold, state, send)[0] for each in (drive, drive.summed()))
    assert torch.equal(found, wanted)


def test_thresholds_of_single_neurons_take_two_passes() -> None:
    drive, threshold = made("spread, one block")
    compare(Rule(), drive, threshold * (1 + torch.rand(16, 9, 9)), fused=False)


def test_inputs_of_another_number_of_channels_are_refused() -> None:
    drive, threshold = made("spread, one block")
    with pytest.raises(ValueError, match="these synapses read 16 channels of images, got int8"):
        kernels.scan(
            Rule(), replace(drive, values=drive.values[:, :, :8]), threshold, (threshold,), Send(1.0, torch.int8)
        )

"""Decisions that go on from those before: potentials by the published formula, and what that does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from exported import CODES, converted
from samples import quick_are
from torch import Tensor, nn

import respike
from respike.convert import SpikingNetwork
from respike.models import policies

SCHEDULES: list[Any] = ["synchronous", respike.Pipelined(1)]


def made(**options: Any) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    seen = torch.randn(9, 16, 4)  # decisions, samples
    return converted(model, seen.flatten(0, 1), steps=4, **options), seen


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_nothing_carried_is_a_call(code: str, schedule: Any) -> None:
    snn, seen = made(schedule=schedule, **CODES[code])
    controller = respike.Controller(snn, carry=0)
    assert all(torch.equal(controller(x), snn(x)) for x in seen)


@pytest.mark.parametrize("carry", [0.3, 1.0])
@pytest.mark.parametrize("max_spikes", [1, 3])
def test_it_is_the_published_rule_stepped_by_hand(carry: float, max_spikes: int) -> None:
    """V_0 ← θ/2 + clip(β · max(V_T − V_0, −θ·N), ±θ/2), as Xu et al. have it, in ten lines of torch."""
    snn, seen = made(max_spikes=max_spikes)
    controller = respike.Controller(snn, carry)
    neurons = list(snn.layers().values())
    weights = [(w, b) for w, b in zip(*[iter(snn.weights.buffers())] * 2, strict=True)]
    start = [n.threshold / 2 * torch.ones(16, 1) for n in neurons]
    for x in seen:
        v, sent = [s.clone() for s in start], [torch.zeros_like(s) for s in start]
        for _ in range(4):
            signal = x
            for i, n in enumerate(neurons):
                v[i] = v[i] + (nn.functional.linear(signal, *weights[i]) + n.bias)
                spikes = (v[i] / n.threshold).floor().clamp(0, max_spikes)
                v[i], sent[i] = v[i] - spikes * n.threshold, sent[i] + spikes * n.threshold
                signal = spikes * n.threshold
        wanted = nn.functional.linear(sent[-1] / 4, *weights[-1])
        torch.testing.assert_close(controller(x), wanted, rtol=1e-4, atol=1e-5)
        for i, n in enumerate(neurons):
            residual = carry * torch.maximum(v[i] - start[i], -sent[i])
            start[i] = n.threshold / 2 + residual.clamp(-n.threshold / 2, n.threshold / 2)


@pytest.mark.parametrize("code", quick_are(["binary", "multi-threshold"], CODES))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_samples_that_are_reset_decide_as_at_first(code: str, schedule: Any) -> None:
    snn, seen = made(schedule=schedule, **CODES[code])
    one, other, fresh = (respike.Controller(snn, 0.75) for _ in range(3))
    for x in seen[:4]:
        one(x), other(x)
    ended = torch.arange(16) % 3 == 0
    one.reset(ended)
    for x in seen[4:]:
        found, went_on, anew = one(x), other(x), fresh(x)
        assert torch.equal(found[ended], anew[ended])
        assert torch.equal(found[~ended], went_on[~ended])
    one.reset()
    assert torch.equal(one(seen[0][:5]), snn(seen[0][:5]))


def test_rounding_errors_cancel_over_decisions_of_the_same_observation() -> None:
    """Reset, the mean of many decisions is off by what one is; carried, by less."""
    snn, seen = made(correction="none")
    x = seen.flatten(0, 1)
    wanted = snn.simulate(x, timesteps=2048)[:, -1]
    controller = respike.Controller(snn, 0.5)
    carried = torch.stack([controller(x) for _ in range(50)]).mean(0)
    assert float((carried - wanted).norm()) < 0.75 * float((snn(x) - wanted).norm())


def test_frames_are_observations_too() -> None:
    snn, seen = made()
    moving, still = respike.Controller(snn.with_time()), respike.Controller(snn)
    for x in seen:
        assert torch.equal(moving(x[:, None].expand(-1, 4, -1)), still(x))


def test_mistakes_are_named() -> None:
    snn, seen = made()
    controller = respike.Controller(snn)
    controller(seen[0])
    with pytest.raises(ValueError, match=r"decides for 16 samples and got 4; call reset\(\) before"):
        controller(seen[0][:4])
    with pytest.raises(respike.ConversionError, match="there is no sample 16"):
        controller.reset([16])
    before = controller._initial
    with pytest.raises(ValueError, match="NaN"):
        controller(seen[0] * float("nan"))
    assert controller._initial is before
    snn.schedule = "layerwise"
    for call in (lambda: controller(seen[0]), lambda: respike.Controller(snn)):
        with pytest.raises(respike.ConversionError, match="keep no potential"):
            call()


@pytest.mark.parametrize("task", policies.POLICIES)
def test_policies_ship(task: str) -> None:
    policy, about = policies.load(task), policies.POLICIES[task]
    assert policy(torch.zeros(3, about.observations)).shape == (3, about.outputs)
    assert not policy.training
    with pytest.raises(ValueError, match="there is no policy for 'Pong-v5'; there are Acrobot-v1, "):
        policies.load("Pong-v5")

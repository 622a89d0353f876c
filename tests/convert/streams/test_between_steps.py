"""What happens between steps: buffers that are used again, steps that fail, and the end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import respike

pytestmark = pytest.mark.filterwarnings("ignore:this network runs")  # longer than it was made for, on purpose


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


class ToTheOutput(nn.Module):
    """An input that reaches the output without synapses."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x)) + x


@pytest.mark.parametrize("options", [{}, {"window": 3}, {"forgetting": 0.5}], ids=str)
def test_a_buffer_of_frames_can_be_used_again(options: dict[str, Any]) -> None:
    snn = respike.from_torch(ToTheOutput(), respike.Frames(torch.rand(64, 8, 4)), timesteps=8)
    run, other, buffer = snn.stream(3, **options), snn.stream(3, **options), torch.zeros(3, 4)
    for frame in torch.rand(5, 3, 4):
        buffer.copy_(frame)
        assert torch.equal(run(buffer), other(frame))


@pytest.mark.parametrize("schedule", ["synchronous", respike.Pipelined(2)], ids=str)
def test_a_step_that_fails_did_not_happen(schedule: Any) -> None:
    data = respike.Encoded(respike.Frames(torch.rand(64, 8, 4)), respike.Encoding("poisson", scale=1.0))
    snn = respike.from_torch(perceptron(), data, timesteps=8, schedule=schedule)
    run, other = snn.stream(3), snn.stream(3)
    for t, frame in enumerate(torch.rand(6, 3, 4)):
        if t in (0, 3):
            with pytest.raises(ValueError, match="times the scale of its events"):
                run(1000 * frame)
        assert run.steps.tolist() == [t] * 3
        assert torch.equal(run(frame), other(frame))


def test_the_estimate_at_the_end_is_that_of_frames_that_came() -> None:
    snn = respike.from_torch(perceptron(), torch.rand(64, 4), timesteps=8)
    run, x = snn.stream(3), torch.rand(3, 4)
    for _ in range(3):
        y = run(x)
    kept = y.clone()
    y.zero_()
    assert torch.equal(run.finish(), kept)
    run.reset([1])
    with pytest.raises(ValueError, match=r"1 of 3 samples have no estimate yet.*the first is number 1"):
        run.finish()
    run(x)
    run.finish()


def test_a_network_of_another_type_is_not_gone_on_with() -> None:
    snn = respike.from_torch(perceptron(), torch.rand(64, 4), timesteps=8)
    run = snn.stream(3)
    run(torch.rand(3, 4))
    snn.double()
    with pytest.raises(ValueError, match="began with type='float32', and the network has 'float64' now"):
        run(torch.rand(3, 4))
    with pytest.raises(ValueError, match="batch must be"):
        snn.stream(10**30)
    with pytest.raises(ValueError, match="complex numbers"):
        snn(torch.rand(3, 4, dtype=torch.complex64))

"""How ``Auto`` and early exit judge: by decisions, or by the error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from held_back import all_calibrate
from judged import X, net, r2
from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning
from respike.evaluation import evaluate_exit


def physical() -> nn.Module:
    """Three quantities of which the first is always the largest."""

    class Physical(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net(outputs=3)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * torch.tensor([50.0, 0.01, 1.0]) + torch.tensor([1000.0, 0.0, 2.0])

    return Physical().eval()


def test_quantities_are_judged_by_their_error_and_not_by_the_largest() -> None:
    model = physical()
    snn = respike.from_torch(model, X, respike.Auto(within=30), neuron="iaf")
    choice = snn.choice
    assert choice is not None
    assert choice.agreement is None
    assert choice.error is not None
    assert choice.error <= 0.3
    assert choice.within == 30
    assert snn.timesteps > 2
    assert "relative error of 30 %" in choice.reason
    found = snn(X).double().numpy()
    assert r2(found, model(X).detach().double().numpy()) > 1 - 0.3**2  # calibrated on twice the samples
    by_decision = respike.from_torch(model, X, respike.Auto(judge="decision"), neuron="iaf")
    assert (by_decision.timesteps, by_decision.choice.agreement) == (1, 1.0)  # type: ignore[union-attr]


def test_the_error_is_judged_on_samples_that_a_network_has_not_seen() -> None:
    """The same as R² of two networks by hand, each on the other's samples."""
    from respike.convert.choose.two_fold import Halves
    from respike.convert.options import Auto, Options
    from respike.convert.tracing.normal_form import normal_form

    model = physical()
    halves = Halves(
        normal_form(model, (X[:4],)), [(X,)], Options(), Auto(within=90, judge="error"), torch.device("cpu")
    )
    trial = halves.judge(Options().neurons, 4)
    parts = [torch.cat([x for (x,) in half]) for half in halves.halves]
    found = torch.cat([respike.from_torch(model, all_calibrate(a), 4)(b) for a, b in (parts, parts[::-1])]).double()
    wanted = model(torch.cat(parts[::-1])).detach().double()
    assert trial.error == pytest.approx((1 - r2(found.numpy(), wanted.numpy())) ** 0.5, rel=1e-4)


def test_a_logit_is_a_decision_if_the_user_says_so_or_a_sigmoid_does() -> None:
    logit = respike.from_torch(net(), X, respike.Auto(within=10, judge="decision"), neuron="iaf")
    chance = respike.from_torch(net(nn.Sigmoid()), X, respike.Auto(within=10), neuron="iaf")
    for found in (logit.choice, chance.choice):
        assert found is not None
        assert found.agreement is not None
        assert found.agreement >= 0.9
    assert logit.timesteps == chance.timesteps
    with pytest.raises(
        respike.ConversionError, match=r"relative error of 0.1 %.*or the logit of one class, give respike\.Auto\(judge="
    ):
        respike.from_torch(net(), X, respike.Auto(within=0.1), neuron="iaf")


@pytest.mark.parametrize("score", ["margin", "confidence", "stability"])
def test_a_logit_stops_early_as_two_scores_of_which_one_is_zero(score: Any) -> None:
    model = net()
    pair = nn.Sequential(*model[:2], nn.Linear(24, 2)).eval()
    with torch.no_grad():
        pair[2].weight.copy_(torch.cat([torch.zeros(1, 24), model[2].weight]))
        pair[2].bias.copy_(torch.cat([torch.zeros(1), model[2].bias]))
    y = (X[:, 0] > 0).long()
    one, two = (
        respike.EarlyExit(
            respike.from_torch(m, X, 8, correction="none"), X, score=score, agreement=95, judge="decision"
        )
        for m in (model, pair)
    )
    assert one.threshold == pytest.approx(two.threshold, rel=1e-5)
    assert torch.equal(one(X).steps, two(X).steps)
    torch.testing.assert_close(one(X).output[:, 0], two(X).output[:, 1])
    assert evaluate_exit(one, (X, y)).accuracy == evaluate_exit(two, (X, y)).accuracy


@pytest.mark.slow
def test_early_exit_wants_decisions() -> None:
    with pytest.raises(respike.ConversionError, match="single output without a sigmoid may be any number"):
        respike.EarlyExit(respike.from_torch(net(), X, 4), X)
    with pytest.warns(ConversionWarning, match=r"100.0 % of the samples get the same one"):
        respike.EarlyExit(respike.from_torch(physical(), X, 4), X)
    respike.EarlyExit(respike.from_torch(net(nn.Sigmoid()), X, 4), X)

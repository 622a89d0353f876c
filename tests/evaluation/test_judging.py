"""What is judged by decisions, what by errors, and what not at all: against the same numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning
from respike.convert.output_judging import Spread, Tally, Yardstick, decision, missed
from respike.evaluation import evaluate_exit

X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))


def net(*behind: nn.Module, outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, outputs), *behind).eval()


def estimates(snn: respike.SpikingNetwork, x: Tensor = X) -> Tensor:
    return snn.simulate(x).double()


def share(found: Tensor, wanted: Tensor) -> list[float]:
    """Of each timestep, of ``found (N, T, ...)``, how often it is what is wanted."""
    return (found == wanted.unsqueeze(1)).double().flatten(2).mean(2).mean(0).tolist()


@pytest.mark.parametrize(
    ("behind", "border"),
    [((), 0.0), ((nn.Flatten(0),), 0.0), ((nn.Sigmoid(),), 0.5), ((nn.Sigmoid(), nn.Flatten(0)), 0.5)],
)
def test_a_single_score_decides_by_its_sign_or_behind_a_sigmoid_by_a_half(
    behind: tuple[nn.Module, ...], border: float
) -> None:
    if behind and isinstance(behind[-1], nn.Flatten):  # of one column: (N,) for any N
        behind = (*behind[:-1], Squeeze())
    model = net(*behind)
    snn = respike.from_torch(model, X, 5)
    ann = (model(X).reshape(-1) > border).long()
    y = (X[:, 0] > 0).long()
    found = (estimates(snn).reshape(60, 5) > border).long()
    for target in (y, y.bool(), y.float(), y[:, None], y[:, None].float()):
        result = respike.evaluate(snn, (X, target), ann=model, batch_size=17)
        assert result.metric == "accuracy"
        assert result.accuracy.tolist() == pytest.approx(share(found[..., None], y[:, None]))
        assert result.agreement is not None
        assert result.agreement.tolist() == pytest.approx(share(found[..., None], ann[:, None]))
        assert result.ann_accuracy == pytest.approx(float((ann == y).double().mean()))
        assert ("above 0.5" if border else "the sign of the output") in str(result).splitlines()[-1]


class Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


def r2(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean over outputs of 1 - sum of squared errors / sum of squares about the mean."""
    return float(np.mean(1 - ((found - wanted) ** 2).sum(0) / ((wanted - wanted.mean(0)) ** 2).sum(0)))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("numbers", [torch.float32, torch.float64, torch.int64])
def test_values_are_judged_by_r2_and_by_the_error_against_the_ann(outputs: int, numbers: torch.dtype) -> None:
    if outputs == 1 and numbers == torch.int64:
        pytest.skip("whole numbers for a single output are taken for classes")
    model = net(outputs=outputs)
    snn = respike.from_torch(model, X, 6)
    scale = torch.tensor([1000.0, 0.5, 7.0])[:outputs]
    target = (model(X) * scale + torch.randn(60, outputs) * 3).detach().to(numbers)
    result = respike.evaluate(snn, (X, target), ann=model, batch_size=13)
    found, wanted, ann = estimates(snn).numpy(), target.double().numpy(), model(X).detach().double().numpy()
    assert result.metric == "R2"
    assert result.agreement is None
    assert result.accuracy.tolist() == pytest.approx([r2(found[:, t], wanted) for t in range(6)], rel=1e-6)
    assert result.ann_accuracy == pytest.approx(r2(ann, wanted), rel=1e-6)
    assert result.error is not None
    assert result.error.tolist() == pytest.approx([(1 - r2(found[:, t], ann)) ** 0.5 for t in range(6)], rel=1e-5)
    table = str(result).splitlines()
    assert "R2" in table[0]
    assert "error" in table[0]
    assert "agreement" not in table[0]
    if outputs == 1:
        assert respike.evaluate(snn, (X, target[:, 0]), ann=model, batch_size=13).accuracy == pytest.approx(
            result.accuracy
        )


def test_whole_numbers_are_values_if_the_user_says_so() -> None:
    model = net()
    snn = respike.from_torch(model, X, 3)
    ages = torch.arange(60) % 7
    with pytest.raises(ValueError, match=r"needs the labels 0 to 1 .*judge='error'.*got 2"):
        respike.evaluate(snn, (X, ages))
    result = respike.evaluate(snn, (X, ages), judge="error")
    assert result.accuracy[-1] == pytest.approx(r2(estimates(snn)[:, -1].numpy(), ages.double().numpy()[:, None]))
    assert result.error is None


def segments() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 3, 1)).eval()
    x = torch.rand(12, 1, 4, 5)
    y = model(x).argmax(1)
    y[torch.rand(y.shape) < 0.3] = 1
    return model, x, y


def test_each_position_counts_and_those_without_a_label_do_not() -> None:
    model, x, y = segments()
    snn = respike.from_torch(model, x, 4)
    found = snn.simulate(x).argmax(2)
    result = respike.evaluate(snn, (x, y), ann=model)
    assert result.accuracy.tolist() == pytest.approx(share(found, y))
    assert result.ann_accuracy == pytest.approx(float((model(x).argmax(1) == y).double().mean()))
    holes = y.clone()
    holes[:, :2] = -100
    holes[0] = -100  # a sample without any label
    wanted = share(found[1:, :, 2:], y[1:, 2:])
    assert respike.evaluate(snn, (x, holes), batch_size=5).accuracy.tolist() == pytest.approx(wanted)
    one_hot = nn.functional.one_hot(y, 3).movedim(-1, 1)
    for same in (y[:, None], one_hot, one_hot.float(), y.to(torch.uint8), y.double()):
        assert respike.evaluate(snn, (x, same)).accuracy.tolist() == result.accuracy.tolist()


def test_labels_of_any_type_are_the_same_labels() -> None:
    model = net(outputs=3)
    snn = respike.from_torch(model, X, 3)
    y = torch.arange(60) % 3
    wanted = respike.evaluate(snn, (X, y), ann=model).to_json()
    kinds = (
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.uint16,
        torch.float16,
        torch.bfloat16,
        torch.float64,
    )
    forms: list[Any] = [y.to(kind) for kind in kinds]
    forms += [
        y[:, None],
        nn.functional.one_hot(y),
        nn.functional.one_hot(y).float(),
        y.numpy(),
        y.numpy().astype(">i4"),
    ]
    for form in forms:
        assert respike.evaluate(snn, (X, form), ann=model).to_json() == wanted


def test_inputs_of_any_type_are_the_same_inputs() -> None:
    """Doubles, halves and bytes; numpy's arrays; the ANN sees what the network sees."""
    model = net(outputs=3)
    x = (X * 40).round()
    snn = respike.from_torch(model, x, 3)
    y = torch.arange(60) % 3
    wanted = respike.evaluate(snn, (x, y), ann=model).to_json()
    exits = respike.EarlyExit(snn, x, judge="decision", agreement=90)
    for form in (x.double(), x.half(), x.to(torch.int16), x.numpy(), x.double().numpy()):
        assert respike.evaluate(snn, (form, y), ann=model).to_json() == wanted
        assert respike.evaluate(snn, [(form[:20], y[:20]), (form[20:], y[20:])], ann=model).to_json() == wanted
        assert respike.diagnose(snn, form).as_dict() == respike.diagnose(snn, x).as_dict()
        assert respike.EarlyExit(snn, form, judge="decision", agreement=90).threshold == exits.threshold
        if isinstance(form, np.ndarray) or form.is_floating_point():  # the model itself takes no whole numbers
            assert torch.equal(respike.from_torch(model, form, 3)(x), snn(x))


def test_empty_batches_count_for_nothing() -> None:
    model = net(outputs=3)
    snn = respike.from_torch(model, X, 4)
    y = torch.arange(60) % 3
    wanted = respike.evaluate(snn, (X, y), ann=model).to_json()
    parts = [(X[:0], y[:0]), (X, y), (X[:0], y[:0])]
    assert respike.evaluate(snn, parts, ann=model).to_json() == wanted
    early = respike.EarlyExit(snn, X, judge="decision")
    assert evaluate_exit(early, parts) == evaluate_exit(early, (X, y))
    for empty in ([], (X[:0], y[:0]), [(X[:0], y[:0])]):
        with pytest.raises(ValueError, match="there is no data to evaluate on"):
            respike.evaluate(snn, empty, ann=model)


CLASSES = torch.arange(60) % 3
REFUSED: list[tuple[str, Any, str]] = [
    ("fraction", torch.full((60,), 1.5), r"class numbers must be whole; got 1.5"),
    ("nan", torch.full((60,), torch.nan), r"targets must be finite; 60 of 60 are NaN or infinite"),
    ("too large", CLASSES + 1, r"needs the labels 0 to 2 \(or -100.*; got 3"),
    ("negative", CLASSES - 1, r"needs the labels 0 to 2 .*; got -1"),
    ("no label", torch.full((60,), -100), "all labels are -100"),
    ("too short", CLASSES[:59], "60 inputs and 59 targets do not belong together"),
    ("multi-label", torch.ones(60, 3).long(), r"several classes per sample \(multi-label\).*pass metric"),
    ("another width", torch.rand(60, 4), r"needs class numbers of shape \(60,\) .*got the shape \(60, 4\)"),
    ("complex", torch.ones(60) * 1j, "got complex numbers"),
]


@pytest.mark.parametrize(("target", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_targets_that_say_nothing_are_refused_with_the_reason(target: Any, message: str) -> None:
    snn = respike.from_torch(net(outputs=3), X, 2)
    with pytest.raises(ValueError, match=message):
        respike.evaluate(snn, (X, target))


def test_what_changes_its_kind_on_the_way_is_an_error() -> None:
    snn = respike.from_torch(net(), X, 2)
    counts = torch.zeros(60)
    counts[30:] = 3.5
    with pytest.raises(ValueError, match=r"class numbers must be whole; got 3.5. For a regression give judge='error'"):
        respike.evaluate(snn, (X, counts), batch_size=20)
    assert respike.evaluate(snn, (X, counts), batch_size=20, judge="error").metric == "R2"
    with pytest.raises(ValueError, match="are all the same"):
        respike.evaluate(snn, (X, torch.full((60,), 2.5)))
    with pytest.raises(ValueError, match="against_float32 counts decisions"):
        respike.evaluate(snn, (X, counts), judge="error", against_float32=True)


class Pair(nn.Module):
    """The same scores as a pair, or in a dict by themselves."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.net, self.both = net(outputs=3), both

    def forward(self, x: Tensor) -> Any:
        found = self.net(x)
        return (found, found * 2) if self.both else {"scores": found}


def test_one_output_in_a_dict_is_judged_and_two_are_refused() -> None:
    y = torch.arange(60) % 3
    plain = respike.evaluate(respike.from_torch(net(outputs=3), X, 3), (X, y), ann=net(outputs=3))
    wrapped = respike.evaluate(respike.from_torch(Pair(False).eval(), X, 3), (X, y), ann=Pair(False))
    assert wrapped.accuracy.tolist() == plain.accuracy.tolist()
    assert wrapped.agreement.tolist() == plain.agreement.tolist()  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="accuracy needs a network with one output"):
        respike.evaluate(respike.from_torch(Pair(True).eval(), X, 3), (X, y))


# Without labels: timesteps="auto", precision="auto", early exit


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
    halves = Halves(normal_form(model, (X[:4],)), [(X,)], Options(), Auto(judge="error"), torch.device("cpu"))
    trial = halves.judge(Options().neurons, 4)
    parts = [torch.cat([x for (x,) in half]) for half in halves.halves]
    found = torch.cat([respike.from_torch(model, [a], 4)(b) for a, b in (parts, parts[::-1])]).double()
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
        respike.ConversionError, match=r"relative error of 0.1 %.*or the logit of one class, give judge="
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


def test_early_exit_wants_decisions() -> None:
    with pytest.raises(respike.ConversionError, match="single output without a sigmoid may be any number"):
        respike.EarlyExit(respike.from_torch(net(), X, 4), X)
    with pytest.warns(ConversionWarning, match=r"100.0 % of the samples get the same one"):
        respike.EarlyExit(respike.from_torch(physical(), X, 4), X)
    respike.EarlyExit(respike.from_torch(net(nn.Sigmoid()), X, 4), X)


def test_a_channel_that_is_constant_is_measured_by_the_others() -> None:
    wanted = torch.tensor([[1.0, 1e6], [3.0, 1e6], [5.0, 1e6]])
    spread = Spread()
    for row in wanted.split(1):
        spread.add(row)
    found = wanted + torch.tensor([0.0, 2.0])
    assert float(spread.share(missed(found, wanted))) == pytest.approx((0 + 3 * 4 / 8) / 2)
    tally = Tally(Yardstick("error", 5))
    tally.add(found, wanted)
    assert tally.error == pytest.approx(0.75**0.5)


def test_a_large_mean_does_not_drown_a_small_variance() -> None:
    wanted = (1e6 + torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).double()
    spread = Spread()
    for part in wanted.split(7):
        spread.add(part)
    values = wanted.numpy()
    assert float(spread.share(torch.ones(1))) == pytest.approx(1 / ((values - values.mean()) ** 2).sum(), rel=1e-9)


def test_decisions() -> None:
    scores = torch.tensor([[0.0, 1.0, 0.5], [2.0, 1.0, 0.0]])
    for output, wanted in (
        (scores, [1, 0]),
        (scores[:, :1] - 1, [0, 1]),
        (scores[:, 0] - 1, [0, 1]),
        ((None, {"a": scores}), [1, 0]),
        (torch.tensor([4, 7]), [4, 7]),
    ):
        found = decision(output)
        assert found is not None
        assert found.tolist() == wanted
    assert decision((scores, scores)) is None
    assert decision(torch.tensor(1.0)) is None

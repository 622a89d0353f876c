"""What is judged by decisions, what by errors, and what not at all: against the same numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from judged import X, estimates, net, r2, share
from samples import one_in
from torch import Tensor, nn

import respike
from respike.evaluation import evaluate_exit


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


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("numbers", one_in(3, [torch.float32, torch.float64, torch.int64]))
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


@pytest.mark.slow
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

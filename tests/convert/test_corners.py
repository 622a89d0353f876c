"""Corners of calling, counting and evaluating that once went wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from held_back import all_calibrate
from samples import one_in
from torch import Tensor, nn
from zoo import Net

import respike

OPTIONS: dict[str, Any] = {"threshold": "max", "correction": "none"}


class TakesDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 16), nn.Linear(16, 2)

    def forward(self, d: dict[str, Tensor]) -> Tensor:
        return self.b(F.relu(self.a(d["u"] - 2 * d["v"])))


def test_dicts_go_by_key_and_wrong_structures_are_errors() -> None:
    model, u, v = TakesDict().eval(), torch.randn(40, 3), torch.randn(40, 3)
    snn = respike.from_torch(model, [({"u": u, "v": v},), ({"v": v, "u": u},)], 128, **OPTIONS)
    assert torch.equal(snn({"v": v, "u": u}), snn({"u": u, "v": v}))
    for wrong in ({"u": u}, {"u": u, "w": v}, (u, v), u):
        with pytest.raises(ValueError, match=r"network takes 1 argument \(d_u, d_v\), structured|must be a tensor"):
            snn(wrong)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor, scale: float) -> tuple[int, Tensor]:
        return x.shape[0], self.b(F.relu(scale * self.a(x)))


def test_a_traced_constant_must_stay_and_a_number_may_be_an_output() -> None:
    x = torch.randn(10, 3)
    snn = respike.from_torch(Scaled(), [(x, 2.0)], 6, **OPTIONS)
    assert snn(x, 2.0)[0] == 10
    assert snn.simulate(x, 2.0)[1].shape == (10, 6, 2)
    with pytest.raises(ValueError, match=r"traced with the constant 2\.0 and got 5\.0"):
        snn(x, 5.0)


@pytest.mark.parametrize("rows", [5, 31])
def test_a_batch_as_long_as_a_constant_is_still_a_batch(rows: int) -> None:
    model = Net(lambda s, x: (s.v.weight @ F.relu(s.a(x)).T).T, a=nn.Linear(3, 8), v=nn.Linear(8, rows))
    x = torch.randn(16, 3)
    snn = respike.from_torch(model, x, 4)
    assert snn.simulate(x).shape == (16, 4, rows)
    respike.evaluate(snn, (x, torch.zeros(16, dtype=torch.long)))


def test_clamp_between_tensors_runs() -> None:
    model = Net(lambda s, x: s.b(torch.clamp(s.a(x), s.low.bias, s.high.bias)), a=nn.Linear(3, 8), b=nn.Linear(8, 2))
    model.low, model.high = nn.Linear(1, 8), nn.Linear(1, 8)
    nn.init.constant_(model.low.bias, -0.2)
    nn.init.uniform_(model.high.bias, 0.1, 0.5)
    x = torch.randn(64, 3)
    snn = respike.from_torch(model, x, 256, **OPTIONS)
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=0.01, rtol=0)


def test_the_output_of_an_analog_operation_is_its_first_or_refused() -> None:
    def forward(s: Any, x: Tensor) -> Tensor:
        variance, mean = s.k(F.relu(s.a(x)))
        return s.b(F.relu(variance)) + s.b(mean)

    class Moments(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return torch.var_mean(x, 1, keepdim=True)

    model = Net(forward, a=nn.Linear(3, 8), b=nn.Linear(1, 2), k=Moments())
    with pytest.raises(respike.ConversionError, match="not the first result"):
        respike.from_torch(model, torch.randn(16, 3), analog=["k"])


def analog_between() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))


EVALUATED: dict[str, tuple[Any, tuple[int, ...], dict[str, Any]]] = {
    "analog behind spikes": (analog_between, (3,), {"analog": ["2"]}),
    "amax over space": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x)).amax((2, 3))), a=nn.Conv2d(1, 4, 3), b=nn.Linear(4, 2)), (1, 6, 6), {}),
    "max over channels": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x)).max(1, keepdim=True)[0].flatten(1)), a=nn.Conv2d(1, 4, 3), b=nn.Linear(16, 2)), (1, 6, 6), {}),
    "pool of features": (lambda: Net(lambda s, x: s.b(F.max_pool1d(F.relu(s.a(x)), 2)), a=nn.Linear(3, 8), b=nn.Linear(4, 2)), (3,), {}),
    "average of features": (lambda: Net(lambda s, x: s.b(F.avg_pool1d(F.relu(s.a(x)), 2)), a=nn.Linear(3, 8), b=nn.Linear(4, 2)), (3,), {}),
    "rows of all samples": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x.reshape(-1, 5))).reshape(-1, 4, 6).mean(1)), a=nn.Linear(5, 6), b=nn.Linear(6, 2)), (4, 5), {}),
    "sequence first": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x.transpose(0, 1)))).mean(0), a=nn.Linear(5, 6), b=nn.Linear(6, 2)), (4, 5), {}),
    "one number": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x)).squeeze(1).unsqueeze(1)), a=nn.Linear(3, 1), b=nn.Linear(1, 2)), (3,), {}),
    "mean of the batch": (lambda: Net(lambda s, x: s.b(F.relu(s.a(x)) + F.relu(s.a(x.mean(0)))), a=nn.Linear(3, 4), b=nn.Linear(4, 2)), (3,), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", one_in(3, EVALUATED))
def test_every_shape_of_layer_can_be_summed_up_and_evaluated(name: str) -> None:
    build, shape, options = EVALUATED[name]
    model, x = build().eval(), torch.rand(20, *shape)
    for parameter in model.parameters():
        parameter.data.abs_()  # every neuron fires
    snn = respike.from_torch(model, x, 7, **options)
    assert "None" not in snn.summary()
    result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=20)
    halves = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=10)
    assert result.synops[-1] <= result.ann_macs * 7
    if name != "mean of the batch":
        torch.testing.assert_close(torch.tensor(result.synops), torch.tensor(halves.synops))


def test_rows_of_all_samples_are_counted_like_rows_of_one() -> None:
    def count(forward: Any) -> tuple[float, float]:
        torch.manual_seed(0)
        model = Net(forward, a=nn.Linear(5, 6), b=nn.Linear(6, 2))
        x = torch.rand(20, 4, 5)
        snn = respike.from_torch(model, x, 7, threshold=respike.MSE(granularity="layer"))
        result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)))
        return result.spikes[-1], result.synops[-1]

    folded = count(lambda s, x: s.b(F.relu(s.a(x.reshape(-1, 5)))).reshape(-1, 4, 2).mean(1))
    plain = count(lambda s, x: s.b(F.relu(s.a(x))).mean(1))
    assert folded == pytest.approx(plain, rel=1e-3)
    assert plain[1] == pytest.approx(2 * plain[0])


def test_einsum_has_the_synapses_of_a_linear_layer() -> None:
    def counts(forward: Any) -> tuple[list[float], int, int]:
        torch.manual_seed(0)
        model = Net(forward, a=nn.Linear(3, 8), b=nn.Linear(8, 2, bias=False))
        found = respike.from_torch(model, torch.rand(20, 3), 4).fan_out
        return [float(f.sum()) for f in found.events.values()], found.once.macs, found.ann.macs

    by_einsum = counts(lambda s, x: torch.einsum("nc,kc->nk", F.relu(s.a(x)), s.b.weight))
    assert by_einsum == counts(lambda s, x: s.b(F.relu(s.a(x)))) == ([16.0], 24, 24 + 16)


def test_a_readout_may_be_read_by_the_head_and_by_a_layer() -> None:
    model = Net(
        lambda s, x: (lambda z: (z.softmax(1), s.c(F.relu(z))))(s.b(F.relu(s.a(x)))),
        a=nn.Linear(3, 8),
        b=nn.Linear(8, 4),
        c=nn.Linear(4, 2),
    )
    x = torch.randn(32, 3)
    snn = respike.from_torch(model, x, 128)
    with torch.no_grad():
        for found, wanted in zip(snn(x), model(x), strict=True):
            torch.testing.assert_close(found, wanted, atol=0.1, rtol=0)  # fmt: skip


def test_a_cap_behind_a_relu_is_one_layer_unless_the_relu_is_wanted_too() -> None:
    x = torch.randn(32, 3)
    one = Net(lambda s, x: s.b(torch.minimum(F.relu(s.a(x)), torch.tensor(0.4))), a=nn.Linear(3, 8), b=nn.Linear(8, 2))
    assert len(respike.from_torch(one, x, 2).neurons) == 1
    both = Net(
        lambda s, x: (lambda r: (r, s.b(r.clamp(max=0.1))))(F.relu(s.a(x))), a=nn.Linear(3, 8), b=nn.Linear(8, 2)
    )
    snn = respike.from_torch(both, all_calibrate(x), 256, **OPTIONS)
    with torch.no_grad():
        torch.testing.assert_close(snn(x)[0], both(x)[0], atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.zeros(20, 3), r"of shape \(20,\) as targets .*got the shape \(20, 3\)"),
        (torch.zeros(20, 2), "must be one-hot"),
    ],
)
def test_targets_of_another_shape_are_errors(targets: Tensor, message: str) -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(20, 3)
    snn = respike.from_torch(model, x, 2)
    with pytest.raises(ValueError, match=message):
        respike.evaluate(snn, (x, targets))
    with pytest.raises(ValueError, match="one score per sample"):
        respike.evaluate(snn, (x, targets), metric=lambda output, target: torch.ones(()))
    with pytest.raises(ValueError, match="timesteps must be"):
        respike.evaluate(snn, (x, targets), timesteps=-1)


def test_other_calls_that_cannot_work_say_so() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(20, 3)
    with pytest.raises(respike.ConversionError, match=r"pass the inputs alone, or \[\(inputs, labels\)\]"):
        respike.from_torch(model, (x, torch.zeros(20)))
    with pytest.raises(respike.ConversionError, match="timesteps must be"):
        respike.from_torch(model, x, 8.0)  # type: ignore[arg-type]
    with pytest.raises(respike.ConversionError, match="is a lazy module"):
        respike.from_torch(nn.Sequential(nn.LazyLinear(4), nn.ReLU()), x)
    snn = respike.from_torch(model, x, 4)
    with pytest.raises(ValueError, match="timesteps must be"):
        snn.simulate(x, timesteps=2.5)  # type: ignore[arg-type]
    assert torch.equal(snn(torch.ones(2, 3, dtype=torch.long)), snn(torch.ones(2, 3)))
    assert snn.double()(x).dtype == torch.float64

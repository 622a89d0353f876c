"""Spikes, synaptic operations and the work beside them against arithmetic by hand, and against brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn
from zoo import Net

import respike
from respike.convert.count.arithmetic_work import Work


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


def work(forward: Callable[..., Tensor], shape: tuple[int, ...], options: Any = None, **modules: nn.Module) -> Any:
    for module in modules.values():
        for parameter in module.parameters():
            nn.init.constant_(parameter, 0.5)
    return respike.from_torch(Net(forward, **modules), torch.rand(8, *shape), 2, **(options or {})).fan_out


def test_a_spike_that_meets_a_current_is_added_to_it_and_multiplied_with_it() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        a = F.relu(s.a(x))
        return s.c(s.b(a) + a)

    found = work(forward, (3,), a=nn.Linear(3, 4), b=nn.Linear(4, 4), c=nn.Linear(4, 5))
    (synops,), (direct,) = found.events.values(), found.direct.values()
    assert synops.tolist() == [[4, 4, 4, 4]]
    assert direct.tolist() == [[1, 1, 1, 1]]
    assert found.once == Work(macs=12, additions=5, multiplications=5, values=4)  # with 5 answers divided by T
    assert found.every_step == Work(macs=20, values=5)
    assert found.ann == Work(macs=12 + 16 + 20, additions=4 + 4, values=4 + 4 + 5)


def test_a_current_that_is_read_twice_is_added_where_it_does_not_end() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        y = s.b(F.relu(s.a(x)))  # no neurons: 4 currents, which c multiplies and the sum adds
        return s.d(F.relu(s.c(y) + y))

    layers = {"a": nn.Linear(3, 4), "b": nn.Linear(4, 4), "c": nn.Linear(4, 4), "d": nn.Linear(4, 2)}
    found = work(forward, (3,), **layers)
    assert found.every_step == Work(macs=16, additions=4, values=4)


def test_what_is_interpolated_is_weighted_in_every_step() -> None:
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    layers = {"a": nn.Conv2d(1, 1, 1), "b": nn.Conv2d(1, 1, 1), "up": up}
    found = work(lambda s, x: F.relu(s.up(s.b(F.relu(s.a(x))))).flatten(1), (1, 4, 4), **layers)
    # One axis: 4 values become 8; the outer two of them are copies, all others are between two.
    ways = (2 + 6 * 2) ** 2
    assert found.every_step == Work(additions=ways, multiplications=ways)
    assert found.ann == Work(macs=16 + 16, additions=16 + 64 + ways - 64, multiplications=ways, values=32)


def test_what_is_kept_analog_is_priced_in_every_step() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        return s.b(F.gelu(s.c(F.relu(s.a(x)))))

    layers = {"a": nn.Linear(3, 4), "b": nn.Linear(6, 2), "c": nn.Linear(4, 6)}
    found = work(forward, (3,), {"analog": ["gelu"]}, **layers)
    # In each step 6 means, 6 curves, 6 times t, and 6 differences; then 12 synapses with 2 sums.
    assert found.every_step == Work(macs=12, additions=6, multiplications=3 * 6, values=2)
    assert found.ann == Work(macs=12 + 24 + 12, additions=4, multiplications=6, values=4 + 6 + 2)


def test_a_product_kept_analog_counts_its_multiply_accumulates() -> None:
    def forward(s: nn.Module, x: Tensor) -> Tensor:
        y = F.relu(s.a(x))
        return s.b((y @ y.transpose(1, 2)).flatten(1))

    found = work(forward, (3, 5), {"analog": ["matmul"]}, a=nn.Linear(5, 4), b=nn.Linear(9, 2))
    assert found.ann.macs == 3 * 5 * 4 + 3 * 4 * 3 + 18
    assert found.every_step.macs == 3 * 4 * 3 + 18


class Blocks(nn.Module):
    """Stride, padding, dilation, groups, a residual, a pool and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)
        self.c = nn.Conv2d(6, 6, 3, padding=1)
        self.d = nn.Linear(6 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.b(F.relu(self.a(x))))
        y = F.relu(self.c(y) + y)
        return self.d(F.max_pool2d(y, 2, ceil_mode=True).flatten(1))


def patches(x: Tensor, conv: nn.Conv2d) -> float:
    """All the products of a convolution whose weights are 1: what its windows see, for each output channel."""
    seen = F.unfold(x.double(), conv.kernel_size, conv.dilation, conv.padding, conv.stride).sum()
    return float(seen) * conv.out_channels / conv.groups


@pytest.mark.parametrize(
    "options", one_in(2, [{}, {"max_spikes": 3}, {"neuron": "signed"}, {"neuron": "multi_threshold"}])
)
def test_all_synops_are_those_of_unfolding_every_step(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, x = Blocks().eval(), torch.rand(20, 2, 7, 7) - 0.2
    snn = respike.from_torch(model, x, 5, **options)
    result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=6)
    told: list[Tensor] = []
    (block,) = snn.blocks([x], recorder=lambda node, events, values: told.append(events), length=5)
    assert len(block[0]) == 5
    first, second, third, pooled = (events.cumsum(0) for events in told)
    for t in range(5):
        synops = [patches(first[t], model.b), patches(second[t], model.c), 0.0, float(pooled[t].sum()) * 3]
        np.testing.assert_allclose([layer.synops[t] * 20 for layer in result.layers], synops, rtol=1e-12)
        # The residual adds each spike once; each spike is added to a sum, and compared in its one window.
        direct = [0.0, float(second[t].sum()), 2 * float(third[t].sum()), 0.0]
        np.testing.assert_allclose([layer.direct[t] * 20 for layer in result.layers], direct, rtol=1e-12)


def test_needed_macs_are_those_of_unfolding_what_is_not_zero() -> None:
    torch.manual_seed(0)
    model, x = Blocks().eval(), (torch.rand(20, 2, 7, 7) - 0.5).relu()
    snn = respike.from_torch(model, x, 2)
    result = respike.evaluate(snn, (x, torch.zeros(20, dtype=torch.long)), ann=model, batch_size=6)
    read: dict[str, Tensor] = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda module, args, out, name=name: read.update({name: args[0] != 0}))
    with torch.no_grad():
        model(x)
    first = patches(read["a"], model.a)
    later = patches(read["b"], model.b) + patches(read["c"], model.c) + float(read["d"].sum()) * 3
    assert result.ann_needed_macs == pytest.approx((first + later) / 20, rel=1e-12)
    assert result.input_macs == pytest.approx(first / 20, rel=1e-12)
    assert result.input_macs < result.input_work.macs
    assert result.ann_needed_macs < 0.8 * result.ann_macs


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv1d(2, 4, 3), nn.ReLU(), nn.ConvTranspose1d(4, 6, 3, 2, 1, groups=2), nn.Flatten()],
        lambda: [nn.Flatten(0, 1), nn.Linear(9, 4, bias=False), nn.ReLU(), nn.Unflatten(0, (-1, 2)), nn.Flatten()],
        lambda: [nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 5), nn.Flatten()],
    ],
)
def test_all_products_of_an_ann_are_seen(layers: Callable[[], list[nn.Module]]) -> None:
    """With nothing zero the needed multiply-accumulates are all that the graph has."""
    torch.manual_seed(0)
    model, x = nn.Sequential(*layers()), torch.rand(6, 2, 9) + 0.1
    for parameter in model.parameters():
        parameter.data.abs_()
    snn = respike.from_torch(model, x, 2)
    result = respike.evaluate(snn, (x, torch.zeros(6, dtype=torch.long)), ann=model)
    assert result.ann_needed_macs == result.ann_macs > 0


def test_an_ann_with_other_products_is_not_counted() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(6, 9)
    wider = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2))
    data = x, torch.zeros(6, dtype=torch.long)
    assert respike.evaluate(respike.from_torch(model, x, 2), data, ann=wider).ann_needed_macs is None

"""What is added, multiplied and weighted beside synapses, against arithmetic by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import Net

import respike
from respike.convert.count.arithmetic_work import Work


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

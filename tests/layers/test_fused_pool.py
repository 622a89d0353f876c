"""Neurons and the max-pool behind them in one pass, against one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kernel_cases import LAYOUTS, RULES, per_channel, random, start
from samples import one_in
from torch import Tensor

from respike.layers import kernels
from respike.layers.kernels import Drive, Rule, Send, cpu, eager
from respike.layers.kernels.cpu.fused import QUARTERS

STEPS, SHAPE = 9, (9, 3, 5, 8, 6)
FORMS = {
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.bfloat16, torch.bfloat16),
    "int8": (torch.float32, torch.int8),
}


def pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


def one_after_the_other(rule: Rule, drive: Drive, theta: Tensor, state: Any, send: Send, sums: Any) -> Any:
    sent, state = eager.scan(rule, drive, theta, state, send)
    increments, sums = eager.pooled_increments(sent, pool, sums, None)
    return increments, state, sums


def sent_as(kind: torch.dtype, rule: Rule, theta: Tensor) -> Send:
    return Send(theta if kind == torch.float32 else 1.0 / rule.finest, kind)


def assert_equal(found: Any, expected: Any) -> None:
    assert found[0].dtype == expected[0].dtype
    for a, b in zip([found[0], *found[1], *found[2]], [expected[0], *expected[1], *expected[2]], strict=True):
        assert torch.equal(a, b)


# How numbers are read and written is the same function for every neuron: each form with one that sends whole spikes of
# one sign, of both signs, and parts of spikes.
WRITTEN = ["burst", "signed leaky", "four levels"]
CASES = [(name, form) for name in RULES for form in FORMS if form == "float32" or name in WRITTEN]


@pytest.mark.parametrize(("name", "form"), one_in(3, CASES))
def test_one_pass_gives_the_same_bits(name: str, form: str) -> None:
    rule, theta = RULES[name], per_channel(SHAPE[2])
    given, kind = FORMS[form]
    values = LAYOUTS["channels last"](random(*SHAPE, dtype=given))
    drive = Drive(values, STEPS, scale=per_channel(SHAPE[2], 2), bias=per_channel(SHAPE[2], 3) / 9)
    send = sent_as(kind, rule, theta)
    found = cpu.pooled_scan(rule, drive, theta, start(rule, theta), send, None, QUARTERS)
    expected = one_after_the_other(rule, drive, theta, start(rule, theta), send, None)
    assert 0 < expected[0].count_nonzero() < expected[0].numel()
    assert found is not None
    assert_equal(found, expected)
    again = cpu.pooled_scan(rule, drive, theta, found[1], send, found[2], QUARTERS)
    assert_equal(again, one_after_the_other(rule, drive, theta, expected[1], send, expected[2]))


def test_a_constant_current_is_read_again_in_every_step() -> None:
    theta = per_channel(SHAPE[2])
    values = LAYOUTS["channels last"](random(1, *SHAPE[1:])) / 4
    drive = Drive(values, STEPS)
    found = cpu.pooled_scan(Rule(), drive, theta, (theta / 2,), Send(theta), None, QUARTERS)
    assert_equal(found, one_after_the_other(Rule(), drive, theta, (theta / 2,), Send(theta), None))


OTHERS: dict[str, Callable[[Tensor], tuple[Tensor, Any]]] = {
    "other windows": lambda x: (LAYOUTS["channels last"](x), ((3, 3), (2, 2), (1, 1), (1, 1))),
    "an odd number of rows": lambda x: (LAYOUTS["channels last"](x)[..., :7, :], QUARTERS),
    "channels first": lambda x: (x, QUARTERS),
    "unknown windows": lambda x: (LAYOUTS["channels last"](x), None),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_compiled_is_done_one_after_the_other(name: str) -> None:
    values, geometry = OTHERS[name](random(*SHAPE))
    kernel, stride, padding, _ = geometry or QUARTERS

    def windows(x: Tensor) -> Tensor:
        return F.max_pool2d(x, kernel, stride, padding)

    theta = per_channel(SHAPE[2])
    arguments = Rule(), Drive(values, STEPS), theta, (theta / 2,), Send(theta)
    assert cpu.pooled_scan(*arguments, None, geometry) is None
    found = kernels.pooled_scan(*arguments, windows, None, geometry)
    sent, state = eager.scan(*arguments)
    increments, sums = eager.pooled_increments(sent, windows, None, None)
    assert_equal(found, (increments, state, sums))

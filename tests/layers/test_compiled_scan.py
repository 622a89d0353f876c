"""The compiled scans give the numbers of the eager one, bit for bit."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from kernel_cases import LAYOUTS, RULES, assert_same_scan, per_channel, random, start, to
from samples import one_in

from respike.layers.kernels import Drive, Rule, Send, eager

STEPS = 9
SHAPE = (STEPS, 2, 5, 7, 3)  # no multiple of a vector register
FLOAT, BF16, INT8 = torch.float32, torch.bfloat16, torch.int8
Compiled = tuple[ModuleType, str]

every_rule = pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, id=name, marks=[pytest.mark.slow] if k % 3 else [])
        for k, (name, rule) in enumerate(RULES.items())
    ],
)


@every_rule
def test_every_rule(compiled: Compiled, rule: Rule) -> None:
    """With scales whose products with numbers round, a bias, and in two halves of time."""
    theta = per_channel(5)
    drive = Drive(random(*SHAPE), STEPS, bias=per_channel(5, seed=2) - 0.8)
    whole, last = assert_same_scan(compiled, rule, drive, theta, Send(theta))
    early = Drive(drive.values[:4], 4, bias=drive.bias)
    late = Drive(drive.values[4:], STEPS - 4, bias=drive.bias)
    first, carried = assert_same_scan(compiled, rule, early, theta, Send(theta))
    state = tuple(s.cpu() for s in carried)
    second, left = assert_same_scan(compiled, rule, late, theta, Send(theta), state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert all(torch.equal(a, b) for a, b in zip(left, last, strict=True))
    assert all(torch.equal(a.cpu(), b) for a, b in zip(carried, state, strict=True))


@every_rule
def test_a_constant_current(compiled: Compiled, rule: Rule) -> None:
    theta = per_channel(5)
    drive = Drive(random(1, *SHAPE[1:]), STEPS, bias=theta / 7)
    found, _ = assert_same_scan(compiled, rule, drive, theta, Send(theta))
    assert found.shape == SHAPE


TYPES = [
    (values, extra, [FLOAT, BF16, INT8][(i + j) % 3])
    for i, values in enumerate([FLOAT, BF16, INT8])
    for j, extra in enumerate([None, BF16, INT8])
]
"""Each pair of types in two of the three places, once: they are read and written apart from each other."""


@pytest.mark.parametrize(("values", "extra", "sent"), one_in(3, TYPES), ids=str)
def test_every_type(compiled: Compiled, values: torch.dtype, extra: torch.dtype | None, sent: torch.dtype) -> None:
    """Sent as bfloat16 or int8, products are such as these hold."""
    scale = {FLOAT: per_channel(5), BF16: (per_channel(5) * 8).round() / 8, INT8: 2.0}[sent]
    drive = Drive(random(*SHAPE, dtype=values), STEPS, scale=per_channel(5, seed=2))
    if extra is not None:
        drive = Drive(
            drive.values, STEPS, drive.scale, random(*SHAPE, seed=3, dtype=extra), per_channel(5, seed=4) - 0.5
        )
    assert_same_scan(compiled, Rule(2, signed=True), drive, per_channel(5), Send(scale, sent))


@pytest.mark.parametrize("extra_scaled", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_currents_in_parts(compiled: Compiled, scaled: bool, extra_scaled: bool) -> None:
    scale, extra_scale = (per_channel(5, seed) if wanted else None for seed, wanted in ((2, scaled), (3, extra_scaled)))
    drive = Drive(random(*SHAPE), STEPS, scale, random(*SHAPE, seed=4), extra_scale, bias=torch.tensor(-0.3))
    assert_same_scan(compiled, Rule(), drive, per_channel(5))


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("extra", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(compiled: Compiled, layout: str, extra: str, steps: int) -> None:
    """Values and extra in an order of their own each, states in that of their axes."""
    theta, shape = per_channel(5), (steps, *SHAPE[1:])
    values, more = LAYOUTS[layout](random(*shape)), LAYOUTS[extra](random(*shape, seed=3))
    drive = Drive(values, STEPS, per_channel(5, seed=2), more, bias=theta / 7)
    state = (random(*SHAPE[1:], seed=5), torch.full(SHAPE[1:], 2.0))
    found, left = assert_same_scan(compiled, Rule(2, signed=True), drive, theta, Send(theta), state)
    if layout == "channels last":
        assert found[0].is_contiguous(memory_format=torch.channels_last)
        assert left[0].is_contiguous(memory_format=torch.channels_last)
    elif layout != "height and width swapped":
        assert found.is_contiguous() and left[0].is_contiguous()


@pytest.mark.parametrize("neurons", one_in(3, [17, 1, 2, 1025, 15, 16, 2100, 1023, 1024]))
def test_tiles_and_what_is_left_of_them(compiled: Compiled, neurons: int) -> None:
    """Tiles have 1024 neurons; on a GPU they go on in the next sample."""
    theta = random(neurons, seed=1).abs() + 0.1
    assert_same_scan(compiled, Rule(), Drive(random(STEPS, 3, neurons), STEPS), theta)


def test_samples_of_one_neuron_without_an_axis_for_it(compiled: Compiled) -> None:
    assert_same_scan(compiled, Rule(3), Drive(random(STEPS, 1500), STEPS), torch.tensor(0.73))


@pytest.mark.parametrize("threshold", [torch.tensor([0.7]), per_channel(5)[None]], ids=["(1,)", "(1, C, 1, 1)"])
def test_thresholds_of_other_shapes(compiled: Compiled, threshold: torch.Tensor) -> None:
    assert_same_scan(compiled, Rule(), Drive(random(*SHAPE), STEPS), threshold)


@pytest.mark.parametrize("shape", [(0, 2, 5, 7, 3), (STEPS, 0, 5, 7, 3), (STEPS, 2, 5, 0, 3)])
@pytest.mark.parametrize("rule", ["binary", "signed"])
def test_no_time_no_samples_no_neurons(compiled: Compiled, rule: str, shape: tuple[int, ...]) -> None:
    drive = Drive(torch.zeros(shape), shape[0])
    found, left = assert_same_scan(compiled, RULES[rule], drive, per_channel(5), fires=False)
    assert found.shape == shape
    assert all(state.shape == shape[1:] for state in left)


@pytest.mark.parametrize("rule", ["binary", "burst", "signed burst", "four levels"])
def test_potentials_right_at_a_spike_more(compiled: Compiled, rule: str) -> None:
    """Multiples of the smallest spike and their neighbours, where a quotient rounded otherwise gives another count."""
    theta = random(211, seed=1).abs() + 0.1
    at = torch.arange(-9, 20).unsqueeze(1) * (theta * RULES[rule].finest)
    around = torch.cat([at, *(at.nextafter(torch.tensor(end)) for end in (-9.0, 99.0))]).unsqueeze(0)
    state = (torch.zeros(()), torch.tensor(3.0))[: 1 + RULES[rule].counts]
    assert_same_scan(compiled, RULES[rule], Drive(around, 3), theta, state=state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_other_types_are_left_to_the_eager_scan(compiled: Compiled, dtype: torch.dtype) -> None:
    values = random(*SHAPE).to(dtype)
    found, _ = assert_same_scan(compiled, Rule(), Drive(values, STEPS), per_channel(5))
    assert found.dtype == (dtype if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("rule", ["binary", "signed"])
def test_nothing_given_is_changed(compiled: Compiled, rule: str) -> None:
    module, device = compiled
    drive = to(device, Drive(random(*SHAPE), STEPS, extra=random(*SHAPE, seed=1)))
    theta = per_channel(5).to(device)
    state = tuple(s.to(device).expand(SHAPE[1:]).contiguous() for s in start(RULES[rule], theta.cpu()))
    given = [drive.values, drive.extra, theta, *state]
    copies = [x.clone() for x in given]
    module.scan(RULES[rule], drive, theta, state, Send())
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


@pytest.mark.parametrize("rule", ["leaky", "signed"])
def test_in_inference_mode(compiled: Compiled, rule: str) -> None:
    """Where tensors know less of themselves, those made there and those made before."""
    theta, drive = per_channel(5), Drive(random(*SHAPE), STEPS)
    with torch.inference_mode():
        assert_same_scan(compiled, RULES[rule], drive, theta, Send(theta))
        assert_same_scan(compiled, RULES[rule], Drive(drive.values * 0.9, STEPS), theta * 1.1, Send(theta * 1.1))


def test_a_threshold_that_changes_in_place(compiled: Compiled) -> None:
    module, device = compiled
    theta, drive = per_channel(5).to(device), to(device, Drive(random(*SHAPE), STEPS))
    state = (torch.zeros((), device=device),)
    for _ in range(2):
        found, _ = module.scan(Rule(3), drive, theta, state, Send())
        expected, _ = eager.scan(Rule(3), drive, theta, state, Send())
        assert torch.equal(found, expected)
        theta *= 2

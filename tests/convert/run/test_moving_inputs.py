"""Inputs that differ in every step: ``(N, T, ...)``, a frame for each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from exported import CODES, converted, digits
from frame_networks import small
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in, quick_are
from torch import Tensor
from torch.utils import _pytree as pytree

import respike
from respike.convert import ConversionError, SpikingNetwork
from respike.convert.run.moving_inputs import over_time
from respike.layers import encoders

SCHEDULES = ["synchronous", respike.Pipelined(1), respike.Pipelined(2)]
STEPS = 5


def spikes(snn: SpikingNetwork, *x: Tensor) -> dict[str, Tensor]:
    """What each layer sends, run by run or block by block."""
    seen: dict[str, list[Tensor]] = {}
    given = snn.graph.flatten(x)
    for _ in snn.blocks(given, timesteps=STEPS, recorder=lambda n, e, sent: seen.setdefault(n.name, []).append(sent)):
        pass
    return {name: torch.cat(sent) for name, sent in seen.items()}


def case_of(name: str, steps: int = STEPS, **options: Any) -> tuple[SpikingNetwork, tuple[Tensor, ...]]:
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    return converted(case.build().eval(), *x, steps=steps, **zoo.setting(name, {**options, **case.extra})), x


def moving(snn: SpikingNetwork, x: tuple[Tensor, ...], alike: bool = True) -> tuple[SpikingNetwork, list[Tensor]]:
    """The network for inputs that move, and frames: all alike, or each another."""
    made = snn.with_time()
    frames = over_time(snn.graph, list(x), STEPS)
    scale = torch.rand(len(x[0]), STEPS, generator=torch.Generator().manual_seed(1)) * 2
    if not alike:
        frames = [f * scale.reshape(*scale.shape, *[1] * (f.dim() - 2)) for f in frames]
    return made, [f if n in made.graph.moving else v for n, f, v in zip(snn.graph.inputs, frames, x, strict=True)]


PRODUCTS = ["masked_by_the_input"]
PRODUCTS += ["index_from_the_input"]
"""Networks of the zoo that multiply spikes by what is computed from the input, or choose among them by it."""
MOVE = [name for name in zoo.CONVERTS if name not in PRODUCTS]
APART = [name for name in MOVE if name not in (*zoo.MEET, "layer_norm_of_the_input")]


@pytest.mark.parametrize("name", one_in(6, MOVE))
@pytest.mark.parametrize("schedule", quick_are(SCHEDULES[:2], SCHEDULES))
@pytest.mark.parametrize("code", quick_are(["binary", "signed"], CODES))
def test_equal_frames_are_a_constant_input(name: str, schedule: Any, code: str) -> None:
    """Bit for bit the same spikes of every layer."""
    snn, x = case_of(name, schedule=schedule, **CODES[code])
    made, frames = moving(snn, x)
    wanted, found = spikes(snn, *x), spikes(made, *frames)
    for layer in snn.neurons:
        assert torch.equal(found[layer], wanted[layer]), layer
    assert made.latency == snn.latency


@pytest.mark.parametrize("name", quick_are(["mnist_cnn"], respike.models.REGISTRY))
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_equal_frames_are_a_constant_input_of_trained_networks(name: str, precision: Any, schedule: Any) -> None:
    x = digits(name, 20)
    snn = converted(respike.models.load(name), x, steps=STEPS, schedule=schedule)
    snn.precision = precision
    made, frames = moving(snn, (x,))
    wanted, found = spikes(snn, x), spikes(made, *frames)
    assert {n for n, sent in wanted.items() if not torch.equal(sent, found[n])} == set()


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_frames_and_spikes_are_refused(name: str) -> None:
    snn, _ = case_of(name)
    with pytest.raises(ConversionError, match=r"cannot become spiking:\n"):
        snn.with_time()


@pytest.mark.parametrize("name", one_in(4, APART))
@pytest.mark.parametrize("code", quick_are(["binary", "multi-threshold"], CODES))
def test_it_is_the_module_of_layers_stepped_through_the_frames(name: str, code: str) -> None:
    """``to_module`` is torch's layers and ``respike.layers`` neurons, step after step."""
    snn, x = case_of(name, **CODES[code])
    made, frames = moving(snn, x, alike=False)
    with torch.no_grad():
        wanted = pytree.tree_leaves(made.to_module()(*over_time(made.graph, frames, STEPS)))
    for a, b in zip(wanted, pytree.tree_leaves(made.simulate(*frames)), strict=True):
        if isinstance(a, Tensor):
            torch.testing.assert_close(b, a, rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", one_in(5, range(20)))
@pytest.mark.parametrize("code", ["binary", "bursts", "signed"])
def test_random_networks_are_their_modules(seed: int, code: str) -> None:
    """Where every sum is exact, bit for bit."""
    net = RandomNet(seed).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, steps=4, correction="none", **CODES[code])
    exact(snn)
    made = snn.with_time()
    frames = [torch.stack([v, v.roll(1, 0), -v, v.roll(2, 0)], 1) if v.dim() > 1 else v for v in x]
    with torch.no_grad():
        wanted = pytree.tree_leaves(made.to_module()(*over_time(made.graph, frames, 4)))
    for a, b in zip(wanted, pytree.tree_leaves(made.simulate(*frames)), strict=True):
        if isinstance(a, Tensor):
            assert torch.equal(b[:, [0, 1, 3]], a[:, [0, 1, 3]])


def test_a_call_is_the_last_step_of_a_run() -> None:
    _, snn, frames = small()
    whole = snn.simulate(frames)
    assert torch.equal(snn(frames), whole[:, -1])
    assert torch.equal(snn.simulate(frames, timesteps=4), whole[:, :4])


@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_little_memory_and_parts_of_a_batch_change_nothing(schedule: Any) -> None:
    _, snn, frames = small(schedule=schedule)
    whole = snn.simulate(frames)
    snn.memory_budget = 40_000
    for parts in (snn.simulate(frames), torch.cat([snn.simulate(part) for part in frames.split(7)])):
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)  # convolutions round by how many images they get


@pytest.mark.parametrize("front", ["frames", "encoded"])
@pytest.mark.parametrize(("encoder", "slope"), [("poisson", -0.5), ("error_diffusion", -1.0)])
def test_the_error_of_encoded_inputs_falls_as_that_of_the_encoder(encoder: Any, slope: float, front: str) -> None:
    """As 1/√T or as 1/T, from 16 to 1,024 steps: thresholds are high enough that nothing is clipped."""
    model, images = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:256]
    snn, x = converted(model, images, steps=16, correction="none").with_time(), images[:32]
    for layer in snn.layers().values():
        layer.threshold = layer.threshold * 1.5
    steps, errors = torch.tensor([2.0**k for k in range(4, 11)]), []
    encoded = snn.with_time(False).encoded(respike.Encoding(encoder, scale=1.0))
    with torch.no_grad():
        wanted = model(x)
    for t in steps.int().tolist():
        encoded.timesteps = t
        found = encoded(x) if front == "encoded" else snn(getattr(encoders, encoder)(x, t))
        errors.append(float((found - wanted).norm() / wanted.norm()))
    across, down = steps.log2() - steps.log2().mean(), torch.tensor(errors).log2()
    assert float((across * down).sum() / across.square().sum()) == pytest.approx(slope, abs=0.1)

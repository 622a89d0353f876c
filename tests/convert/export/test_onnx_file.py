"""``to_onnx`` writes what onnxruntime runs with the engine's outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import zoo
from exported import digits
from onnx_sessions import CODES, compare, converted, looped, small, stepped, wanted
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in, quick_are

import respike
from respike.convert.export.onnx_file.neuron_step import fired
from respike.layers.kernels import Rule, eager


@pytest.mark.parametrize("seed", one_in(6, range(6)))
@pytest.mark.parametrize("code", CODES)
def test_random_networks_give_the_same_numbers(seed: int, code: str, tmp_path: Path) -> None:
    """Where every sum is exact, bit for bit; a leak rounds."""
    net = RandomNet(seed + 100 * list(CODES).index(code)).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, correction="none", **CODES[code])
    exact(snn)
    engine = wanted(snn, x, 4)
    rounds = 1e-6 if code == "lif" else 0
    compare(looped(snn, tmp_path / "loop.onnx", x, [1, 2, 4]), [engine[t - 1] for t in (1, 2, 4)], rounds)
    some = [0, 1, 3]  # a mean over three steps is rounded before the last layer
    found = stepped(snn, tmp_path / "step.onnx", x, 4)
    compare([found[t] for t in some], [engine[t] for t in some], rounds)
    compare(found, engine, 1e-6)


@pytest.mark.parametrize("name", one_in(9, list(zoo.CONVERTS)[::3]))
def test_networks_of_the_zoo_give_the_same_outputs(name: str, tmp_path: Path) -> None:
    """But for rounding, as onnxruntime adds up in another order; a spike more or less would be far more.

    Samples may meet in them: one step has no time axis that could come between them.
    """
    torch.manual_seed(0)
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    snn = converted(case.build().eval(), *x, **case.extra)
    engine = wanted(snn, x, 4)
    compare(looped(snn, tmp_path / "loop.onnx", x, [1, 4]), [engine[0], engine[3]], 1e-5)
    compare(stepped(snn, tmp_path / "step.onnx", x, 4), engine, 1e-5)


@pytest.mark.parametrize(
    ("name", "code"),
    quick_are(
        [("mnist_mlp", "binary")],
        [*((name, "binary") for name in respike.models.REGISTRY), *(("mnist_mlp", c) for c in CODES if c != "binary")],
    ),
)
def test_reference_networks_send_the_same_spikes(name: str, code: str, tmp_path: Path) -> None:
    """With weights in whole numbers, which are added up alike in any order."""
    x = digits(name, 24)
    snn = converted(respike.models.load(name), x, steps=3, **CODES[code]).quantised(8)
    engine = wanted(snn, (x,), 3)
    compare(looped(snn, tmp_path / "loop.onnx", (x,), [1, 2, 3]), engine, 1e-6)
    compare(stepped(snn, tmp_path / "step.onnx", (x,), 3), engine, 1e-6)


@pytest.mark.parametrize("code", quick_are(["binary"], CODES))
def test_a_floor_holds_potentials(code: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 24), torch.nn.ReLU(), torch.nn.Linear(24, 3)
    )
    x = torch.randn(40, 6)
    free = converted(model, x, correction="none", **CODES[code])
    snn = free.with_floor(-0.25)
    engine = wanted(snn, (x,), 8)
    compare(looped(snn, tmp_path / "loop.onnx", (x,), [8]), engine[7:], 1e-5)
    compare(stepped(snn, tmp_path / "step.onnx", (x,), 8), engine, 1e-5)
    assert not torch.equal(free.simulate(x, timesteps=8), snn.simulate(x, timesteps=8))


@pytest.mark.parametrize(
    "rule",
    [
        Rule(),
        Rule(most=4),
        Rule(most=1, signed=True),
        Rule(most=4, signed=True),
        *(Rule(signed=True, levels=levels) for levels in (2, 3, 4, 7)),
        *(Rule(most=most, signed=True, two_sided=True) for most in (1, 4)),
        Rule(signed=True, levels=3, two_sided=True),
    ],
    ids=str,
)
def test_spikes_are_the_engines(rule: Rule) -> None:
    """At the threshold and at each of its parts, at infinity, and anywhere else."""
    grid = torch.arange(-600, 601) / 64
    v_mem = torch.cat(
        [grid, grid.nextafter(torch.tensor(torch.inf)), torch.randn(1000) * 3, torch.tensor([1e30, -1e30])]
    )
    theta = torch.tensor([[1.0], [0.37], [3.0]])
    for held in (0.0, 0.25, 1.0, 5.0):
        net = torch.full((3, len(v_mem)), held) if rule.counts else None
        at = v_mem * theta
        assert torch.equal(fired(rule, at, net, theta), eager.fire(rule, at, net, theta))


@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_size_is_free(batch: int, tmp_path: Path) -> None:
    snn, x = small()
    x = x[:batch]
    compare(looped(snn, tmp_path / "loop.onnx", (x,), [4]), wanted(snn, (x,), 4)[3:], 1e-6)
    compare(stepped(snn, tmp_path / "step.onnx", (x,), 4), wanted(snn, (x,), 4), 1e-6)

"""Memory of cores and which core holds which layer, beside what Sinabs says, and by hand."""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import respike
from respike.hardware import target_named
from respike.hardware.cores import Memory, fitting, memory_of, placed
from respike.hardware.layers import layout_of

GOLDEN = Path(__file__).parent / "golden_speck.json"
SCRIPT = Path(__file__).parents[2] / "scripts" / "chips" / "sinabs_golden.py"
NETWORKS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["networks"]


def model(golden: dict[str, Any]) -> nn.Module:
    """The same network with ReLUs, input neurons and average pools."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.ReLU()]
    shape = tuple(golden["input"])
    for outputs, kernel, stride, padding, pool in golden["layers"]:
        if kernel is None:
            layers += [nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], outputs), nn.ReLU()]
            shape = (outputs, 1, 1)
        else:
            layers += [nn.Conv2d(shape[0], outputs, kernel, stride, padding), nn.ReLU()]
            height, width = ((n + 2 * padding - kernel) // stride + 1 for n in shape[1:])
            shape = (outputs, height // pool, width // pool)
        layers += [nn.AvgPool2d(pool)] if pool > 1 else []
    return nn.Sequential(*layers).eval()


@pytest.mark.filterwarnings("ignore::respike.convert.errors.ConversionWarning")
@pytest.mark.parametrize("golden", NETWORKS, ids=[network["name"] for network in NETWORKS])
def test_memory_and_cores_are_those_that_sinabs_finds(golden: dict[str, Any]) -> None:
    x = torch.rand(12, *golden["input"])
    snn = respike.from_torch(model(golden), x, 1, correction="none", threshold=respike.Max(granularity="layer"))
    found = respike.check(snn, "speck")
    memory = [{"kernel": use.kernel, "neuron": use.neurons, "bias": use.biases} for use in found.cores]
    assert memory == golden["memory"]
    needed = [Memory(use.kernel, use.neurons, use.biases) for use in found.cores]
    assert [fitting(words, target_named("speck")) for words in needed] == golden["cores"]
    (cores,) = (rule for rule in found.rules if rule.name == "cores")
    assert cores.passed is golden["fits"]
    if golden["fits"]:
        given = [use.core for use in found.cores]
        assert len(set(given)) == len(given)
        assert all(core in fitting for core, fitting in zip(given, golden["cores"], strict=True))


def test_the_three_differ_in_why_they_fit_or_not() -> None:
    """One fits; one has a layer that no core holds; in one each fits a core, but not all at once."""
    verdicts = {network["name"]: (network["fits"], [] in network["cores"]) for network in NETWORKS}
    assert verdicts == {"small": (True, False), "too large a layer": (False, True), "no mapping": (False, False)}


@pytest.mark.slow
def test_sinabs_still_says_the_same() -> None:
    if importlib.util.find_spec("sinabs") is None:
        pytest.skip("Sinabs is not installed: pip install sinabs")
    done = subprocess.run([sys.executable, SCRIPT, GOLDEN, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("choices", "most"),
    [([[0, 1], [0]], 2), ([[0], [0]], 1), ([[0, 1], [0, 2], [0]], 3), ([[]], 0), ([], 0), ([[1, 0], [1], [0, 1]], 2)],
)
def test_a_layer_takes_a_core_from_one_that_finds_another(choices: Sequence[Sequence[int]], most: int) -> None:
    found = placed(choices)
    assert sum(core is not None for core in found) == most


def test_as_many_layers_as_possible_are_placed() -> None:
    """Against all ways to place them."""
    draw = random.Random(0)
    for _ in range(200):
        choices = [draw.sample(range(4), draw.randint(0, 3)) for _ in range(draw.randint(1, 4))]
        found = placed(choices)
        given = [core for core in found if core is not None]
        assert len(set(given)) == len(given)
        assert all(core is None or core in own for core, own in zip(found, choices, strict=True))
        best = max(
            sum(core in own for core, own in zip(order, choices, strict=True) if core is not None)
            for order in itertools.permutations([*range(4), *[None] * len(choices)], len(choices))
        )
        assert len(given) == best


def test_groups_are_counted_as_the_dense_kernel_that_a_core_holds() -> None:
    x = torch.rand(12, 1, 8, 8)
    made = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Flatten())
    snn = respike.from_torch(made, x, 1, correction="none").normalised()
    layer = layout_of(snn.held_graph()).layers[1]
    assert memory_of(layer.main, biased=True) == Memory(6 * 16 * 8, 6 * 4 * 4, 6)

"""Every rule: a network that passes it and one that does not, and that what it says to change helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from chip_networks import BREAKS, Branches, Case, fitting
from torch import nn

import respike
from respike.hardware import Rule
from respike.hardware.check import RULES

pytestmark = pytest.mark.filterwarnings("ignore::respike.convert.errors.ConversionWarning")


def rules(case: Case) -> dict[str, list[Rule]]:
    snn, x = case.network()
    found: dict[str, list[Rule]] = {}
    for rule in respike.check(snn, "speck", x).rules:
        found.setdefault(rule.name, []).append(rule)
    return found


def test_one_network_passes_every_rule() -> None:
    found = rules(Case(fitting, ""))
    assert found.keys() == BREAKS.keys()
    assert len(found) == len(RULES)
    assert [rule for name in found for rule in found[name] if rule.passed is not True] == []
    assert found["pools"][0].found == "2x2"  # so that it is there, and not only not wrong


@pytest.mark.parametrize("name", BREAKS)
def test_another_network_breaks_this_rule(name: str) -> None:
    found = rules(BREAKS[name])
    broken = [rule for rule in found[name] if rule.passed is False]
    assert broken, found[name]
    assert any(BREAKS[name].found in rule.found for rule in broken), broken
    assert all(rule.remedy and rule.limit for rule in broken)
    others = {key for key in found if any(rule.passed is False for rule in found[key])} - {name}
    # What comes with it, and nothing else.
    assert others <= ALSO.get(name, set())


ALSO = {
    "map sizes": {"kernels"},
    "weights": {"biases"},
    "thresholds": {"potentials"},
    "channels": {"bias memory", "kernel memory", "cores"},
    "bias memory": {"channels", "kernel memory", "cores"},
    "kernel memory": {"cores", "neuron memory", "map sizes"},
    "neuron memory": {"cores"},
}


class Along(nn.Module):
    """A linear layer along one of several axes, behind neurons for the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 5), nn.Linear(320, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x.relu()).relu()
        out: torch.Tensor = self.second(torch.cat([x, x], 1).flatten(1)[:, :320].repeat(1, 4)).relu()
        return out


class Shared(nn.Module):
    """One convolution before two layers of neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3), nn.Linear(108, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x.relu())
        x = x.relu() + (-x).relu()
        out: torch.Tensor = self.second(x.flatten(1)).relu()
        return out


class Again(nn.Module):
    """Neurons that get the sum of two spike trains."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(1, 3, 3), nn.Conv2d(1, 3, 3), nn.Linear(108, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.relu()
        x = (self.first(x).relu() + self.second(x).relu()).relu()
        out: torch.Tensor = self.third(x.flatten(1)).relu()
        return out


OPERATIONS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "two layers in a row": (
        lambda: fitting(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 4, 1))),
        "comes before another layer without neurons between",
    ),
    "average of currents": (
        lambda: nn.Sequential(
            nn.ReLU(), nn.Conv2d(1, 4, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)
        ),
        "averages currents",
    ),
    "even kernel": (lambda: fitting(nn.Conv2d(1, 4, 2, padding="same"), size=64), "pads by different numbers"),
    "along an axis": (Along, "is applied along one of several axes"),
    "shared": (Shared, "multiplies currents by factors that no weights take up"),
    "neurons of spikes": (Again, "get spikes without a convolution or linear layer"),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_that_have_no_place(name: str) -> None:
    build, words = OPERATIONS[name]
    found = rules(Case(build, ""))["operations"]
    assert any(words in rule.found for rule in found), found
    assert all(rule.passed is False and rule.remedy for rule in found)


def test_what_is_computed_from_the_input_is_no_events() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = fitting(begin=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.model((1 + x).log())
            return out

    snn, x = Case(Scaled, "").network()
    (rule,) = (rule for rule in respike.check(snn, "speck", x.round()).rules if rule.name == "input")
    assert (rule.passed, rule.found) == (False, "numbers that are computed from the input")


def test_a_floor_keeps_potentials_within_their_bits() -> None:
    snn, x = BREAKS["potentials"].network()
    assert {rule.name for rule in respike.check(snn, "speck", x).failed} == {"potentials"}
    assert respike.check(snn.with_floor(-1), "speck", x).passed


def test_two_layers_may_read_one() -> None:
    found = rules(Case(lambda: Branches(2), ""))
    assert [rule.passed for rule in found["fan-out"]] == [True, True]
    assert {rule.found for rule in found["fan-out"]} == {"read by 1", "read by 2"}


def test_events_may_come_as_numbers() -> None:
    snn, x = BREAKS["input"].network()
    for given, passed in ((x, False), (x.round(), True), (-x.round(), False), (None, None)):
        (rule,) = (rule for rule in respike.check(snn, "speck", given).rules if rule.name == "input")
        assert rule.passed is passed


def test_weights_that_have_a_scale_for_each_channel_do_not_pass() -> None:
    torch.manual_seed(0)
    model = fitting()
    conv: Any = model[1]
    with torch.no_grad():
        conv.weight[0] *= 20
    x = torch.rand(24, 1, 8, 8)
    snn = respike.from_torch(model, x, 2, correction="none", threshold="max")
    for neuron in snn.layers().values():
        neuron.threshold = torch.ones_like(neuron.threshold)
    of_channels = respike.check(snn.quantised(8), "speck", x)
    assert not of_channels.quantised
    assert "weights" in {rule.name for rule in of_channels.failed}
    assert respike.check(snn, "speck", x).quantised
    assert "weights" not in {rule.name for rule in respike.check(snn, "speck", x).failed}


def test_a_mean_over_a_whole_map_and_a_linear_layer_are_one_linear_layer() -> None:
    """What the rule about pools tells people to do computes the same, and then passes."""
    torch.manual_seed(0)
    head, whole = nn.Linear(4, 3), nn.Linear(4 * 36, 3)
    with torch.no_grad():
        whole.weight.copy_(head.weight.repeat_interleave(36, 1) / 36)
        whole.bias.copy_(head.bias)
    first = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU())
    models = (
        nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head),
        nn.Sequential(first, nn.Flatten(), whole),
    )
    x = torch.rand(30, 1, 8, 8)
    torch.testing.assert_close(models[0](x), models[1](x))
    failed = [
        {
            rule.name
            for rule in respike.check(respike.from_torch(nn.Sequential(model, nn.ReLU()), x, 4), "speck", x).failed
        }
        for model in models
    ]
    assert failed == [{"pools"}, set()]


def test_potentials_beyond_float32_fail() -> None:
    snn, x = BREAKS["input"].network()
    (rule, *_) = [
        rule for rule in respike.check(snn, "speck", x * 3e38).rules if rule.name == "potentials" and not rule.passed
    ]
    assert "inf" in rule.found or "nan" in rule.found

"""Every rule: a network that passes it and one that does not, and that what it says to change helps."""

from __future__ import annotations

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


def test_channels_that_hardly_fire_and_what_to_do_about_them() -> None:
    torch.manual_seed(0)
    model = fitting()
    conv: Any = model[1]
    with torch.no_grad():
        conv.weight[0] *= 1e-6
        conv.weight[0, 0, 0, 0] = 1e-3
        conv.bias[0] = -0.998e-3
    x = torch.rand(24, 1, 8, 8)
    found = {}
    granularity: Any
    for granularity in ("channel", "layer"):
        options: dict[str, Any] = {"correction": "none", "threshold": respike.Max(granularity=granularity)}
        (found[granularity],) = {
            (rule.passed, "granularity='layer'" in rule.remedy)
            for rule in respike.check(respike.from_torch(model, x, 2, **options), "speck", x).rules
            if rule.name == "weights" and rule.layer == "1 (Conv2d)"
        }
    assert found["layer"] == (True, False)
    assert found["channel"] == (False, True)

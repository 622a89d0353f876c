"""``to_module`` sends the engine's spikes, trains, and comes back."""

from __future__ import annotations

import copy

import pytest
import torch
import zoo
from exported import CODED, CODES, converted, digits
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import ConversionError, SpikingNetwork
from respike.layers import RateNeuron, reset_states


def over_time(x: Tensor, steps: int) -> Tensor:
    return x[:, None].expand(-1, steps, *x.shape[1:])


@torch.no_grad()
def compared(snn: SpikingNetwork, *x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each output of the network and of its module."""
    module = snn.to_module()
    found = module(*(over_time(value, snn.timesteps) for value in x))
    pairs = zip(pytree.tree_leaves(snn.simulate(*x)), pytree.tree_leaves(found), strict=True)
    return [(a, b) for a, b in pairs if isinstance(a, Tensor)]


@pytest.mark.parametrize(("name", "code"), CODED)
def test_reference_networks_send_the_same_spikes(name: str, code: str) -> None:
    """With weights in whole numbers, which are added up alike in any order."""
    x = digits(name, 24)
    snn = converted(respike.models.load(name), x, steps=3, **CODES[code]).quantised(8)
    spikes: dict[str, Tensor] = {}
    module = snn.to_module()
    for node, path in module.meta["respike"]["neurons"].items():
        layer = module.get_submodule(path)
        assert isinstance(layer, RateNeuron)
        layer.spikes.register_forward_hook(lambda m, given, sent, node=node: spikes.__setitem__(node, sent.detach()))
    with torch.no_grad():
        found = module(over_time(x, 3))
    seen: dict[str, list[Tensor]] = {}
    for _ in snn.blocks([x], recorder=lambda node, events, sent: seen.setdefault(node.name, []).append(sent)):
        pass
    for node, sent in seen.items():
        if node in spikes:
            theta = snn.layers()[node].threshold
            assert torch.equal(torch.cat(sent).transpose(0, 1), spikes[node] * theta), node
    assert spikes.keys() <= seen.keys()
    torch.testing.assert_close(found, snn.simulate(x))


@pytest.mark.parametrize("seed", one_in(5, range(40)))
@pytest.mark.parametrize("code", ["binary", "bursts", "signed"])
def test_random_networks_give_the_same_numbers(seed: int, code: str) -> None:
    net = RandomNet(seed).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, steps=4, correction="none", **CODES[code])
    exact(snn)
    for wanted, found in compared(snn, *x):
        assert torch.equal(found[:, [0, 1, 3]], wanted[:, [0, 1, 3]])
        torch.testing.assert_close(found, wanted)  # a mean over three steps is rounded before the last layer


@pytest.mark.parametrize("name", [name for name in zoo.CONVERTS if name not in zoo.MEET])
def test_networks_of_the_zoo_give_the_same_numbers(name: str) -> None:
    """But for rounding where an operation lays its values out otherwise; a spike more or less would be far more."""
    torch.manual_seed(0)
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    for wanted, found in compared(converted(case.build().eval(), *x, steps=4, **case.extra), *x):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", sorted(zoo.MEET))
def test_networks_in_which_samples_meet_are_refused(name: str) -> None:
    torch.manual_seed(0)
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    with pytest.raises(ConversionError, match="samples meet"):
        converted(case.build().eval(), *x, **case.extra, steps=5).to_module()


def small() -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )
    x = torch.rand(16, 1, 10, 10)
    return converted(model.eval(), x, steps=4), x


@pytest.mark.parametrize("code", CODES)
def test_what_a_module_has_learned_comes_back(code: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)).eval()
    x = torch.rand(32, 6)
    snn = converted(model, x, steps=4, **CODES[code])
    module = snn.to_module()
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    before = snn.simulate(x)
    for _ in range(3):
        optimizer.zero_grad()
        (module(over_time(x, 4))[:, -1] - 1).square().mean().backward()
        optimizer.step()
        reset_states(module)
    trained = snn.with_module(module)
    with torch.no_grad():
        after = module(over_time(x, 4))
    torch.testing.assert_close(trained.simulate(x), after, rtol=0, atol=1e-6)
    assert float((after[:, -1] - 1).square().mean()) < float((before[:, -1] - 1).square().mean())
    assert torch.equal(snn.simulate(x), before)  # the network itself is as it was
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name


def test_names_are_the_users_and_hooks_and_state_dict_work() -> None:
    snn, x = small()
    module = snn.to_module()
    assert {"0.weight", "1.spike_threshold", "1.bias", "1.start", "3.weight", "6.weight"} <= module.state_dict().keys()
    seen: list[Tensor] = []
    module.get_submodule("4").spikes.register_forward_hook(lambda m, given, sent: seen.append(sent))
    with torch.no_grad():
        module(over_time(x, 4))
    assert seen[0].shape == (16, 4, 6, 2, 2)
    other = small()[0].to_module()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(module.state_dict())
    reset_states(module)
    assert torch.equal(other(over_time(x, 4)), module(over_time(x, 4)))


def test_a_stream_goes_on_until_reset() -> None:
    snn, x = small()
    module = snn.to_module()
    with torch.no_grad():
        parts = [module(over_time(x, 2)), module(over_time(x, 2))]
    assert torch.equal(torch.cat(parts, 1), snn.simulate(x))


def test_copies_come_back_and_others_are_refused() -> None:
    snn, x = small()
    assert torch.equal(snn.with_module(copy.deepcopy(snn.to_module()))(x), snn(x))
    for wrong in (nn.Linear(2, 2), converted(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.rand(8, 3)).to_module()):
        with pytest.raises(ConversionError, match="to_module"):
            snn.with_module(wrong)
    for whole in (snn.normalised(), snn.quantised(8)):
        with pytest.raises(ConversionError, match="train the module of the network that this one was made from"):
            whole.with_module(whole.to_module())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("1.spike_threshold", -1.0, "1.spike_threshold has values that are not positive"),
        ("3.weight", float("nan"), "3.weight has values that are not finite"),
    ],
)
def test_what_is_no_network_does_not_come_back(name: str, value: float, said: str) -> None:
    snn, _ = small()
    module = snn.to_module()
    with torch.no_grad():
        module.get_parameter(name).fill_(value)
    with pytest.raises(ConversionError, match=said):
        snn.with_module(module)


def test_another_schedule_is_refused() -> None:
    snn, _ = small()
    snn.schedule = "layerwise"
    with pytest.raises(ConversionError, match="synchronous"):
        snn.to_module()


def test_a_layer_that_is_called_self() -> None:
    """Which is the module itself in the code that torch.fx writes."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.self, self.last = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.last(self.self(x).relu())
            return found

    torch.manual_seed(0)
    x = torch.rand(8, 4)
    for wanted, found in compared(converted(Named(), x), x):
        torch.testing.assert_close(found, wanted)


def test_an_input_without_an_axis_of_time_is_refused() -> None:
    x = torch.rand(10, 1, 6, 6)
    snn = respike.from_torch(nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 2)), x, 4)
    module = snn.to_module()
    with pytest.raises(AssertionError, match=r"must be \(batch, time, 1, 6, 6\)"):
        module(x)
    assert module(x[:, None].expand(-1, 4, -1, -1, -1)).shape == (10, 4, 2)

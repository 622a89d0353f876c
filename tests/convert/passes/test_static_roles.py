"""What is a function of the input alone, what is a layer, and how both are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from static_networks import Net, images, standardised
from torch import Tensor, nn

import respike
from respike.convert.errors import ConversionError
from respike.convert.graph.rules import Role


def refused(first: Callable[[Tensor], Tensor], **options: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        respike.from_torch(Net(first), images(), 4, **options)
    return str(caught.value)


def test_what_guards_a_function_of_the_input_belongs_to_it_and_what_is_a_layer_does_not() -> None:
    """The clamp in log(clamp(x)) is static; a ReLU behind weights is neurons, and a root of it one of rates."""
    snn = respike.from_torch(Net(lambda x: torch.log(x.clamp(min=0.01))), images(), 4)
    assert [n.role for n in snn.graph.nodes if n.op == "respike.relu"] == [Role.STATIC, Role.SPIKE]
    snn = respike.from_torch(Net(lambda x: x.clamp(min=0.01)), images(), 4)
    assert [n.role for n in snn.graph.nodes if n.op == "respike.relu"] == [Role.SPIKE, Role.SPIKE]
    weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    for curve in (torch.sqrt, torch.exp):
        snn = respike.from_torch(Net(lambda x, f=curve: f(F.hardtanh(F.conv2d(x, weight), 0.0, 2.0))), images(), 4)
        assert [n.role for n in snn.graph.nodes if n.op == "respike.relu"] == [Role.SPIKE] * 3
        assert [n.role for n in snn.graph.nodes if n.name == curve.__name__] == [Role.FUNCTION]


def test_spectrograms_to_decibels_are_static_whatever_stands_before_the_lower_bound() -> None:
    """A bank of filters has weights, and the lower bound behind it is still no layer: it keeps the logarithm finite."""
    weight = torch.rand(3, 3, 1, 1, generator=torch.Generator().manual_seed(0))

    def decibels(x: Tensor) -> Tensor:
        bands = torch.log10(F.conv2d(x * x, weight).clamp(min=1e-4))
        return torch.maximum(bands, bands.amax((1, 2, 3), keepdim=True) - 2)

    with torch.no_grad():
        values = decibels(images())
    snn, plain = respike.from_torch(Net(decibels), images(), 4), respike.from_torch(Net(), values, 4)
    assert len(snn.neurons) == len(plain.neurons) == 1
    torch.testing.assert_close(snn(images()), plain(values))


def test_names_of_what_is_static_or_linear() -> None:
    snn = respike.from_torch(Net(standardised), images(), 4, analog=["std", "div"])
    assert snn.as_dict()["analog"] == ["forward: std", "forward: div"]
    assert torch.equal(snn(images()), respike.from_torch(Net(standardised), images(), 4)(images()))
    assert "analog='mean' has no effect" in refused(standardised, analog=["mean"])


def test_statistics_of_the_batch_are_no_function_of_a_sample() -> None:
    assert "statistics of the batch" in refused(lambda x: F.batch_norm(x, None, None, training=True))


def test_outputs_that_are_static_are_what_the_ann_gives() -> None:
    class Beside(Net):
        def forward(self, x: Tensor) -> Any:
            return self.n(x), x.flatten(1).softmax(1), x.square().sum((1, 2, 3)), (x > 0.5).sum((2, 3))

    model, x = Beside(), images()
    snn = respike.from_torch(model, x, 4)
    for found, wanted in zip(snn(x)[1:], model(x)[1:], strict=True):
        torch.testing.assert_close(found, wanted)
        assert found.dtype == wanted.dtype


@pytest.mark.parametrize(
    "spell",
    [
        lambda i: i.clamp(1, 3),
        lambda i: i.clamp(min=0).clamp(max=3),
        lambda i: torch.minimum(i.relu(), torch.full_like(i, 3)),
        lambda i: (i - 1).abs() % 4,
    ],
)
def test_whole_numbers_that_are_bounded_stay_whole_numbers(spell: Callable[[Tensor], Tensor]) -> None:
    class Picks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 4), nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.relu(self.a(x)).gather(1, spell((4 * x[:, :2]).long())))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model, x = Picks().eval(), torch.rand(12, 6)
    snn = respike.from_torch(model, x, 64, threshold="max", correction="none")
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=0.05, rtol=0)

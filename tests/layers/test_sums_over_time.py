"""Sums, means and functions of them over time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from respike.errors import InputError
from respike.layers import OfSums, RunningMean, RunningSum, reset_states


def values(*shape: int) -> Tensor:
    """In eighths, so that sums are exact in any order."""
    return torch.randint(-8, 17, shape, generator=torch.Generator().manual_seed(0)) / 8


def test_sums_and_means() -> None:
    x = values(3, 10, 4)
    assert torch.equal(RunningSum()(x), x.cumsum(1))
    torch.testing.assert_close(RunningMean()(x), x.cumsum(1) / torch.arange(1, 11)[:, None])


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "max-pool": nn.MaxPool1d(2),
    "largest of all": lambda x: x.amax(-1),
    "larger of two": torch.maximum,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("of_means", [False, True])
def test_the_sum_of_what_is_sent_is_the_function_of_the_sums(name: str, of_means: bool) -> None:
    function = FUNCTIONS[name]
    inputs = [values(3, 8, 2, 6), values(3, 8, 2, 6).flip(0)][: 2 if name == "larger of two" else 1]
    sent = OfSums(function, len(inputs), of_means)(*inputs).cumsum(1)
    for t in range(8):
        total = function(*(x[:, : t + 1].sum(1) for x in inputs))  # for maxima, t·f(mean) is f(sum)
        torch.testing.assert_close(sent[:, t], total)


def test_any_function_of_means_has_its_value_as_mean() -> None:
    x = values(2, 9, 5)
    found = OfSums(torch.sigmoid, of_means=True)(x).mean(1)
    torch.testing.assert_close(found, x.mean(1).sigmoid())


@pytest.mark.parametrize("make", [RunningSum, RunningMean, lambda: OfSums(nn.MaxPool1d(2))])
def test_parts_give_what_the_whole_gives_and_reset_begins_anew(make: Callable[[], nn.Module]) -> None:
    layer, x = make(), values(3, 10, 2, 6)
    whole = layer(x)
    reset_states(layer)
    assert torch.equal(torch.cat([layer(part) for part in x.split(3, 1)], 1), whole)
    reset_states(layer)
    assert torch.equal(layer(x[:2]), whole[:2])  # of another batch size, too


def test_sums_of_another_batch_are_an_error() -> None:
    layer = OfSums(nn.MaxPool1d(2))
    layer(values(3, 2, 1, 4))
    with pytest.raises(InputError, match="reset_states"):
        layer(values(4, 2, 1, 4))


def test_a_function_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="inputs must be a whole number, 1 or more"):
        OfSums(torch.relu, inputs=0)


def test_gradients_go_through_time() -> None:
    x = values(2, 5, 1, 4).requires_grad_()
    OfSums(nn.MaxPool1d(2))(x).sum().backward()
    assert x.grad is not None
    expected = torch.zeros_like(x)
    with torch.no_grad():
        places = nn.functional.max_pool1d(x.sum(1), 2, return_indices=True)[1]
        expected.scatter_(3, places[:, None].expand(-1, 5, -1, -1), 1.0)
    assert torch.equal(x.grad, expected)  # the largest sum tells all of its steps

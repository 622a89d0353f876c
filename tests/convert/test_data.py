"""Calibration data in every form that people have: the same network, or one clear error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import respike

X = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(40)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(self.layer(x) + y[:, :1])


class Samples(Dataset[Any]):
    """What a function gives for 6 numbers."""

    def __init__(self, give: Any) -> None:
        self.give = give

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        return self.give(i)


class Indexed:
    """Pairs by their numbers, as data sets of other libraries have them, which are none of torch's."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i], 0


ARRAY = X.numpy()
SAME: dict[str, tuple[Any, Any]] = {
    "array": (ARRAY, X),
    "double array": (ARRAY.astype(np.float64), X),
    "array of the other byte order": (ARRAY.astype(">f4"), X),
    "array that is a view": (ARRAY[::-1], X.flip(0)),
    "data set of pairs": (TensorDataset(X, Y), X),
    "data set of arrays": (Samples(lambda i: ARRAY[i]), X[:6]),
    "data set of another library": (Indexed(X), X),
    "batches of arrays": ([ARRAY[:20], ARRAY[20:]], [X[:20], X[20:]]),
    "batches of pairs": ([(ARRAY[:20], Y[:20]), (X[20:], "no label")], [X[:20], X[20:]]),
    "dicts": ([{"x": ARRAY, "y": 0}], [X]),
    "loader": (DataLoader(TensorDataset(X, Y), batch_size=20), [X[:20], X[20:]]),
    "generator with an empty batch": ((x for x in (X[:0], X)), [X]),
}


@pytest.mark.parametrize("form", one_in(2, SAME))
def test_every_form_gives_the_same_network(form: str) -> None:
    given, plain = SAME[form]
    found, wanted = (respike.from_torch(net(), data, 3) for data in (given, plain))
    assert found.as_dict() == wanted.as_dict()
    assert torch.equal(found(X), wanted(X))


WRONG: dict[str, tuple[nn.Module, Any, str]] = {
    "nothing": (net(), None, "must be a tensor, a Dataset or an iterable of batches, got NoneType"),
    "a name": (net(), "mnist", "got str"),
    "a number": (net(), np.array(3.0), r"must be \(N, ...\), got a single number"),
    "a dict": (net(), {"x": X}, "got dict; a single batch goes into a list"),
    "numbers": (net(), X.tolist(), r"takes 1 input; .* got 1 \(float\)"),
    "words": (net(), np.array(["a", "b"]), "an array of type <U1 cannot become a tensor"),
    "objects": (net(), [np.array([None], dtype=object)], "an array of type object cannot become a tensor"),
    "single samples": (net(), list(X), "whose first axis counts the samples"),
    "inputs and labels": (net(), (X, Y), "A tuple is read as several batches"),
    "one of two inputs": (Sum(), [X], r"takes 2 inputs; .* got 1 \(Tensor\)"),
    "unequal lengths": (Sum(), [(X, X[:30])], r"the inputs of a batch have different lengths: \[30, 40\]"),
    "unequal samples": (net(), Samples(lambda i: X[0, : 5 + i % 2]), "do not fit into one batch"),
    "no samples": (net(), Samples(lambda i: None), "do not fit into one batch"),
    "unequal batches": (net(), [X, X[:, :4]], r"must have shape \(N, 6\), got \(40, 4\)"),
    "sparse": (net(), X.to_sparse(), r"is sparse; give x.to_dense\(\)"),
    "without data": (net(), [X.to("meta")], "has no data"),
    "empty": (net(), ARRAY[:0], "is empty"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(case: str) -> None:
    model, data, message = WRONG[case]
    with pytest.raises(respike.ConversionError, match=message):
        respike.from_torch(model.eval(), data, 3)


@pytest.mark.filterwarnings("ignore:fine-tuning found nothing better")
def test_a_data_set_of_another_library_is_read_everywhere() -> None:
    model, x = net(), X.repeat(4, 1)
    snn = respike.from_torch(model, X, 2)
    theirs, ours = Indexed(x), TensorDataset(x, torch.zeros(160).long())
    found, wanted = (respike.evaluate(snn, data, ann=model, progress=False) for data in (theirs, ours))
    assert found.samples == 160 and found.accuracy.tolist() == wanted.accuracy.tolist()
    assert respike.diagnose(snn, theirs).as_dict() == respike.diagnose(snn, ours).as_dict()
    settings: dict[str, Any] = {"steps": 3, "batch_size": 8, "progress": False}
    assert torch.equal(*(respike.finetune(snn, data, **settings)(X) for data in (theirs, ours)))


def test_test_data_of_another_form_is_an_error() -> None:
    snn = respike.from_torch(net(), X, 2)
    for data, message in (
        ({"x": X}, "got dict"),
        (X, "got Tensor"),
        ([X], r"must be \(input, target\); got a tensor of shape \(40, 6\)"),
        ([("a", "b")], "must begin with tensors, got str"),
        ([(X,)], r"must be \(input, target\); got tuple of 1"),
        ((ARRAY, ARRAY[:5]), "40 inputs and 5 targets"),
        ((ARRAY, np.array(["a"] * 40)), "cannot become a tensor"),
        ((X[:, :4], Y), r"must have shape \(N, 6\), got \(40, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            respike.evaluate(snn, data, ann=net())

"""Functions of the input alone are constant in time: computed once with the true operation, and weights to spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from static_networks import Net, images, standardised
from torch import Tensor, nn

import respike
from respike import EarlyExit

WHOLE = (255 * images()).to(torch.uint8)
FIRST: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "uint8, cast and scaled": (lambda x: x.float() / 255, WHOLE),
    "uint8, divided": (lambda x: x / 255, WHOLE),
    "int64 classes": (lambda x: F.one_hot(x, 3).float().permute(0, 3, 1, 2), WHOLE[:, 0].long() % 3),
    "standardised": (standardised, images()),
    "decibels": (lambda x: torch.log10(x.clamp(min=1e-3)), images()),
    "power": (lambda x: x**0.45, images()),
    "normalised": (lambda x: F.normalize(x.flatten(1)).view_as(x), images()),
    "product of two": (lambda x: x * (x > 0.3), images()),
    "sorted": (lambda x: x.sort(-1)[0], images()),
}


@pytest.mark.parametrize("name", one_in(3, FIRST))
def test_a_network_behind_a_function_of_its_input_is_the_network_on_its_values(name: str, tmp_path: Path) -> None:
    """The same spikes, counts and costs of spikes, to the bit, as of the network without it on what it gives."""
    first, x = FIRST[name]
    model, plain, y = Net(first), Net(), first(x)
    snn, bare = respike.from_torch(model, x, 6), respike.from_torch(plain, y, 6)
    assert torch.equal(snn.simulate(x), bare.simulate(y))
    labels = torch.arange(len(x)) % 3
    found, wanted = (
        respike.evaluate(s, (data, labels), ann=ann, progress=False)
        for s, data, ann in ((snn, x, model), (bare, y, plain))
    )
    for of in ("spikes", "synops", "agreement", "macs", "input_macs"):
        np.testing.assert_array_equal(getattr(found, of), getattr(wanted, of), err_msg=of)
    assert found.ann_needed_macs == wanted.ann_needed_macs
    assert "computed once, from the input alone: " in snn.summary() or name == "uint8, divided"
    assert snn.as_dict()["analog"] == []
    snn.save(tmp_path / "net.respike")
    again = respike.load(tmp_path / "net.respike")
    assert torch.equal(again(x), snn(x))
    assert again.graph.integers == snn.graph.integers
    assert snn.plan.apart
    output, steps = EarlyExit(snn, x, judge="decision")(x)
    torch.testing.assert_close(output, snn.simulate(x)[torch.arange(len(x)), steps - 1])


def test_whole_numbers_work_in_double_precision_too() -> None:
    snn = respike.from_torch(Net(lambda x: x.float() / 255), WHOLE, 6).double()
    assert snn(WHOLE).dtype == torch.float64


class Words(nn.Module):
    """A convolution over the embeddings of words; 0 is no word."""

    def __init__(self, tokens: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.e, self.c, self.l = nn.Embedding(50, 16), nn.Conv1d(16, 8, 3), nn.Linear(8, 3)
        self.tokens = tokens

    def embedded(self, t: Tensor) -> Tensor:
        return self.e(t) * (t != 0).unsqueeze(-1)

    def forward(self, t: Tensor) -> Tensor:
        h = self.embedded(t) if self.tokens else t
        return self.l(F.relu(self.c(h.transpose(1, 2))).amax(2))


TOKENS = torch.randint(0, 50, (48, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "analog"), [(torch.int64, ()), (torch.int32, ("e",))])
def test_tokens(kind: torch.dtype, analog: tuple[str, ...], tmp_path: Path) -> None:
    model, bare, t = Words(), Words(tokens=False), TOKENS.to(kind)
    values = model.embedded(t).detach()
    snn, plain = respike.from_torch(model, t, 6, analog=analog), respike.from_torch(bare, values, 6)
    assert torch.equal(snn(t), plain(values))
    assert ("kept analog: e (Embedding)" in snn.summary()) == bool(analog)
    labels = model(t).argmax(1)
    found, wanted = respike.evaluate(snn, (t, labels)), respike.evaluate(plain, (values, labels))
    assert (found.synops == wanted.synops).all()
    assert (found.macs == wanted.macs).all()
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(t), snn(t))
    assert respike.from_torch(model, t, respike.Auto(within=50), analog=analog).timesteps >= 1

"""Functions of the input alone are constant in time: computed once with the true operation, and weights to spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import respike
from respike import EarlyExit
from respike.convert.errors import ConversionError
from respike.convert.graph.rules import Role


def images(count: int = 48) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A small network behind a function of its input."""

    def __init__(self, first: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = first
        self.n = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.n(self.first(x))


def _standardised(x: Tensor) -> Tensor:
    return (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)


WHOLE = (255 * images()).to(torch.uint8)
FIRST: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "uint8, cast and scaled": (lambda x: x.float() / 255, WHOLE),
    "uint8, divided": (lambda x: x / 255, WHOLE),
    "int64 classes": (lambda x: F.one_hot(x, 3).float().permute(0, 3, 1, 2), WHOLE[:, 0].long() % 3),
    "standardised": (_standardised, images()),
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


class Masked(nn.Module):
    """Mean over the members of a set that are there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.o = nn.Linear(5, 8), nn.Linear(8, 3)
        self.act: Callable[[Tensor], Tensor] = F.relu

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        return self.o((self.act(self.a(x)) * m).sum(1) / m.sum(1))


class Graph(Masked):
    """Two rounds of a graph network."""

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        return self.o((m @ self.act(m @ self.a(x))).mean(1))


class Filled(Masked):
    """The mask as truth values, in two spellings."""

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        h = self.act(self.a(x))
        return self.o(h.masked_fill(~m, 0.0).sum(1) + torch.where(m, h, 0.25).sum(1))


class Summed(Masked):
    """The matrix by an equation."""

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        return self.o(torch.einsum("nij,njc->nic", m, self.act(self.a(x))).amax(1))


SETS = torch.rand(48, 6, 5, generator=torch.Generator().manual_seed(0))
MASK = torch.rand(48, 6, 1, generator=torch.Generator().manual_seed(1)) > 0.3
EDGES = torch.softmax(torch.rand(48, 6, 6, generator=torch.Generator().manual_seed(2)), -1).clamp(min=0.15) - 0.15
PRODUCTS: dict[str, tuple[type[Masked], Tensor, int]] = {
    # the second input, and the synapses of a spike: of the linear layer, or of the matrix
    "mask": (Masked, MASK.float(), 3),
    "matrix": (Graph, EDGES, 6),
    "truth values": (Filled, MASK, 6),
    "equation": (Summed, EDGES, 6),
}


@pytest.mark.parametrize("name", one_in(3, PRODUCTS))
def test_one_factor_may_be_a_function_of_the_input(name: str, tmp_path: Path) -> None:
    kind, second, fan_out = PRODUCTS[name]
    model = kind()
    args = (SETS, second)
    snn = respike.from_torch(model, TensorDataset(*args), 8, schedule="layerwise", correction="none")
    (neurons,) = snn.neurons.values()
    # The quantised ANN, written without respike.
    model.act = lambda z: torch.clamp(torch.floor(z * 8 / neurons.threshold + 0.5), 0, 8) * neurons.threshold / 8
    with torch.no_grad():
        torch.testing.assert_close(snn(*args), model(*args), rtol=1e-5, atol=1e-6)
    model.act = F.relu
    snn.schedule = "synchronous"
    # What a spike is multiplied by is a weight, and one of value 0 is one as well.
    counted: list[Tensor] = []
    list(
        snn.blocks(
            snn.graph.flatten(args),
            recorder=lambda node, events, _: counted.append(events) if node.role == "spike" else None,
        )
    )
    spikes = float(torch.cat(counted).sum())
    (name,) = snn.neurons
    assert snn.fan_out.events[name].unique().tolist() == [fan_out]
    result = respike.evaluate(snn, [(args, torch.arange(48) % 3)], ann=model, progress=False)
    layer = next(layer for layer in result.layers if layer.name == name)
    assert layer.spikes[-1] * 48 == pytest.approx(spikes)
    assert layer.synops[-1] * 48 == pytest.approx(spikes * fan_out)
    assert result.ann_needed_macs is not None  # what the ANN computes and what is counted of it are as many
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(*args), snn(*args))
    with torch.no_grad():
        scale = float(model(*args).std())
    for other in (snn.normalised(), snn.quantised(12)):  # a current near the threshold may fire a step later
        far = (other(*args) - snn(*args)).abs().amax(1) > 0.01 * scale
        assert int(far.sum()) <= 3
    assert len(respike.diagnose(snn, [args], model, progress=False).layers) == 1
    whole = snn(*args)
    snn.memory_budget = 1
    assert len(snn.pieces(snn.graph.flatten(args), 8)[0]) == 48
    torch.testing.assert_close(snn(*args), whole)


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


def refused(first: Callable[[Tensor], Tensor], **options: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        respike.from_torch(Net(first), images(), 4, **options)
    return str(caught.value)


def test_what_guards_a_function_of_the_input_belongs_to_it_and_what_is_a_layer_does_not() -> None:
    """The clamp in log(clamp(x)) is static; a ReLU behind weights is neurons, and no root may follow."""
    snn = respike.from_torch(Net(lambda x: torch.log(x.clamp(min=0.01))), images(), 4)
    assert [n.role for n in snn.graph.nodes if n.op == "respike.relu"] == [Role.STATIC, Role.SPIKE]
    snn = respike.from_torch(Net(lambda x: x.clamp(min=0.01)), images(), 4)
    assert [n.role for n in snn.graph.nodes if n.op == "respike.relu"] == [Role.SPIKE, Role.SPIKE]
    weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    assert "sqrt" in refused(lambda x: torch.sqrt(F.relu(F.conv2d(x, weight))))
    assert "exp" in refused(lambda x: torch.exp(F.hardtanh(F.conv2d(x, weight), 0.0, 2.0)))


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
    snn = respike.from_torch(Net(_standardised), images(), 4, analog=["std", "div"])
    assert snn.as_dict()["analog"] == ["forward: std", "forward: div"]
    assert torch.equal(snn(images()), respike.from_torch(Net(_standardised), images(), 4)(images()))
    assert "analog='mean' has no effect" in refused(_standardised, analog=["mean"])


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

"""Products of a signal and a function of the input: the latter is a weight to spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import respike


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

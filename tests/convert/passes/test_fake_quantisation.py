"""Networks of quantisation-aware training, whose activations are fake-quantised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MinMaxObserver, PerChannelMinMaxObserver

import respike

LEVELS = 4


def test_fake_quantisation_by_function_converts() -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(F.relu(x), 0.25, 0, 0, LEVELS)

    class Fake(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return forward(x)

    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 8), Fake(), nn.Linear(8, 3)).eval(), torch.randn(40, 6)
    snn = respike.from_torch(model, x, LEVELS, schedule="layerwise")
    assert [layer.levels for layer in snn.neurons.values()] == [LEVELS]
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=1e-5, rtol=0)


def test_modules_of_quantisation_aware_training_convert() -> None:
    """Fake-quantised weights and activations, observers off, as they are when training has ended."""
    torch.manual_seed(0)
    act = FakeQuantize(MinMaxObserver, quant_min=0, quant_max=15, dtype=torch.quint8)
    weight = FakeQuantize(PerChannelMinMaxObserver, quant_min=-8, quant_max=7, dtype=torch.qint8, ch_axis=0)

    class Trained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.act, self.weight = nn.Linear(6, 8), nn.Linear(8, 3), act, weight

        def forward(self, x: Tensor) -> Tensor:
            h = F.linear(x, self.weight(self.a.weight), self.a.bias)
            return self.b(self.act(F.relu(h)))  # type: ignore[no-any-return]

    model, x = Trained(), torch.rand(40, 6)
    model(x)
    for part in (act, weight):
        part.disable_observer()  # type: ignore[no-untyped-call]
    snn = respike.from_torch(model.eval(), x, 15, schedule="layerwise")
    assert [layer.levels for layer in snn.neurons.values()] == [15]
    with torch.no_grad():
        torch.testing.assert_close(snn(x), model(x), atol=1e-5, rtol=0)

"""Spectra: complex functions of the input are static, and their absolute values are no ReLUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from samples import one_in
from torch import Tensor, nn

import respike
from respike import EarlyExit

X = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
WINDOW = torch.hann_window(16)
FRONT: dict[str, Callable[[Tensor], Tensor]] = {
    "rfft": lambda x: torch.fft.rfft(x).abs(),
    "fft along an axis": lambda x: torch.fft.fft(x.view(-1, 8, 8), dim=1).abs().flatten(1),
    "fft2": lambda x: torch.fft.fft2(x.view(-1, 8, 8)).abs().flatten(1),
    "stft": lambda x: torch.stft(x, 16, 8, window=WINDOW, return_complex=True).abs().flatten(1),
    "power in decibels": lambda x: (
        torch.stft(x, 16, 8, window=WINDOW, return_complex=True).abs().pow(2).mean(2).clamp(min=1e-5).log10()
    ),
    "conjugate": lambda x: torch.fft.rfft(x).conj().abs(),
    "complex": lambda x: torch.complex(x, x.flip(1)).abs(),
    "parts": lambda x: torch.cat([torch.fft.rfft(x).real, torch.fft.rfft(x).conj().imag], 1),
    "and back": lambda x: torch.fft.irfft(torch.fft.rfft(x) * torch.linspace(0, 1, 33)),
}


class Net(nn.Module):
    def __init__(self, length: int, first: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.first = nn.Linear(length, 8), nn.Linear(8, 3), first

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(self.first(x)).relu())


@pytest.mark.parametrize("name", one_in(3, FRONT))
def test_a_network_behind_a_spectrum_is_the_network_on_its_values(name: str, tmp_path: Path) -> None:
    first = FRONT[name]
    y = first(X)
    model = Net(y.shape[1], first)
    snn = respike.from_torch(model, X, 6)
    plain = respike.from_torch(Net(y.shape[1]), y, 6)
    assert snn.closeness is not None
    assert len(snn.neurons) == 1
    near = (snn(X) - plain(y)).abs().amax(1) < 1e-4  # a current near the threshold may fire a step later
    assert int((~near).sum()) <= 1
    snn.save(tmp_path / "net.respike")
    again = respike.load(tmp_path / "net.respike")
    assert torch.equal(again(X), snn(X))
    output, steps = EarlyExit(again, X, judge="decision")(X)
    torch.testing.assert_close(output, snn.simulate(X)[torch.arange(64), steps - 1])
    result = respike.evaluate(snn, (X, torch.arange(64) % 3), ann=model, progress=False)
    assert result.synops[-1] > 0

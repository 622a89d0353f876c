"""Multiply-accumulates of the ANN that are needed: products of two signals, in whichever kernel they are computed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import respike
from respike.evaluation.cost.needed import needed_macs


class Attention(nn.Module):
    """2 heads of 8 channels over 5 tokens."""

    def __init__(self, causal: bool = False) -> None:
        super().__init__()
        self.parts, self.last, self.causal = nn.Linear(16, 48), nn.Linear(80, 3), causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.reshape(-1, 5, 2, 8).transpose(1, 2) for part in self.parts(x).chunk(3, -1))
        mixed = scaled_dot_product_attention(q, k, v.relu(), is_causal=self.causal)
        out: Tensor = self.last(mixed.transpose(1, 2).flatten(1))
        return out


def counted(model: nn.Module, x: Tensor) -> tuple[int, int]:
    with torch.no_grad(), needed_macs(model) as products:
        model(x)
    return products.macs, products.needed


def test_attention_in_one_kernel_is_counted_product_by_product() -> None:
    torch.manual_seed(0)
    model, x = Attention().eval(), torch.randn(4, 5, 16)
    with torch.no_grad():
        parts = model.parts(x)
        values = parts.chunk(3, -1)[2].relu()
        q, k = (part.reshape(-1, 5, 2, 8).transpose(1, 2) for part in parts.chunk(3, -1)[:2])
        shares = torch.softmax(q @ k.transpose(2, 3) / 8**0.5, -1)
        mixed = (shares @ values.reshape(-1, 5, 2, 8).transpose(1, 2)).transpose(1, 2).flatten(1)
    linear = 4 * 5 * 16 * 48 + 3 * int((mixed != 0).sum())
    assert counted(model, x) == (4 * (5 * 16 * 48 + 240 + 800), linear + 4 * 400 + 5 * int((values != 0).sum()))


def test_what_a_mask_leaves_out_is_not_needed() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 5, 16)
    model = Attention(causal=True).eval()
    nn.init.constant_(model.parts.bias, 9.0)  # no value is zero
    macs, needed = counted(model, x)
    assert macs - needed == 4 * 2 * 8 * 10  # 10 of 25 shares are


def test_a_layer_of_attention_in_one_kernel_is_counted() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    macs, needed = counted(layer, torch.randn(4, 5, 16))
    assert macs == 4 * 5 * (4 * 16 * 16 + 2 * 16 * 32 + 2 * 16 * 5)
    assert needed < macs  # behind the ReLU
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_zeros_of_a_network_with_attention_are_counted() -> None:
    torch.manual_seed(0)
    model, x = Attention().eval(), torch.randn(16, 5, 16)
    snn = respike.from_torch(model, x, timesteps=2)
    result = respike.evaluate(snn, (x, torch.zeros(16, dtype=torch.long)), ann=model)
    assert result.ann_needed_macs is not None
    assert 0 < result.ann_needed_macs < result.ann_macs
    assert "zeros were not counted" not in result.cost().verdict

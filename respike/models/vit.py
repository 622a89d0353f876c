"""A vision transformer in small for Fashion-MNIST: attention, layer normalisation and GELU.

After Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; the head reads the mean of all tokens, as in
Zhai et al., "Scaling Vision Transformers", CVPR 2022. Grey values in [0, 1] come in as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head self-attention: each token takes the values of the others by softmax of query times key.

    Shape:
        Input and output ``(N, tokens, width)``; each head has ``width / heads`` of the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Attention and a hidden layer of GELU, each with layer normalisation before it and added to what came in.

    Shape:
        Input and output ``(N, tokens, width)``.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads))
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        out: Tensor = x + self.mlp(x)
        return out


class FashionViT(nn.Module):
    """A ViT of 49 tokens, 4 pixels apart, with four blocks of width 64 and four heads; 180 k weights.

    Three convolutions make the tokens, in place of one for patches of 4x4 pixels, as in Xiao et al., "Early
    Convolutions Help Transformers See Better", NeurIPS 2021.

    Shape:
        Input ``(N, 1, 28, 28)``, grey values in [0, 1]; tokens ``(N, 49, 64)``; output ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.GELU()),
            *(nn.Conv2d(32, 48, 3, 1, 1, bias=False), nn.BatchNorm2d(48), nn.GELU()),
            *(nn.Conv2d(48, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)),
        )
        self.positions = nn.Parameter(torch.randn(49, 64) * 0.02)
        self.blocks = nn.Sequential(*(TransformerBlock(64, 4, 128) for _ in range(4)))
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits

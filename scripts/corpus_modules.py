"""The modules that ``import_corpus.py`` writes with PyTorch's exporters: spellings that real networks have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLES = 7  # a number no network below has as a size, so that a batch size frozen into a file shows


class Function(nn.Module):
    """A function of its layers and the input."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module | Tensor) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            if isinstance(layer, Tensor):
                self.register_buffer(name, layer)
            else:
                self.add_module(name, layer)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function makes of them."""
        return self.function(self, *inputs)


class Entry:
    """A module to be built, and the samples it is for."""

    def __init__(
        self, function: Callable[..., Any], samples: Callable[[], Tensor], *, alone: bool = False, **layers: Any
    ) -> None:
        self.function, self.samples, self.layers = function, samples, layers
        self.alone = alone
        """Whether it is written for one sample only."""

    def build(self) -> tuple[nn.Module, Tensor]:
        """The module with random weights, and its samples; the same ones every time."""
        torch.manual_seed(0)
        layers = {name: make() for name, make in self.layers.items()}
        return Function(self.function, **layers).eval(), self.samples()


def lin(inputs: int, outputs: int) -> Callable[[], nn.Module]:
    """A dense layer, later."""
    return lambda: nn.Linear(inputs, outputs)


def image() -> Tensor:
    """Of one channel."""
    return torch.rand(SAMPLES, 1, 12, 12)


def sequence() -> Tensor:
    """Of five vectors."""
    return torch.rand(SAMPLES, 5, 6)


def row() -> Tensor:
    """Of six features."""
    return torch.rand(SAMPLES, 6)


def sets() -> Tensor:
    """Two sets of up to five rows with their masks, each of which leaves at least one row."""
    x = torch.rand(SAMPLES, 10, 8)
    x[:, :, 6:] = (torch.rand(SAMPLES, 10, 2) > 0.3).float()
    x[:, ::5, 6:] = 1
    return x


def bytes_() -> Tensor:
    """An image as it lies in a file."""
    return torch.randint(0, 256, (SAMPLES, 3, 8, 8), dtype=torch.uint8)


def tokens() -> Tensor:
    """Numbers of words."""
    return torch.randint(0, 11, (SAMPLES, 9))


def conv() -> nn.Module:
    """From one channel to four."""
    return nn.Conv2d(1, 4, 3)


def _masked(s: Any, x: Tensor) -> Any:
    a, b = x.split(5, 1)
    h = (F.relu(s.a(a[..., :6])) * a[..., 6:7]).sum(1) / a[..., 6:7].sum(1)
    g = (F.relu(s.b(b[..., :3])) * b[..., 7:]).sum(1) / b[..., 7:].sum(1)
    return torch.sigmoid(s.p(F.relu(s.o(torch.cat([h, g], 1)))))


def _bytes(s: Any, x: Tensor) -> Any:
    x = (x.float() / 255 - 0.45) / 0.22
    x = torch.log1p(torch.sqrt(x * x + 1))
    return s.l(F.relu(s.c(x)).flatten(1))


def _tokens(s: Any, i: Tensor) -> Any:
    words = F.relu(s.l(s.e(i))).mean(1)
    return s.o(torch.cat([words, F.one_hot(i[:, 0], 11).float()], 1))


def _heads(s: Any, x: Tensor) -> Any:
    n = x.shape[0]
    return s.l(F.relu(s.e(x)).view(n, 5, 2, 4).transpose(1, 2).reshape(n * 2, 5, 4).mean(1).reshape(n, 8))


def _attention(s: Any, x: Tensor) -> Any:
    q, k, v = s.q(x).chunk(3, -1)
    return s.l(F.relu(torch.softmax(q @ k.transpose(1, 2) / 8**0.5, -1) @ v).mean(1))


def _residual(s: Any, x: Tensor) -> Any:
    x = F.relu(s.b(s.c(x)))
    x = F.relu(x + s.b2(s.d(x)))
    return s.l(F.adaptive_avg_pool2d(s.p(x), 2).flatten(1))


INPUT_ONLY = {
    "sets with masks": Entry(_masked, sets, a=lin(6, 16), b=lin(3, 16), o=lin(32, 16), p=lin(16, 1)),
    "bytes, standardised, sqrt, log": Entry(_bytes, bytes_, c=lambda: nn.Conv2d(3, 4, 3), l=lin(144, 5)),
    "embedding and one-hot": Entry(_tokens, tokens, e=lambda: nn.Embedding(11, 8), l=lin(8, 6), o=lin(17, 3)),
}
"""Networks that begin with functions of the input alone."""

NETWORKS = {
    "flatten": Entry(lambda s, x: s.l(F.relu(s.c(x)).flatten(1)), image, c=conv, l=lin(400, 5)),
    "view by batch": Entry(lambda s, x: s.l(F.relu(s.c(x)).view(x.shape[0], -1)), image, c=conv, l=lin(400, 5)),
    "view by features": Entry(lambda s, x: s.l(F.relu(s.c(x)).view(-1, 400)), image, c=conv, l=lin(400, 5)),
    "squeeze twice": Entry(
        lambda s, x: s.l(F.adaptive_avg_pool2d(F.relu(s.c(x)), 1).squeeze(-1).squeeze(-1)), image, c=conv, l=lin(4, 5)
    ),
    "index axes away": Entry(
        lambda s, x: s.l(F.adaptive_avg_pool2d(F.relu(s.c(x)), 1)[:, :, 0, 0]), image, c=conv, l=lin(4, 5)
    ),
    "squeeze all": Entry(
        lambda s, x: s.l(F.adaptive_avg_pool2d(F.relu(s.c(x)), 1).squeeze()), image, c=conv, l=lin(4, 5)
    ),
    "mean": Entry(lambda s, x: s.l(F.relu(s.c(x)).mean((2, 3))), image, c=conv, l=lin(4, 5)),
    "class token": Entry(
        lambda s, x: s.l(F.relu(torch.cat([s.t.expand(x.shape[0], -1, -1), s.e(x)], 1)).mean(1)),
        sequence,
        t=lambda: torch.randn(1, 1, 8),
        e=lin(6, 8),
        l=lin(8, 5),
    ),
    "zeros beside": Entry(
        lambda s, x: s.l(torch.cat([s.e(x).relu(), torch.zeros(x.shape[0], 3)], 1)), row, e=lin(6, 8), l=lin(11, 5)
    ),
    "ones added": Entry(lambda s, x: s.l((s.e(x) + torch.ones(x.shape[0], 8)).relu()), row, e=lin(6, 8), l=lin(8, 5)),
    "heads": Entry(_heads, sequence, e=lin(6, 8), l=lin(8, 5)),
    "attention": Entry(_attention, sequence, q=lin(6, 24), l=lin(8, 5)),
    "channel shuffle": Entry(
        lambda s, x: s.l(
            F.relu(s.c(x)).view(x.shape[0], 2, 2, 10, 10).transpose(1, 2).reshape(x.shape[0], 4, 10, 10).flatten(1)
        ),
        image,
        c=conv,
        l=lin(400, 5),
    ),
    "resize to a size": Entry(lambda s, x: F.relu(F.interpolate(s.c(x), size=(17, 9), mode="bilinear")), image, c=conv),
    "resize by a factor": Entry(lambda s, x: F.relu(F.interpolate(s.c(x), scale_factor=2)), image, c=conv),
    "repeat": Entry(lambda s, x: F.relu(s.c(x)).repeat(1, 2, 1, 1), image, c=conv),
    "expanded channels": Entry(
        lambda s, x: s.d(x.expand(x.shape[0], 3, 12, 12)).relu(), image, d=lambda: nn.Conv2d(3, 4, 3)
    ),
    "patches": Entry(
        lambda s, x: F.relu(s.l(x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(x.shape[0], 9, 16))), image, l=lin(16, 5)
    ),
    "time first": Entry(lambda s, x: s.l(F.relu(s.e(x.permute(1, 0, 2))).mean(0)), sequence, e=lin(6, 8), l=lin(8, 5)),
    "time in the batch": Entry(
        lambda s, x: s.l(F.relu(s.e(x.reshape(-1, 6))).reshape(x.shape[0], 5, 8).sum(1)),
        sequence,
        e=lin(6, 8),
        l=lin(8, 5),
    ),
    "convolution in 1-d": Entry(
        lambda s, x: s.l(F.relu(s.c(x.unsqueeze(1))).flatten(1)), row, c=lambda: nn.Conv1d(1, 4, 3), l=lin(16, 5)
    ),
    "convolution in 3-d": Entry(
        lambda s, x: s.l(F.max_pool3d(F.relu(s.c(x.view(-1, 1, 4, 6, 6))), 2).flatten(1)),
        image,
        c=lambda: nn.Conv3d(1, 4, 3, padding=1),
        l=lin(72, 5),
    ),
    "transposed": Entry(
        lambda s, x: s.t(F.relu(s.c(x))), image, c=conv, t=lambda: nn.ConvTranspose2d(4, 2, 3, 2, output_padding=1)
    ),
    "residual": Entry(
        _residual,
        image,
        c=conv,
        b=lambda: nn.BatchNorm2d(4),
        d=lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
        b2=lambda: nn.BatchNorm2d(4),
        p=lambda: nn.PReLU(4),
        l=lin(16, 5),
    ),
    "pads and pools": Entry(
        lambda s, x: F.avg_pool2d(F.relu6(s.c(F.pad(x, (1, 2, 0, 1), mode="reflect"))), 3, 2, 1, ceil_mode=True),
        image,
        c=conv,
    ),
    "positions": Entry(
        lambda s, x: F.relu(s.e(x) + s.p(torch.arange(x.shape[1]))),
        sequence,
        e=lin(6, 8),
        p=lambda: nn.Embedding(9, 8),
    ),
    "positions for each sample": Entry(
        lambda s, x: F.relu(s.e(x) + s.p(torch.arange(x.shape[1]).expand(x.shape[0], -1))),
        sequence,
        e=lin(6, 8),
        p=lambda: nn.Embedding(9, 8),
    ),
    "sums of groups": Entry(lambda s, x: F.relu(s.c(x).reshape(x.shape[0], 2, -1).sum(2)), image, c=conv),
    "an axis before the batch": Entry(
        lambda s, x: s.l(F.relu(s.e(x.unsqueeze(0))).squeeze(0)), row, e=lin(6, 8), l=lin(8, 5)
    ),
    "over the batch": Entry(lambda s, x: s.l(F.relu(s.e(x) + x.mean(0).sum())), row, e=lin(6, 8), l=lin(8, 5)),
    "recurrent": Entry(
        lambda s, x: s.l(F.relu(s.r(x)[0][:, -1])), sequence, r=lambda: nn.GRU(6, 8, batch_first=True), l=lin(8, 5)
    ),
    "the batch squeezed": Entry(
        lambda s, x: s.l(F.relu(s.c(x)).squeeze(0).flatten()), image, alone=True, c=conv, l=lin(400, 5)
    ),
    "the batch squeezed and back": Entry(
        lambda s, x: s.l(F.relu(s.c(x).squeeze(0)).unsqueeze(0).flatten(1)), image, alone=True, c=conv, l=lin(400, 5)
    ),
    "flatten all": Entry(lambda s, x: s.l(F.relu(s.c(x)).flatten()), image, alone=True, c=conv, l=lin(400, 5)),
    "all into one row": Entry(
        lambda s, x: s.l(F.relu(s.c(x)).reshape(1, -1)), image, alone=True, c=conv, l=lin(400, 5)
    ),
    "softmax of what was squeezed": Entry(
        lambda s, x: F.softmax(s.l(F.relu(s.e(x)).squeeze(0)), 0), row, alone=True, e=lin(6, 8), l=lin(8, 5)
    ),
    **INPUT_ONLY,
}
"""By name. "over the batch" mixes samples and keeps the batch of its file; "recurrent" has memory and is refused."""

"""Other converters, to stand beside respike in the accuracy benchmark, on the same images.

SpikingJelly's ``RateCodingRecipe`` comes in four: the maximum, a percentile, one of each channel, and that with
potentials that start at θ/2. Its ``LocalThresholdBalancingRecipe`` is the fifth. Sinabs is taken at its defaults; its
``normalize_weights`` scales a bias by its own layer's factor and not by those before it, so a network with biases
decides otherwise before it spikes at all, and is left out. All get the image as a constant current, all are read out as
the mean of the last layer's output, and all are reset between batches.
Neither library is needed but for this: ``pip install -e '.[peers]'``.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

Decode = Callable[[Tensor], Tensor]
"""A batch of images to what a converted network says of it after T timesteps, ``(N, K)``."""


@dataclass(frozen=True)
class Converted:
    """What a peer made of a network. Calling it gives the mean of the outputs over time, ``(N, K)``."""

    snn: nn.Module
    outputs: Decode
    """Images to the last layer's output at every step, ``(T, N, K)``. No peer's conversion depends on T."""

    def __call__(self, images: Tensor) -> Tensor:
        return self.outputs(images).mean(0)


Peer = Callable[[nn.Module, Tensor, int], Converted]
"""ANN in eval mode, calibration images and T to the converted network. Raises ``RefusedError``."""

ANALOG = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


class RefusedError(Exception):
    """The peer does not convert this network, or not all of it; the message is fit for a table."""


def jelly(recipe: str, batch: int, passes: int = 1, **options: Any) -> Peer:
    """A peer from SpikingJelly's ``ann2snn``.

    Args:
        recipe: Class of the recipe.
        batch: Calibration images at a time, which matters: its statistics are a moving average over batches.
        passes: How often it sees them all.
        options: Further arguments of the recipe.
    """

    def convert(ann: nn.Module, calibration: Tensor, timesteps: int) -> Converted:
        loader = list(calibration.split(batch)) * passes
        with refusing():
            ann2snn = importlib.import_module("spikingjelly.activation_based.ann2snn")
            functional = importlib.import_module("spikingjelly.activation_based.functional")
            made = getattr(ann2snn, recipe)(dataloader=loader, **options)
            snn: nn.Module = ann2snn.FXConverter(recipe=made).convert(copy.deepcopy(ann)).eval()
        _check(snn)

        def outputs(images: Tensor) -> Tensor:
            functional.reset_net(snn)
            return torch.stack([snn(images) for _ in range(timesteps)])

        return Converted(snn, outputs)

    return convert


def sinabs(ann: nn.Module, calibration: Tensor, timesteps: int) -> Converted:
    """``sinabs.from_torch.from_model`` as it is: thresholds of 1, several spikes a step; it does not calibrate."""
    with refusing():
        utils = importlib.import_module("sinabs.utils")
        network = importlib.import_module("sinabs.from_torch").from_model(ann, num_timesteps=timesteps)
    snn: nn.Module = network.spiking_model.eval()
    _check(snn)

    def outputs(images: Tensor) -> Tensor:
        utils.reset_states(snn)
        found: Tensor = snn(images.repeat_interleave(timesteps, 0))  # time is the faster part of the axis
        return found.reshape(len(images), timesteps, -1).transpose(0, 1)

    return Converted(snn, outputs)


PEERS: dict[str, dict[str, Peer]] = {
    "spikingjelly": {
        # All images in one batch, so that the statistics are those of all and not mostly the first batch's.
        "SpikingJelly max": jelly("RateCodingRecipe", 512, mode="Max"),
        "SpikingJelly 99.9%": jelly("RateCodingRecipe", 512, mode="99.9%"),
        "SpikingJelly channel-wise": jelly("RateCodingRecipe", 512, mode="99.9%", channel_wise=True),
        "SpikingJelly channel-wise, θ/2": jelly(
            "RateCodingRecipe", 512, mode="99.9%", channel_wise=True, half_threshold=True
        ),
        # Its thresholds climb from zero, a little with each batch: one batch leaves them far too low. Batches are as
        # large as in its ImageNet example; twelve passes are our choice, and other T and networks may like others.
        "SpikingJelly LTB": jelly("LocalThresholdBalancingRecipe", 128, passes=12),
    },
    "sinabs": {"Sinabs": sinabs},
}


def _check(snn: nn.Module) -> None:
    """Both libraries replace ``nn.ReLU`` and pass over what else they find, which then computes as in the ANN."""
    left = sum(isinstance(module, ANALOG) for module in snn.modules())
    if left:
        raise RefusedError(f"{left} ReLU left unconverted")


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Keeps a peer's progress bars and warnings out of the table, and makes a row of its errors."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:110]
        raise RefusedError(f"refused: {reason or type(error).__name__}") from error


def installed() -> tuple[dict[str, Peer], list[str]]:
    """The peers that can be had, by their name in the table, and the packages that are missing."""
    missing = [package for package in PEERS if find_spec(package) is None]
    return {name: p for package, peers in PEERS.items() if package not in missing for name, p in peers.items()}, missing

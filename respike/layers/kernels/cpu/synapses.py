"""Synapses whose cost follows the spikes: what is 0 is passed over, and what is not adds its weights up.

There are three ways: ``points`` for linear layers and convolutions of 1×1, ``spread`` for those of 3×3, and ``gather``
for any other. In each a sum does not depend on what else is in the batch, on threads or on pieces, and is that of a
convolution up to the order of additions. A sum of whole numbers is exact.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ....errors import InputError
from . import points, spread
from .gather import BLOCK, GatheredSynapses
from .points import PointSynapses
from .spread import SpreadSynapses

FEWEST = 4096
"""Products of an output position, for all outputs of a group, from which on ``gather`` is quicker.

To find the events around a position takes about as long as 1,000 products of a dense convolution and more the wider it
is, and each event as much as two (of 64 outputs) to six (of 16) for each output: with one input in ten active, both
ways take equally long from about here on.
"""
FEWEST_SPREAD = FEWEST_POINTS = 2048
"""The same of ``spread``, which takes half as long as a dense convolution from about here on, and of ``points``."""
FEWEST_SHARED = 512
"""The same of ``points`` where events are listed for others anyway: spikes need not be sent in 32 bits for it alone."""

WHOLE = 128
"""Outputs from which on ``gather`` with weights of 8 bits is quicker than ``spread`` with real ones."""
SPARSE, SPARSEST, DEEP, SMALL = 0.3, 0.2, 0.35, 0.5
"""Shares of active inputs up to which 8-bit multiplications by vectors take longer.

``SPARSE`` is that of ``points``, of ``spread`` and of ``WHOLE`` outputs; ``DEEP`` that of ``WHOLE`` outputs with 1,024
inputs each; ``SMALL`` theirs on a map with sides below ``SMALLEST``, where vectors multiply much that lies outside;
``SPARSEST`` that of others. Neurons fire at the sums of events while these are in the cache, not at those of vectors.
"""


def why_dense(
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    shared: bool,
) -> str:
    """Why a dense convolution is quicker, if about one input in ten is not 0; ``""`` if it is not.

    ``shared``: other synapses add up the same events.
    """
    outputs, products = len(weight) // groups, weight.numel() // groups
    if outputs < BLOCK:
        return f"{outputs} outputs of a group, fewer than {BLOCK}"
    spreads = spread.fits(weight, stride, padding, dilation, groups)
    of_points = FEWEST_SHARED if shared else FEWEST_POINTS
    fewest = FEWEST_SPREAD if spreads else of_points if points.fits(weight, padding, groups) else FEWEST
    return "" if products >= fewest else f"{products:,} products for a position, fewer than {fewest:,}"


def sparse_below(
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    side: int,
) -> float:
    """The share of active inputs below which events are quicker than 8-bit multiplications by vectors (VNNI).

    ``side``: the shortest of a map of outputs.
    """
    is_points = points.fits(weight, padding, groups)
    if len(weight) // groups >= WHOLE and not is_points:
        deep = weight[0].numel() >= 1024
        return SPARSE if not deep else DEEP if side >= spread.SMALLEST else SMALL
    if not is_points and not spread.fits(weight, stride, padding, dilation, groups):
        return SPARSEST
    return SPARSE


class EventSynapses:
    """A convolution of images, or a linear layer as one of single positions, by events.

    Args:
        weight: ``(F, C, kh, kw)`` for C channels in each group; float32, or whole numbers from −127 to 127, int8, for
            inputs that are int8 too.
        bias: ``(F,)`` or None.
        stride, padding, dilation: ``(vertical, horizontal)``.
        groups: Groups of channels.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        self.weight, self.bias = weight, torch.zeros(len(weight)) if bias is None else bias.float()
        if self.bias.shape != (len(weight),):  # the kernels would read past its end
            raise InputError(f"{len(weight)} outputs need as many biases, got {tuple(self.bias.shape)}")
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.inputs = groups * weight.shape[1]
        self.spreads = spread.fits(weight, stride, padding, dilation, groups)
        self.is_points = points.fits(weight, padding, groups)

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs ``(M, F, h', w')``, channels last, for inputs ``(M, groups · C, h, w)``, float32 or int8.

        Raises:
            ValueError: inputs of another type or number of channels, which the kernel would read past their end.
        """
        images = self.images(x)
        maps = self.maps(images)
        found: Tensor = self._points(images) if maps is None else maps(images)
        return found.permute(0, 3, 1, 2)

    def images(self, x: Tensor) -> Tensor:
        """Inputs ``(M, C, h, w)`` as the kernels read them, channels last; of 1×1 those positions that are read.

        Raises:
            ValueError: as for a call.
        """
        kinds = (torch.int8,) if self.weight.dtype == torch.int8 else (torch.float32, torch.int8)
        if x.dtype not in kinds or x.dim() != 4 or x.shape[1] != self.inputs:
            kind = str(x.dtype).removeprefix("torch.")
            raise InputError(f"these synapses read {self.inputs} channels of images, got {kind} {tuple(x.shape)}")
        images = x.permute(0, 2, 3, 1)
        if self.is_points:
            images = images[:, :: self.stride[0], :: self.stride[1]]
        return images.contiguous()

    def maps(self, images: Tensor) -> SpreadSynapses | GatheredSynapses | None:
        """The kernel for such images; None: that for single positions."""
        if self.is_points:
            return None
        # By what one image is like, never by what is in it, or the same input could give other sums in another batch.
        large = min(images.shape[1:3]) >= spread.SMALLEST or self.weight.numel() < FEWEST
        narrow = self.weight.dtype == torch.float32 or len(self.weight) < WHOLE
        return self._spread if self.spreads and large and narrow else self._gathered

    @cached_property
    def _spread(self) -> SpreadSynapses:
        return SpreadSynapses(self.weight, self.bias, self.padding)

    @cached_property
    def _points(self) -> PointSynapses:
        return PointSynapses(self.weight[:, :, 0, 0], self.bias)

    @cached_property
    def _gathered(self) -> GatheredSynapses:
        return GatheredSynapses(self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

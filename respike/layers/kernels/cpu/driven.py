"""Synapses that add up events and the neurons behind them in one pass, some samples at a time over all steps.

The currents between them stay in the cache: they are neither written to memory nor read again.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..eager import State
from ..layout import Layout
from ..memory import empty
from ..rule import Drive, Rule, Send
from .firing import ROW
from .parts import BINARY, BURST, FORM, as_numpy, kind_of
from .synapses import EventSynapses


def driven_scan(rule: Rule, drive: Drive, threshold: Tensor, state: State, send: Send) -> tuple[Tensor, State] | None:
    """See ``_choice.scan``; None for what is not compiled: other neurons, or settings of single neurons."""
    layer, spikes = drive.synapses, drive.values
    plain = kind_of(rule) in (BINARY, BURST) and rule.alpha is None and rule.floor is None
    if not plain or send.dtype != torch.int8 or not send.unit or not isinstance(layer, EventSynapses):
        return None
    images = layer.images(spikes.flatten(0, 1))
    maps = layer.maps(images)
    if maps is None or len(spikes) != drive.steps or not images.numel():
        return None
    rows, columns = maps.sides_of(images)
    out = empty(drive.steps, spikes.shape[1], rows, columns, len(layer.bias), dtype=torch.int8)
    layout = Layout(out.movedim(-1, 2))
    told = [threshold, drive.bias, drive.scale, drive.extra_scale]
    extra = drive.extra
    if not all(_of_channels(x) for x in told) or (extra is not None and extra.dtype not in FORM) or not out.numel():
        return None
    row = max(1, ROW // len(layer.bias)) * len(layer.bias)

    def of_some(value: Tensor | float) -> np.ndarray:
        return layout.row(value)[:row].numpy()

    start = state[0]
    v = (
        layout.row(start[0] if start.dim() == len(layout.shape) else start).repeat(layout.shape[0], 1)
        if layout.fresh(start)
        else layout.state(start)
    )
    maps.drive(
        images,
        spikes.shape[1],
        (
            None if kind_of(rule) == BINARY else np.float32(rule.most or np.inf),
            None if drive.scale is None else of_some(drive.scale),
            None if extra is None else as_numpy(layout.flat(extra)).reshape(-1),
            0 if extra is None else FORM[extra.dtype],
            None if extra is None else of_some(1.0 if drive.extra_scale is None else drive.extra_scale),
            of_some(0.0 if drive.bias is None else drive.bias),
            of_some(threshold),
            v.view(-1).numpy(),
            out.view(-1).numpy(),
        ),
    )
    return layout.named(out), (layout.named_state(v),)


def _of_channels(value: Tensor | None) -> bool:
    """Whether this is one number, or one for each channel, ``(C, 1, 1)``."""
    return value is None or value.numel() == 1 or (value.dim() == 3 and value.shape[1:].numel() == 1)

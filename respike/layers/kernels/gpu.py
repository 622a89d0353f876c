"""The equations compiled for CUDA with Triton: potentials stay in registers while time goes by.

Arrays are ``(T, N, neurons)`` in the order in which they lie in memory, as in ``cpu``. Nothing waits for the
device. Without fused multiply-add and with divisions rounded as IEEE says, so that no rounding differs from torch's.

Triton reads the annotations too and knows no names but its own, hence ``tl.tensor`` for numbers and pointers alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from .. import equations
from . import eager
from .eager import State
from .gpu_firing import compiled as _compiled
from .gpu_firing import fire as _fire
from .layout import Layout
from .rule import Drive, Rule, Send

DTYPES = {torch.float32, torch.bfloat16, torch.int8}
BLOCK = 1024
"""Neurons, or for a pool sums, that a program holds in its registers."""
EXACT = {"enable_fp_fusion": False}


@_compiled
def _current(
    values: tl.tensor,
    value_scale: tl.tensor,
    extra: tl.tensor,
    extra_scale: tl.tensor,
    bias: tl.tensor,
    at: tl.tensor,
    inside: tl.tensor,
) -> tl.tensor:
    """``eager.current``, its parts given as pointers and rows, None for those that are not there."""
    x = tl.load(values + at, mask=inside, other=0).to(tl.float32)
    if value_scale is not None:
        x = x * value_scale
    if extra is not None:
        more = tl.load(extra + at, mask=inside, other=0).to(tl.float32)
        if extra_scale is not None:
            more = more * extra_scale
        x = x + more
    if bias is not None:
        x = x + bias
    return x


@_compiled
def _scan(
    values: tl.tensor,
    value_scale: tl.tensor,
    extra: tl.tensor,
    extra_scale: tl.tensor,
    bias: tl.tensor,
    theta: tl.tensor,
    lost: tl.tensor,
    send_scale: tl.tensor,
    v: tl.tensor,
    net: tl.tensor,
    out: tl.tensor,
    steps: tl.tensor,
    size: tl.tensor,
    neurons: tl.tensor,
    alpha: tl.tensor,
    floor: tl.tensor,
    constant: tl.constexpr,
    most: tl.constexpr,
    levels: tl.constexpr,
    signed: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """All timesteps of ``block`` neurons; ``v`` and ``net`` become what the last one leaves."""
    start = tl.program_id(0).to(tl.int64) * block
    at = tl.arange(0, block)
    inside = start + at < size
    k = ((start % neurons).to(tl.int32) + at) % neurons
    values, v, out = values + start, v + start, out + start
    v_, theta_ = tl.load(v + at, mask=inside, other=0.0), tl.load(theta + k)
    value_scale_ = tl.load(value_scale + k) if value_scale is not None else None
    extra_scale_ = tl.load(extra_scale + k) if extra_scale is not None else None
    bias_ = tl.load(bias + k) if bias is not None else None
    lost_ = tl.load(lost + k) if lost is not None else None
    send_scale_ = tl.load(send_scale + k) if send_scale is not None else None
    if extra is not None:
        extra = extra + start
    net_ = None
    if net is not None:
        net = net + start
        net_ = tl.load(net + at, mask=inside, other=0.0)
    x = tl.zeros((block,), tl.float32)
    if constant:
        x = _current(values, value_scale_, extra, extra_scale_, bias_, at, inside)
    for _ in range(steps):
        if not constant:
            x = _current(values, value_scale_, extra, extra_scale_, bias_, at, inside)
            values += size
            if extra is not None:
                extra += size
        v_ = alpha * v_ + x + lost_ if lost_ is not None else v_ + x
        s = _fire(v_, theta_, net_, most, levels, signed)
        v_ = v_ - s * theta_
        if floor is not None:
            above = v_ - floor * theta_
            v_ = tl.where(above <= 0.0, 0.0, above) + floor * theta_
        if net_ is not None:
            net_ = net_ + s
        if send_scale_ is not None:
            s = s * send_scale_
        tl.store(out + at, s.to(out.dtype.element_ty), mask=inside)
        out += size
    tl.store(v + at, v_, mask=inside)
    if net_ is not None:
        tl.store(net + at, net_, mask=inside)


def scan(rule: Rule, drive: Drive, threshold: Tensor, state: State, send: Send) -> tuple[Tensor, State]:
    """See ``_choice.scan``."""
    sent = send.dtype or torch.float32
    given = {drive.values.dtype, sent} | ({drive.extra.dtype} if drive.extra is not None else set())
    if not given <= DTYPES:
        return eager.scan(rule, drive, threshold, state, send)
    layout = Layout(drive.values)
    out = layout.empty(drive.steps, sent)
    v, *counts = (layout.state(s) for s in state)
    lost = None if rule.alpha is None else equations.leak_compensation(torch.tensor(rule.alpha), threshold)

    def row(value: Tensor | float | None) -> Tensor | None:
        return None if value is None or (isinstance(value, float) and value == 1.0) else layout.row(value)

    if out.numel():
        with torch.cuda.device_of(out):
            _scan[(triton.cdiv(v.numel(), BLOCK),)](
                layout.flat(drive.values),
                row(drive.scale),
                None if drive.extra is None else layout.flat(drive.extra),
                row(drive.extra_scale),
                row(drive.bias),
                row(threshold),
                row(lost),
                row(send.scale),
                v,
                counts[0] if rule.counts else None,
                out,
                drive.steps,
                v.numel(),
                layout.neurons,
                rule.alpha,
                rule.floor,
                constant=len(drive.values) == 1,
                most=rule.most or 1 if rule.signed else rule.most,
                levels=rule.levels if rule.signed else 1,
                signed=rule.signed,
                block=BLOCK,
                **EXACT,
            )
    return layout.named(out), tuple(layout.named_state(s) for s in (v, *counts))


@_compiled
def _add_up(values: tl.tensor, total: tl.tensor, steps: tl.tensor, size: tl.tensor, block: tl.constexpr) -> None:
    """All steps onto ``total``, one after the other."""
    start = tl.program_id(0).to(tl.int64) * block
    at = tl.arange(0, block)
    inside = start + at < size
    values, total = values + start, total + start
    sums = tl.load(total + at, mask=inside, other=0.0)
    for _ in range(steps):
        sums += tl.load(values + at, mask=inside, other=0).to(tl.float32)
        values += size
    tl.store(total + at, sums, mask=inside)


@_compiled
def _pool(
    values: tl.tensor,
    total: tl.tensor,
    pooled: tl.tensor,
    out: tl.tensor,
    steps: tl.tensor,
    given_step: tl.tensor,
    made_step: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    high: tl.tensor,
    wide: tl.tensor,
    kernel_y: tl.tensor,
    kernel_x: tl.tensor,
    stride_y: tl.tensor,
    stride_x: tl.tensor,
    padding_y: tl.tensor,
    padding_x: tl.tensor,
    dilation_y: tl.tensor,
    dilation_x: tl.tensor,
    window: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """A sample's outputs, ``high`` by ``wide`` places channels last, each from the sums that its window sees."""
    given, made = height * width * channels, high * wide * channels
    blocks = tl.cdiv(made, block)
    sample = (tl.program_id(0) // blocks).to(tl.int64)
    values, total = values + sample * given, total + sample * given
    out, pooled = out + sample * made, pooled + sample * made
    j = tl.program_id(0) % blocks * block + tl.arange(0, block)[None, :]
    inside = j < made
    place, channel = j // channels, j % channels
    w = tl.arange(0, window)[:, None]
    y = place // wide * stride_y - padding_y + w // kernel_x * dilation_y
    x = place % wide * stride_x - padding_x + w % kernel_x * dilation_x
    seen = inside & (w < kernel_y * kernel_x) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    at = (y * width + x) * channels + channel
    sums = tl.load(total + at, mask=seen, other=float("-inf"))  # what lies outside stays there
    sums = tl.where(inside, sums, 0.0)
    before = tl.load(pooled + j, mask=inside, other=0.0)
    for _ in range(steps):
        sums += tl.load(values + at, mask=seen, other=0).to(tl.float32)
        highest = tl.max(sums, axis=0, keep_dims=True)
        tl.store(out + j, (highest - before).to(out.dtype.element_ty), mask=inside)
        before = highest
        values += given_step
        out += made_step
    tl.store(pooled + j, before, mask=inside)


def pooled_increments(
    values: Tensor, pool: Callable[[Tensor], Tensor], sums: tuple[Tensor, Tensor] | None, geometry: Any
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See ``_choice.pooled_increments``."""
    if geometry is None or values.dtype not in DTYPES or not values.numel():
        return eager.pooled_increments(values, pool, sums, geometry)
    kernel, stride, padding, dilation = geometry
    window = triton.next_power_of_2(kernel[0] * kernel[1])
    if window > BLOCK:
        return eager.pooled_increments(values, pool, sums, geometry)
    steps, samples, channels, *size = values.shape
    shape = [(size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
    if sums is None:
        total = values.new_zeros(samples, *size, channels, dtype=torch.float32)
        pooled = values.new_zeros(samples, *shape, channels, dtype=torch.float32)
    else:
        total, pooled = (s.movedim(1, -1).clone(memory_format=torch.contiguous_format) for s in sums)
    out = values.new_empty(steps, samples, *shape, channels)
    flat = values.movedim(2, -1).contiguous()
    block = BLOCK // window
    numbers = (channels, *size, *shape, *kernel, *stride, *padding, *dilation)
    sizes = (steps, total.numel(), pooled.numel())
    alone = {"num_warps": 1, **EXACT}  # so that maxima are taken without waiting for other warps
    with torch.cuda.device_of(out):
        _pool[(samples * triton.cdiv(pooled[0].numel(), block),)](
            flat, total, pooled, out, *sizes, *numbers, window=window, block=block, **alone
        )
        _add_up[(triton.cdiv(total.numel(), BLOCK),)](flat, total, steps, total.numel(), block=BLOCK, **EXACT)
    return out.movedim(-1, 2), (total.movedim(-1, 1), pooled.movedim(-1, 1))

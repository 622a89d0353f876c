"""All timesteps of a layer with gradients, compiled for the CPU: forward and back in two passes over memory.

Arrays are ``(N, T, neurons)``, time inside a sample, as layers that are trained have them. Only the currents are kept
for the way back; potentials and spikes are computed again from them, and the gradients that ``RateNeuron`` states are
taken from the last step to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import equations
from .cpu_parts import GRADED, SIGNED, bounded, compiled, fired, kind_of, limits_of
from .layout import Layout
from .rule import Rule

WIDTH = 256
"""Neurons at a time: a few dozen steps of their potentials and spikes fit the second-level cache."""


@cache
def _forward(kind: int, levels: int, leaky: bool, floored: bool) -> Any:
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(
        most: Any, alpha: Any, floor: Any, x: Any, bias: Any, theta: Any, lost: Any, v: Any, net: Any, out: Any
    ) -> None:
        samples, steps, _ = x.shape
        for a in range(samples):
            v_ = v[a]
            if signed:
                net_ = net[a]
            for t in range(steps):
                x_, out_ = x[a, t], out[a, t]
                for k in range(len(v_)):
                    i = x_[k] + bias[k]
                    u = alpha * v_[k] + i + lost[k] if leaky else v_[k] + i
                    s = fired(kind, most, top, finest, u, theta[k], net_[k] if signed else zero)
                    u = u - s * theta[k]
                    v_[k] = bounded(u, floor * theta[k]) if floored else u
                    if signed:
                        net_[k] = net_[k] + s
                    out_[k] = s

    return compiled(kernel)


@cache
def _backward(kind: int, levels: int, leaky: bool, floored: bool) -> Any:
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    half, one, two = np.float32(0.5 ** (levels - 1) / 2), np.float32(1.0), np.float32(2.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(
        most: Any, alpha: Any, floor: Any, x: Any, bias: Any, theta: Any, lost: Any, v: Any, net: Any,
        by_spikes: Any, by_v: Any, by_x: Any, by_theta: Any, by_bias: Any,
    ) -> None:  # fmt: skip
        samples, steps, neurons = x.shape
        potentials, spikes = np.empty((steps, WIDTH), np.float32), np.empty((steps, WIDTH), np.float32)
        counts = np.empty((steps, WIDTH), np.float32)
        totals, charges = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
        for a in range(samples):
            for start in range(0, neurons, WIDTH):
                cut = slice(start, min(start + WIDTH, neurons))
                v_, b_, th_, g_ = v[a, cut], bias[cut], theta[cut], by_v[a, cut]
                if signed:
                    net_ = net[a, cut]
                if leaky:
                    lost_ = lost[cut]
                for t in range(steps):
                    x_, u_, s_, n_ = x[a, t, cut], potentials[t], spikes[t], counts[t]
                    for j in range(len(v_)):
                        i = x_[j] + b_[j]
                        u = alpha * v_[j] + i + lost_[j] if leaky else v_[j] + i
                        n = net_[j] if signed else zero
                        s = fired(kind, most, top, finest, u, th_[j], n)
                        u_[j], s_[j] = u, s
                        u = u - s * th_[j]
                        v_[j] = bounded(u, floor * th_[j]) if floored else u
                        if signed:
                            n_[j] = n
                            net_[j] = n + s
                totals[:] = zero
                charges[:] = zero
                for t in range(steps - 1, -1, -1):
                    u_, s_, n_, w_, gx_ = potentials[t], spikes[t], counts[t], by_spikes[a, t, cut], by_x[a, t, cut]
                    for j in range(len(v_)):
                        th, u, s, g, total = th_[j], u_[j], s_[j], g_[j], totals[j]
                        if floored:
                            held = u - s * th - floor * th <= zero
                            total = total + floor * g if held else total
                            g = zero if held else g
                        units = u / th
                        smooth = units - half
                        lowest = -min(n_[j], most) if signed else zero
                        by_spike = (w_[j] - th * g) / th
                        by_u = by_spike if smooth > lowest and smooth < most else zero
                        total = total - s * g - by_u * units
                        g = g + by_u
                        gx_[j] = g
                        charges[j] = charges[j] + g
                        if leaky:
                            total = total + (one - alpha) / two * g
                            g = alpha * g
                        totals[j] = total
                        g_[j] = g
                for j in range(len(v_)):
                    by_theta[start + j] += totals[j]
                    by_bias[start + j] += charges[j]

    return compiled(kernel)


class Scan(torch.autograd.Function):
    """Spikes ``(N, T, ...)`` of currents of the same shape, in units of θ, and the state that they leave."""

    @staticmethod
    def forward(
        ctx: Any, currents: Tensor, threshold: Tensor, bias: Tensor, v: Tensor, net: Tensor | None, rule: Rule
    ) -> tuple[Tensor, ...]:
        """See ``RateNeuron``; ``v`` and ``net`` are ``(N, ...)`` and not changed."""
        run = _Run(rule, currents, threshold, bias, v, net)
        out = torch.empty_like(run.x)
        state = [s.clone() for s in run.state]
        run.over_samples(_forward(*run.key), lambda cut: (*run.of(cut, state), out[cut].numpy()))
        ctx.save_for_backward(currents, threshold, bias, v, *([] if net is None else [net]))
        ctx.rule = rule
        found = run.named(out), *(run.named(s[:, None])[:, 0] for s in state)
        if net is not None:
            ctx.mark_non_differentiable(found[2])
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of the smoothed count, see ``RateNeuron``."""
        currents, threshold, bias, v, *rest = ctx.saved_tensors
        run = _Run(ctx.rule, currents, threshold, bias, v, rest[0] if rest else None)
        by_spikes, by_v = run.flat(grads[0]), run.flat(grads[1][:, None])[:, 0].clone()
        by_x = torch.empty_like(run.x)
        state = [s.clone() for s in run.state]
        none = np.zeros(run.x.shape[2])
        sums = [(none, none)]

        def parts(cut: slice) -> tuple[Any, ...]:
            sums.append((np.zeros_like(none), np.zeros_like(none)))
            return (*run.of(cut, state), by_spikes[cut].numpy(), by_v[cut].numpy(), by_x[cut].numpy(), *sums[-1])

        run.over_samples(_backward(*run.key), parts)
        by_theta, by_bias = (
            run.named(torch.from_numpy(sum(found)).float()[None, None])[0].sum_to_size(like.shape)
            for found, like in zip(zip(*sums, strict=True), (threshold, bias), strict=True)
        )
        return run.named(by_x), by_theta, by_bias, run.named(by_v[:, None])[:, 0], None, None


class _Run:
    """What both ways have in common: all as it lies in memory."""

    def __init__(
        self, rule: Rule, currents: Tensor, threshold: Tensor, bias: Tensor, v: Tensor, net: Tensor | None
    ) -> None:
        self.layout = Layout(currents)
        self.x = self.flat(currents)
        lost = None if rule.alpha is None else equations.leak_compensation(torch.tensor(rule.alpha), threshold)
        self.rows = [None if row is None else self.layout.row(row).numpy() for row in (bias, threshold, lost)]
        self.state = [self.flat(s[:, None])[:, 0] for s in ([v] if net is None else [v, net])]
        self.limits = limits_of(rule)
        self.key = kind_of(rule), rule.levels, rule.alpha is not None, rule.floor is not None

    def flat(self, values: Tensor) -> Tensor:
        """``(N, T, neurons)`` in the order of the currents."""
        inner = values.detach().permute(0, 1, *self.layout.order).contiguous()
        return inner.reshape(*values.shape[:2], self.layout.neurons)

    def named(self, values: Tensor) -> Tensor:
        """The same memory with axes in the usual order."""
        order = self.layout.order
        sizes = [self.layout.shape[i - 1] for i in order]
        back = [0, 1, *(2 + order.index(i) for i in range(2, 2 + len(order)))]
        return values.reshape(*values.shape[:2], *sizes).permute(back)

    def of(self, cut: slice, state: list[Tensor]) -> tuple[Any, ...]:
        """A kernel's first arguments for some samples."""
        v, net = state[0][cut].numpy(), state[1][cut].numpy() if len(state) > 1 else None
        return (*self.limits, self.x[cut].numpy(), *self.rows, v, net)

    def over_samples(self, kernel: Any, parts: Callable[[slice], tuple[Any, ...]]) -> None:
        """Call a kernel on all samples, in as many threads as torch has."""
        samples, threads = len(self.x), torch.get_num_threads()
        if not self.x.numel():
            return
        size = -(-samples // threads)
        given = [parts(slice(start, min(start + size, samples))) for start in range(0, samples, size)]
        if len(given) == 1:
            kernel(*given[0])
            return
        with ThreadPoolExecutor(len(given)) as pool:
            for done in [pool.submit(kernel, *args) for args in given]:
                done.result()

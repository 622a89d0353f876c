"""All timesteps of a layer with gradients, compiled for the CPU: forward and back in two passes over memory.

Arrays are ``(N, T, neurons)``, time inside a sample, as layers that are trained have them. Only the currents are kept
for the way back; potentials and spikes are computed again from them, and the gradients that ``RateNeuron`` states are
taken from the last step to the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ... import equations
from ..layout import Layout
from ..rule import Rule
from .parts import BINARY, GRADED, SIGNED, bounded, compiled, copy, fired, kind_of, limits_of

WIDTH = 256
"""Neurons at a time: a few dozen steps of their potentials and spikes fit the second-level cache."""


@cache
def _forward(kind: int, levels: int, leaky: bool, floored: bool, weighted: bool) -> Any:
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    signed = kind in (SIGNED, GRADED)

    def kernel(
        most: Any, alpha: Any, floor: Any, x: Any, bias: Any, theta: Any, lost: Any, v: Any, net: Any, out: Any
    ) -> Any:
        samples, steps, _ = x.shape
        sent = np.int64(0)  # a whole number of the smallest spikes: its sum is the same in any order, and free
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
                    out_[k] = s * theta[k] if weighted else s
                    sent += np.int64(s * finest)
        return sent / finest

    return compiled(kernel)


@cache
def _backward(kind: int, levels: int, leaky: bool, floored: bool, weighted: bool) -> Any:
    top, finest, zero = levels - 1, np.float32(2 ** (levels - 1)), np.float32(0.0)
    half, one, two = np.float32(0.5 ** (levels - 1) / 2), np.float32(1.0), np.float32(2.0)
    signed = kind in (SIGNED, GRADED)

    # Short loops of one or two results each: of longer ones the compiler cannot tell that their arrays do not overlap,
    # and goes neuron by neuron.
    def kernel(
        most: Any, alpha: Any, floor: Any, x: Any, bias: Any, theta: Any, lost: Any, v: Any, net: Any,
        by_each: Any, by_spikes: Any, by_v: Any, by_x: Any, by_theta: Any, by_bias: Any,
    ) -> None:  # fmt: skip
        samples, steps, neurons = x.shape
        potentials, spikes = np.empty((steps, WIDTH), np.float32), np.empty((steps, WIDTH), np.float32)
        counts = np.empty((steps, WIDTH), np.float32)
        totals, charges = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
        by_u_, level_, net_sent = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
        for a in range(samples):
            for start in range(0, neurons, WIDTH):
                cut = slice(start, min(start + WIDTH, neurons))
                v_, b_, th_, g_ = level_[: cut.stop - start], bias[cut], theta[cut], by_v[a, cut]
                copy(v[a, cut], v_)
                if signed:
                    net_ = net_sent[: cut.stop - start]
                    copy(net[a, cut], net_)
                if leaky:
                    lost_ = lost[cut]
                for t in range(steps):
                    x_, u_, s_, n_ = x[a, t, cut], potentials[t], spikes[t], counts[t]
                    for j in range(len(v_)):
                        i = x_[j] + b_[j]
                        u_[j] = alpha * v_[j] + i + lost_[j] if leaky else v_[j] + i
                    for j in range(len(v_)):
                        if kind == BINARY:  # said here, it is done for many neurons at a time
                            s_[j] = one if u_[j] >= th_[j] else zero
                        else:
                            s_[j] = fired(kind, most, top, finest, u_[j], th_[j], net_[j] if signed else zero)
                    for j in range(len(v_)):
                        u = u_[j] - s_[j] * th_[j]
                        v_[j] = bounded(u, floor * th_[j]) if floored else u
                    if signed:
                        for j in range(len(v_)):
                            n_[j] = net_[j]
                            net_[j] = net_[j] + s_[j]
                totals[:] = zero
                charges[:] = zero
                for t in range(steps - 1, -1, -1):
                    u_, s_, n_, w_, gx_ = potentials[t], spikes[t], counts[t], by_spikes[a, t, cut], by_x[a, t, cut]
                    if floored:
                        for j in range(len(v_)):
                            g, th = g_[j], th_[j]
                            held = u_[j] - s_[j] * th - floor * th <= zero
                            totals[j] = totals[j] + floor * g if held else totals[j]
                            g_[j] = zero if held else g
                    for j in range(len(v_)):
                        th = th_[j]
                        smooth = u_[j] / th - half
                        lowest = -min(n_[j], most) if signed else zero
                        by_spike = (w_[j] if weighted else w_[j] / th) + by_each / th - g_[j]
                        by_u_[j] = by_spike if (smooth > lowest) & (smooth < most) else zero
                    for j in range(len(v_)):
                        by_s = w_[j] - g_[j] if weighted else -g_[j]
                        totals[j] = totals[j] + s_[j] * by_s - by_u_[j] * (u_[j] / th_[j])
                    for j in range(len(v_)):
                        g = g_[j] + by_u_[j]
                        g_[j] = g
                        gx_[j] = g
                    for j in range(len(v_)):
                        charges[j] = charges[j] + g_[j]
                    if leaky:
                        for j in range(len(v_)):
                            totals[j] = totals[j] + (one - alpha) / two * g_[j]
                            g_[j] = alpha * g_[j]
                for j in range(len(v_)):
                    by_theta[start + j] += totals[j]
                    by_bias[start + j] += charges[j]

    return compiled(kernel)


class Scan(torch.autograd.Function):
    """Spikes ``(N, T, ...)`` of currents of the same shape, their mean s, and the state that they leave."""

    @staticmethod
    def forward(
        ctx: Any,
        currents: Tensor,
        threshold: Tensor,
        bias: Tensor,
        v: Tensor,
        net: Tensor | None,
        rule: Rule,
        weighted: bool,
    ) -> tuple[Tensor, ...]:
        """See ``RateNeuron``; ``v`` and ``net`` are ``(N, ...)`` and not changed.

        Spikes are numbers s in units of θ, or s·θ if ``weighted``: what is sent on, without a pass of its own.
        """
        ctx.set_materialize_grads(False)
        run = _Run(rule, currents, threshold, bias, v, net, weighted)
        out, *states = run.empty(), *(run.empty(s) for s in run.state)
        flat, state = run.flat(out), [run.flat(s[:, None])[:, 0] for s in states]
        sent = run.over_samples(_forward(*run.key), lambda cut: (*run.of(cut, state), flat[cut].numpy()))
        rate = currents.new_tensor(sum(sent) / run.x.numel() if sent else math.nan)
        kept = currents.clone() if currents.is_inference() else currents  # which autograd refuses to keep
        ctx.save_for_backward(kept, threshold, bias, v, *([] if net is None else [net]))
        ctx.rule, ctx.weighted = rule, weighted
        if net is not None:
            ctx.mark_non_differentiable(states[1])
        return out, rate, *states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Gradients of the smoothed count, see ``RateNeuron``."""
        currents, threshold, bias, v, *rest = ctx.saved_tensors
        run = _Run(ctx.rule, currents, threshold, bias, v, rest[0] if rest else None, ctx.weighted)
        by_x = torch.empty_like(run.x)
        by_spikes = torch.zeros_like(run.x) if grads[0] is None else run.flat(grads[0])
        by_each = np.float32(0 if grads[1] is None else float(grads[1]) / max(1, run.x.numel()))
        # Most often nothing asks for the potentials that are left.
        by_v = torch.zeros_like(run.state[0]) if grads[2] is None else run.flat(grads[2][:, None])[:, 0].clone()
        none = np.zeros(run.x.shape[2])
        sums = [(none, none)]

        def parts(cut: slice) -> tuple[Any, ...]:
            sums.append((np.zeros_like(none), np.zeros_like(none)))
            given = (x[cut].numpy() for x in (by_spikes, by_v, by_x))
            return (*run.of(cut, run.state), by_each, *given, *sums[-1])

        run.over_samples(_backward(*run.key), parts)
        by_theta, by_bias = (
            run.named(torch.from_numpy(sum(found)).float()[None, None])[0].sum_to_size(like.shape)
            for found, like in zip(zip(*sums, strict=True), (threshold, bias), strict=True)
        )
        return run.named(by_x), by_theta, by_bias, run.named(by_v[:, None])[:, 0], None, None, None


class _Run:
    """What both ways have in common: all as it lies in memory."""

    def __init__(
        self,
        rule: Rule,
        currents: Tensor,
        threshold: Tensor,
        bias: Tensor,
        v: Tensor,
        net: Tensor | None,
        weighted: bool,
    ) -> None:
        self.layout = Layout(currents)
        self.x = self.flat(currents)
        lost = None if rule.alpha is None else equations.leak_compensation(torch.tensor(rule.alpha), threshold)
        self.rows = [None if row is None else self.layout.laid_out(row).numpy() for row in (bias, threshold, lost)]
        self.state = [self.flat(s[:, None])[:, 0] for s in ([v] if net is None else [v, net])]
        self.limits = limits_of(rule)
        self.key = kind_of(rule), rule.levels, rule.alpha is not None, rule.floor is not None, weighted

    def flat(self, values: Tensor) -> Tensor:
        """``(N, T, neurons)`` in the order of the currents."""
        inner = values.detach().permute(0, 1, *self.layout.order).contiguous()
        return inner.reshape(*values.shape[:2], self.layout.neurons)

    def empty(self, state: Tensor | None = None) -> Tensor:
        """Memory of its own for spikes, or for a state and filled with it: views could not be changed in place."""
        shape, order = self.layout.shape, [i - 1 for i in self.layout.order]
        samples, steps = self.x.shape[:2]
        sizes, axes = ((samples, steps), 2) if state is None else ((samples,), 1)
        strides, size = [0] * (axes + len(order)), 1
        for i in reversed(order):
            strides[axes + i - 1], size = size, size * shape[i]
        for i in reversed(range(axes)):
            strides[i], size = size, size * sizes[i]
        made = torch.empty_strided((*sizes, *shape[1:]), strides)
        if state is not None:
            self.flat(made[:, None])[:, 0].copy_(state)
        return made

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

    def over_samples(self, kernel: Any, parts: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        """Call a kernel on all samples, in as many threads as torch has; what it returns in each."""
        samples, threads = len(self.x), torch.get_num_threads()
        if not self.x.numel():
            return []
        size = -(-samples // threads)
        given = [parts(slice(start, min(start + size, samples))) for start in range(0, samples, size)]
        if len(given) == 1:
            return [kernel(*given[0])]
        with ThreadPoolExecutor(len(given)) as pool:
            return [done.result() for done in [pool.submit(kernel, *args) for args in given]]

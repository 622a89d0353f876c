"""Which kernel runs: by device and by what is installed, unless the user says otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from . import eager
from .eager import State
from .rule import Drive, Rule, Send, Trials

BACKENDS = {"eager": "torch, every device", "numba": "compiled for the CPU", "triton": "compiled for CUDA"}
VARIABLE = "RESPIKE_KERNELS"

_chosen: str | None = None


def use(backend: str | None) -> None:
    """Take one backend wherever it can run; None: choose again.

    Raises:
        ValueError: no such backend, or its package is not installed.
    """
    global _chosen
    if backend not in (None, *BACKENDS):
        raise InputError(f"unknown kernels {backend!r}; there are {', '.join(BACKENDS)}")
    if backend is not None and backend not in available():
        raise InputError(f"the kernels {backend!r} need the package {backend}: pip install {backend}")
    _chosen = backend


def available() -> list[str]:
    """The backends whose packages are installed."""
    return [name for name in BACKENDS if name == "eager" or _installed(name)]


@cache
def _installed(name: str) -> bool:
    return find_spec(name) is not None


def backend_for(device: torch.device) -> str:
    """The backend that runs on a device.

    Raises:
        ValueError: the environment variable ``RESPIKE_KERNELS`` names none.
    """
    wanted = _chosen or os.environ.get(VARIABLE) or None
    if wanted is not None and wanted not in BACKENDS:
        raise InputError(f"{VARIABLE}={wanted!r}: there are {', '.join(BACKENDS)}")
    natural = {"cpu": "numba", "cuda": "triton"}.get(device.type, "eager")
    if wanted not in (None, natural) or not _installed(natural):
        return "eager"
    return natural


_MODULES = {"eager": "eager", "numba": "cpu", "triton": "gpu"}


def _kernels(device: torch.device) -> ModuleType:
    return import_module(f".{_MODULES[backend_for(device)]}", __package__)  # the compilers load slowly: when needed


@torch.no_grad()
def scan(rule: Rule, drive: Drive, threshold: Tensor, state: State, send: Send) -> tuple[Tensor, State]:
    """A layer of neurons over all timesteps, without gradient: charge, fire, soft reset.

    Args:
        rule: The neuron.
        drive: What drives it; not changed.
        threshold: θ, broadcasting over ``(N, ...)``.
        state: Potential before the first step and, for neurons that can take spikes back, net count; each
            broadcasting over ``(N, ...)``, not changed.
        send: The form of what is sent.

    Returns:
        What is sent, ``(T, N, ...)``, and the state after the last step.

    Raises:
        ValueError: currents of another number of steps than T or 1, or two of different shapes.
    """
    if drive.synapses is not None:
        fused = getattr(_kernels(drive.values.device), "driven_scan", None)
        found = None if fused is None else fused(rule, drive, threshold, state, send)
        if found is not None:
            return found  # type: ignore[no-any-return]
        drive = drive.summed()
    values, extra = drive.values, drive.extra
    if len(values) not in (1, drive.steps) or (extra is not None and extra.shape != values.shape):
        shapes = f"{tuple(values.shape)}" + ("" if extra is None else f" and {tuple(extra.shape)}")
        raise InputError(f"currents of shape {shapes} do not fit {drive.steps} timesteps")
    return _kernels(values.device).scan(rule, drive, threshold, state, send)  # type: ignore[no-any-return]


def differentiable_scan(currents: Tensor) -> Callable[..., tuple[Tensor, ...]] | None:
    """All steps of a layer with gradients in one pass, see ``cpu.training.Scan``; None where no kernel does that.

    Args:
        currents: ``(N, T, ...)``.
    """
    if currents.dtype != torch.float32 or currents.dim() < 2 or backend_for(currents.device) != "numba":
        return None
    found: Callable[..., tuple[Tensor, ...]] = import_module(".cpu.training", __package__).Scan.apply
    return found


def why_dense(
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    shared: bool = False,
) -> str:
    """Why a dense convolution is better than ``event_synapses``, if about one input in ten is not 0; ``""`` if not.

    That depends on device, type and geometry alone, never on the spikes: sums are rounded differently, and the same
    input is to give the same spikes in any batch. Arguments as for ``event_synapses``; ``shared``: other synapses add
    up the same events.
    """
    backend = backend_for(weight.device)
    if backend != "numba":
        return f"no kernel for {backend} on {weight.device.type}"
    if weight.dtype != torch.float32:
        return f"weights in {str(weight.dtype).removeprefix('torch.')}"
    found: str = import_module(".cpu.synapses", __package__).why_dense(
        weight, stride, padding, dilation, groups, shared
    )
    return found


def sparse_below(
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    side: int,
) -> float:
    """The share of active inputs below which ``event_synapses`` are better than vectors of 8-bit numbers, too.

    Arguments as for ``event_synapses``; ``side``: the shortest of a map of outputs.
    """
    module = import_module(".cpu.synapses", __package__)
    found: float = module.sparse_below(weight, stride, padding, dilation, groups, side)
    return found


def event_synapses(
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Callable[[Tensor], Tensor]:
    """A convolution of spikes whose cost follows their number, see ``cpu.synapses``; ``why_dense`` says where.

    Args:
        weight: ``(F, C, kh, kw)``; float32, or whole numbers from −127 to 127, int8, for spikes that are int8 too.
        bias: ``(F,)`` or None.
        stride, padding, dilation: ``(vertical, horizontal)``.
        groups: Groups of channels.
    """
    kind = import_module(".cpu.synapses", __package__).EventSynapses
    made: Callable[[Tensor], Tensor] = kind(weight, bias, stride, padding, dilation, groups)
    return made


@torch.no_grad()
def trial_errors(
    rule: Rule, values: Tensor, target: Tensor, trials: Trials, rows: slice, sent: Tensor | None = None
) -> Tensor:
    """For each of several settings of a layer the sum of (θ·n/T − target)² over some positions, n the net spikes.

    Args:
        rule: The neuron.
        values: Currents ``(T, S, C)``, or ``(1, S, C)`` if they are the same in every step.
        target: What each position is to send on average, ``(S, C)``.
        trials: The settings.
        rows: Which of the S positions.
        sent: Is filled with θ·n/T, ``(trials, rows, C)``, contiguous; None: nobody wants it.

    Returns:
        ``(trials, C)``, in float64.
    """
    module = _kernels(values.device)
    return getattr(module, "trial_errors", eager.trial_errors)(rule, values, target, trials, rows, sent)


@torch.no_grad()
def pooled_increments(
    values: Tensor,
    pool: Callable[[Tensor], Tensor],
    sums: tuple[Tensor, Tensor] | None = None,
    geometry: Any = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """out_t = pool(x_1 + ... + x_t) − pool(x_1 + ... + x_(t−1)): a max-pool of sums, differenced.

    Args:
        values: x, ``(T, N, C, H, W)``; sums are taken in float32.
        pool: The max-pool, ``(N, C, H, W)`` to ``(N, C, H', W')``.
        sums: Sums over the steps before, and their pool, as the call before returned them.
        geometry: ``(kernel, stride, padding, dilation)``, pairs, if it is a plain one, for kernels that do without
            ``pool``.

    Returns:
        Increments ``(T, N, C, H', W')`` of the type of ``values``, and the sums.
    """
    return _kernels(values.device).pooled_increments(values, pool, sums, geometry)  # type: ignore[no-any-return]


@torch.no_grad()
def pooled_scan(
    rule: Rule,
    drive: Drive,
    threshold: Tensor,
    state: State,
    send: Send,
    pool: Callable[[Tensor], Tensor],
    sums: tuple[Tensor, Tensor] | None = None,
    geometry: Any = None,
) -> tuple[Tensor, State, tuple[Tensor, Tensor]]:
    """``pooled_increments`` of what ``scan`` sends, in one pass where there is a kernel for it.

    Args:
        rule, drive, threshold, state, send: As for ``scan``.
        pool, sums, geometry: As for ``pooled_increments``.

    Returns:
        Increments, the neurons' state and the sums.
    """
    drive = drive.summed()
    fused = getattr(_kernels(drive.values.device), "pooled_scan", None)
    found = None if fused is None else fused(rule, drive, threshold, state, send, sums, geometry)
    if found is not None:
        return found  # type: ignore[no-any-return]
    sent, state = scan(rule, drive, threshold, state, send)
    increments, sums = pooled_increments(sent, pool, sums, geometry)
    return increments, state, sums

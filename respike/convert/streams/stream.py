"""A run that gets its frames one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...errors import InputError
from .. import checks
from ..errors import ConversionError, FormatError
from ..graph import BATCH
from ..run.before_run import number_type
from ..run.schedules.delayed import Delayed
from ..run.schedules.streaming import Streaming
from ..run.simulator import Simulator
from .samples import mask_of, require_apart
from .state_file import About, read_state, write_state

LONGEST = 2**53
"""Steps that are counted."""


class Stream:
    """A network under way: each call is a timestep, and gives the estimate after it.

    ``SpikingNetwork.stream`` makes it. Step by step it computes what one run over all frames computes, up to how a
    dense product of torch rounds by the number of images that it gets at once, and keeps only what the next step needs,
    however long it goes on. A stream has its own state: several may be under way in one network. In a ``with`` block
    the state is let go at its end.

    What a window forgets is what the estimate has seen. Potentials go on, and those that an old scene has inhibited
    keep neurons silent in a new one: ``reset`` where something new begins, or take ``snn.with_floor(-1.0)``.

    Pipelined, an estimate is that of the steps that have passed all layers, ``latency`` behind the frames; before the
    first of them it is that of no spikes.

    Args:
        snn: A network with the schedule ``"synchronous"`` or ``"pipelined"``.
        batch: Samples that run side by side.
        window: The estimate is the mean over so many last steps, from 1 to 65,536; None: over all.
        forgetting: λ, between 0 and 1, the factor of exponential forgetting: a step counts λ times as much as the one
            behind it. With an estimate of 1 / (1 − λ) steps or so, weighted by λ^(t − s) / Σ λ^(t − s). None: no step
            is forgotten.

    Raises:
        ConversionError: a layerwise network, an input that is encoded by latency, an option out of range, or both of
            ``window`` and ``forgetting``.
    """

    def __init__(
        self, snn: Simulator, batch: int, *, window: int | None = None, forgetting: float | None = None
    ) -> None:
        self.snn, self.batch = snn, checks.whole("batch", batch, 1, 2**31 - 1)
        if window is not None:
            window = checks.whole("window", window, 1, checks.STEPS, " or None")
        if forgetting is not None:
            forgetting = checks.number("forgetting", forgetting, " between 0 and 1, or None", above=0, below=1)
        if window is not None and forgetting is not None:
            raise ConversionError("window and forgetting are two ways to forget; give one of them")
        if snn.schedule == "layerwise":
            raise ConversionError(
                "a stream requires schedule='synchronous' or 'pipelined'; this network is layerwise: its layers wait "
                "for the whole input"
            )
        if any(encoding.encoder == "latency" for encoding in snn.graph.encodings.values()):
            raise ConversionError(
                "latency codes begin and end with a run, and a stream has no end; take another encoder"
            )
        self.window, self.forgetting = window, forgetting
        # An estimate of a few steps is that of a short run, however long the stream.
        self._longest = window if forgetting is None else round(1 / (1 - forgetting))
        self._graph = replace(snn.graph, moving=frozenset())  # of which each call gets one frame
        self._as_begun = self._settings()
        self._mode, self._open = self._begin(), True
        self._estimate: Any = None

    def _begin(self) -> Streaming:
        self._estimate = None
        if self.snn.schedule == "pipelined":
            return Delayed(self.snn.layers(), self.snn.plan, self.snn.delay, self.window, self.forgetting)
        return Streaming(self.snn.layers(), self.window, self.forgetting)

    @property
    def latency(self) -> int:
        """Steps from a frame to the estimate that counts it: 0, pipelined ``delay`` for each layer that waits."""
        return self._mode.latency if isinstance(self._mode, Delayed) else 0

    @property
    def steps(self) -> Tensor:
        """Frames that each sample has got since it began, ``(N,)``."""
        passed = torch.full((self.batch,), self._passed)
        return passed if self._mode.begun is None else passed - self._mode.begun.cpu()

    @property
    def _passed(self) -> int:
        ended = self._mode.ended if isinstance(self._mode, Delayed) else None
        return self._mode.elapsed + self._mode.steps if ended is None else ended

    def __call__(self, *args: Any) -> Any:
        """One timestep.

        Args:
            *args: Inputs as for the ANN, ``(N, ...)``: of those that move, the frame of this step.

        Returns:
            The estimate after this step, in the structure, shapes and units of the ANN's output.

        Raises:
            ValueError: inputs of another shape than the ANN's, of another number of samples, or with NaN or infinity in
                them; a network whose precision or schedule is another one than when the stream began; or a stream that
                has ended. The state is as before.
        """
        self._require()
        inputs = self._graph.flatten(args)
        for name, x in zip(self._graph.inputs, inputs, strict=True):
            if self._graph.inputs[name][:1] == (BATCH,) and len(x) != self.batch:
                raise InputError(f"the stream holds {self.batch} samples, and the input {name!r} has {len(x)}")
        moving = self.snn.graph.moving
        frames = [x.unsqueeze(1) if n in moving else x for n, x in zip(self._graph.inputs, inputs, strict=True)]
        self.snn._tell_of(min(self._passed + 1, self._longest or self._passed + 1))
        return self._step(frames)

    def _step(self, frames: list[Tensor]) -> Any:
        mode = self._mode
        before = mode.elapsed, mode.steps, dict(mode.state)  # no step writes into what another one has left
        try:
            (block,) = self.snn.blocks(frames, timesteps=1, held=mode, length=1)
        except BaseException:
            mode.elapsed, mode.steps, mode.state = before
            raise
        found = self.snn.output_at(block, 0)
        self._estimate = pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, found)
        return found

    def _settings(self) -> dict[str, str | int]:
        kind = str(number_type(self.snn.buffers())).removeprefix("torch.")
        return {"precision": self.snn.precision, "schedule": self.snn.schedule, "delay": self.snn.delay, "type": kind}

    def _require_open(self) -> None:
        if not self._open:
            raise InputError("the stream is closed; snn.stream(...) begins another one")

    def _require(self) -> None:
        self._require_open()
        if isinstance(self._mode, Delayed) and self._mode.ended is not None:
            raise InputError("the input has ended; reset() begins another one")
        for name, now in self._settings().items():
            began = self._as_begun[name]
            if now != began:
                raise InputError(f"the stream began with {name}={began!r}, and the network has {now!r} now; begin anew")

    def finish(self) -> Any:
        """The estimate once every frame has passed all layers: that of ``snn(frames)``; ``reset`` begins anew.

        A synchronous network has it already. Pipelined it takes ``latency`` more steps, without input.

        Raises:
            ValueError: a sample that has got no frame since it began, or the stream has ended.
        """
        self._require()
        idle = (self.steps == 0).nonzero().flatten().tolist()
        if idle:
            raise InputError(
                f"{len(idle)} of {self.batch} samples have no estimate yet: they got no frame since they began (the "
                f"first is number {idle[0]}, counted from 0)"
            )
        if not isinstance(self._mode, Delayed):
            return self._estimate
        self._mode.ended = self._passed
        moving, estimate = self.snn.graph.moving, self._estimate
        none = [x.unsqueeze(1) if n in moving else x for n, x in zip(self._graph.inputs, self._zeros(), strict=True)]
        for _ in range(self.latency):
            estimate = self._step(none)
        return estimate

    def reset(self, samples: Tensor | Sequence[int] | Sequence[bool] | None = None) -> None:
        """Put samples back to the start, as if they had begun anew; the others go on.

        Potentials, sums, maxima and the estimate are then those of a new stream, bit for bit.

        Args:
            samples: Their numbers, counted from 0, or a mask ``(N,)``; None: all.

        Raises:
            ConversionError: no such sample, or a network in which samples meet, where all can be reset and not some.
        """
        rows = None if samples is None else mask_of(samples, self.batch)
        if rows is None or bool(rows.all()):
            self._mode = self._begin()
            return
        require_apart(self.snn)
        if self._passed and bool(rows.any()):
            self._mode.restart(rows.to(next(self.snn.buffers()).device))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all; ``load`` goes on from it, in this process or another one.

        The file holds numbers, and nothing that can be run. It does not hold the network, but knows it again.

        Args:
            path: The file, say ``state.safetensors``.

        Raises:
            FileNotFoundError: the folder does not exist.
            WriteError: an ``OSError``: the system does not let the file be written.
        """
        checks.path("path", path)
        self._require()
        begun = torch.zeros(self.batch, dtype=torch.long) if self._mode.begun is None else self._mode.begun
        clock = {"passed": torch.tensor(self._passed), "begun": begun}
        held = self if self._passed else self._after_a_step()
        write_state(
            path, self.snn, self._about(), {**_named(held._mode.state), **_named({"": held._estimate}), **clock}
        )

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from the state in a file: exactly as if the stream had not been interrupted.

        Args:
            path: What ``save`` wrote.

        Raises:
            FormatError: a ``ConversionError``: no such file, one that is damaged, or the state of another network, or
                of a stream with another batch, window, forgetting factor or precision.
        """
        checks.path("path", path)
        self._require_open()
        other = self._after_a_step()
        form, estimate = other._mode.state, {"": other._estimate}
        clock = {"passed": torch.tensor(0), "begun": torch.zeros(self.batch, dtype=torch.long)}
        found = read_state(path, self.snn, self._about(), {**_named(form), **_named(estimate), **clock})
        passed, begun = int(found.pop("passed")), found.pop("begun")
        mode = self._begin()
        if not 0 <= passed < LONGEST or bool((begun < 0).any() | (begun > passed).any()):
            raise FormatError(f"cannot load the state in {path}: its clock is wrong; the file is damaged")
        mode.elapsed = passed
        mode.begun = begun.to(next(self.snn.buffers()).device) if bool(begun.any()) else None
        mode.state = _unnamed(form, found) if passed else {}
        self._mode, self._estimate = mode, _unnamed(estimate, found)[""]

    def _after_a_step(self) -> Stream:
        """Another stream, whose state says what a state consists of."""
        other = Stream(self.snn, self.batch, window=self.window, forgetting=self.forgetting)
        other(*self._graph.unflatten(self._zeros()))
        return other

    def _zeros(self) -> list[Tensor]:
        """A frame of zeros of each input."""
        device = next(self.snn.buffers()).device
        shapes = {n: [self.batch if k is None else k for k in shape] for n, shape in self._graph.inputs.items()}
        kinds = self._graph.integers
        return [torch.zeros(s, dtype=kinds.get(n, torch.float32), device=device) for n, s in shapes.items()]

    def _about(self) -> About:
        return {
            "batch": self.batch,
            "window": self.window,
            "forgetting": self.forgetting,
            **self._as_begun,
        }

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mode, self._open = self._begin(), False


def _named(state: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a state by name."""
    return {f"{name}/{i}": leaf for name, value in state.items() for i, leaf in enumerate(pytree.tree_leaves(value))}


def _unnamed(like: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The reverse, in the structure of another state."""
    found = {}
    for name, value in like.items():
        leaves, spec = pytree.tree_flatten(value)
        found[name] = pytree.tree_unflatten([tensors[f"{name}/{i}"] for i in range(len(leaves))], spec)
    return found

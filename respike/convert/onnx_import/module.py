"""The module an ONNX file becomes: one submodule for each node, run in the file's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...text import shown
from ..errors import ConversionError
from .float64_loss import warn_of_float32
from .limits import AXES, ELEMENTS, INTS
from .node_module import Step, as_tensor


@dataclass(frozen=True)
class Input:
    """An input of the network.

    Attributes:
        name: In the file.
        shape: Per axis a length, or None if it is left open; None if the file does not say.
        dtype: What the importer computes with: float32, int64 or bool.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: torch.dtype

    def noise(self, shape: Sequence[int], seed: int) -> Tensor:
        """Numbers in [0, 1), or zeros and ones where it takes whole numbers."""
        x = torch.rand(list(shape), generator=torch.Generator().manual_seed(seed))
        return x if self.dtype is torch.float32 else (x * 2).to(self.dtype)


class OnnxModule(nn.Module):
    """A network read from an ONNX file, an ordinary module in eval mode.

    Call it with the inputs that its outputs depend on, in the file's order; it returns the file's outputs in
    theirs: a tensor, or a tuple of them. Whatever float type the file stores, it computes in float32. Any batch
    size is accepted where the graph allows it, also where the file declares a fixed one.

    Attributes:
        inputs: What it takes.
        outputs: Names of what it gives, in order.
        batch: The one batch size that it works for; None for any.
        squeezed: Places of outputs that the file squeezes its batch of one out of. A single sample gives the file's
            shape, several have the batch as first axis.
        fates: What became of the file's nodes that are no steps, by name.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[str],
        steps: dict[str, Step],
        constants: dict[str, Tensor],
        fates: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.fates = tuple(inputs), tuple(outputs), fates or {}
        self.batch: int | None = None
        self.squeezed: tuple[int, ...] = ()
        for name, step in steps.items():
            self.add_module(name, step)
        self._constants = [n for n in self.outputs if n in constants]  # outputs that depend on no input
        for i, name in enumerate(self._constants):
            self.register_buffer(f"output_{i}", constants[name])
        self._release = _last_uses(list(steps.values()), self.outputs)
        self._warned = False
        self._run_shapes: set[tuple[Any, ...]] = set()

    def steps(self) -> Iterator[Step]:
        """The nodes in order."""
        return (m for m in self.children() if isinstance(m, Step))

    def forward(self, *inputs: Tensor) -> Any:
        """The file's outputs.

        Raises:
            ConversionError: inputs of another number, rank or shape than the file declares, or a node that
                cannot take what it gets.
        """
        values = self._accept(inputs)
        shape = tuple(tuple(x.shape[1:]) for x in values)
        if not torch.compiler.is_compiling() and shape not in self._run_shapes:
            self.dry_run([list(x.shape) for x in values])
            self._run_shapes.add(shape)
        outputs = self.run(values)
        if not self.squeezed or torch.compiler.is_compiling() or values[0].shape[0] != 1:
            return outputs
        listed = outputs if isinstance(outputs, tuple) else (outputs,)
        found = [y.squeeze(0) if i in self.squeezed else y for i, y in enumerate(listed)]
        return tuple(found) if isinstance(outputs, tuple) else found[0]

    def dry_run(
        self,
        shapes: Sequence[Sequence[int]],
        observe: Callable[..., None] | None = None,
        prepare: Callable[..., None] | None = None,
        most: int = ELEMENTS,
    ) -> Any:
        """Follow the shapes through the network without computing or allocating anything.

        Args:
            shapes: Of the inputs.
            observe: See ``run``.
            prepare: See ``run``.
            most: Elements that one tensor may have.

        Raises:
            ConversionError: a node that does not fit what it gets, or a tensor beyond ``most``.
        """
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        light = {name: x.to("meta") for name, x in tensors.items()}
        inputs = [
            torch.empty(tuple(shape), dtype=spec.dtype, device="meta")
            for spec, shape in zip(self.inputs, shapes, strict=True)
        ]
        light = {f"net.{name}": x for name, x in light.items()}
        with torch.no_grad(), torch.device("meta"), _Sized(most):
            return torch.func.functional_call(_Run(self), light, (inputs, observe, prepare))

    def run(
        self,
        values: Sequence[Tensor],
        observe: Callable[..., None] | None = None,
        prepare: Callable[..., None] | None = None,
    ) -> Any:
        """Run the steps on checked inputs.

        ``prepare(step, inputs)`` is called before each, ``observe(step, inputs, outputs)`` after it.
        """
        found: dict[str, Any] = {spec.name: x for spec, x in zip(self.inputs, values, strict=True)}
        for i, name in enumerate(self._constants):
            found[name] = getattr(self, f"output_{i}")
        for step, done in zip(self.steps(), self._release, strict=True):
            given = [found[name] for name in step.reads]
            if prepare is not None:
                prepare(step, given)
            made = _apply(step, given)
            if observe is not None:
                observe(step, given, made)
            found.update(zip(step.writes, made, strict=True))
            for name in done:
                del found[name]
        results = [x if isinstance(x, Tensor) else as_tensor(x) for x in (found[name] for name in self.outputs)]
        return results[0] if len(results) == 1 else tuple(results)

    def _accept(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        if len(inputs) != len(self.inputs):
            names = ", ".join(shown(spec.name) for spec in self.inputs)
            raise ConversionError(f"the network takes {len(self.inputs)} inputs ({names}), got {len(inputs)}")
        values = []
        for spec, x in zip(self.inputs, inputs, strict=True):
            name = shown(spec.name)
            if not isinstance(x, Tensor):
                raise ConversionError(f"input {name!r} must be a tensor, got {type(x).__name__}")
            shape = spec.shape
            # The batch axis is compared last: while the network is traced, its length is not a number.
            fits = shape is None or (
                len(shape) == x.dim() and all(n is None or n == m for n, m in zip(shape[1:], x.shape[1:], strict=True))
            )
            if not fits or (self.batch is not None and x.dim() and x.shape[0] != self.batch):
                assert shape is not None
                wanted = ", ".join("any" if n is None else str(n) for n in (self.batch, *shape[1:]))
                hint = "" if self.batch is None else "; export it with a batch axis of any length to use others"
                raise ConversionError(f"input {name!r} wants the shape ({wanted}), got {tuple(x.shape)}{hint}")
            if x.dtype == torch.float64 and spec.dtype == torch.float32 and not torch.compiler.is_compiling():
                self._warned = self._warned or warn_of_float32(x.detach(), f"input {name!r}")
            if x.dtype != spec.dtype:
                x = x.to(spec.dtype)
            values.append(x)
        return values


def example(net: OnnxModule, shape: Sequence[int] | None = None) -> tuple[Tensor, ...] | None:
    """A few samples of noise in the shapes that the file declares; None if it leaves one open.

    Args:
        net: The network.
        shape: Of one sample of the first input, where the file leaves it open.
    """
    samples = []
    for i, spec in enumerate(net.inputs):
        axes = tuple(shape) if shape is not None and not i else None if spec.shape is None else spec.shape[1:]
        if axes is None or None in axes:
            return None
        batch = () if spec.shape == () else (net.batch or 4,)
        samples.append(spec.noise([*batch, *(n or 1 for n in axes)], seed=i))
    return tuple(samples)


class _Sized(TorchFunctionMode):
    """Looks at the size of every tensor that is made, those within a step included."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and (made.numel() > self.most or made.dim() > AXES):
            raise ConversionError(
                f"a tensor of {made.dim()} axes and shape {tuple(made.shape)[:8]} is needed; the most is {self.most:,} "
                f"elements and {AXES} axes"
            )
        return made


class _Run(nn.Module):
    """So that ``functional_call`` can reach ``run``."""

    def __init__(self, net: OnnxModule) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: Sequence[Tensor], *hooks: Callable[..., None] | None) -> Any:
        return self.net.run(values, *hooks)


def _apply(step: Step, given: Sequence[Any]) -> tuple[Any, ...]:
    try:
        made = step(*given)
    except ConversionError as error:
        raise ConversionError(f"node {shown(step.label)!r} ({step.op_type}): {error}") from error
    except Exception as error:  # whatever PyTorch says of shapes that do not fit
        shapes = ", ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else str(x) for x in given)
        reason = str(error).strip().split("\n")[0]
        raise ConversionError(
            f"node {shown(step.label)!r} ({step.op_type}) cannot run on {shapes or 'its constants'}: {reason}"
        ) from error
    if step.numbers and np.size(made) > INTS:
        raise ConversionError(f"node {shown(step.label)!r} ({step.op_type}) makes a list of more than {INTS:,} numbers")
    return made[: len(step.writes)] if isinstance(made, tuple) else (made,)


def _last_uses(steps: Sequence[Step], outputs: Sequence[str]) -> list[tuple[str, ...]]:
    """For each step the values that nobody needs after it."""
    seen = set(outputs)
    release = []
    for step in reversed(steps):
        done = tuple(name for name in dict.fromkeys((*step.reads, *step.writes)) if name not in seen)
        seen.update(done)
        release.append(done)
    return release[::-1]

"""From a user's module to a graph: ``torch.export`` sees through Python, we keep what matters in time."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from ..errors import ConversionError
from ..graph import BATCH, Graph
from .assertions import Assertions
from .attention import AttentionWrittenOut, without_fast_path
from .compound_operations import compounds
from .fake_quantize import FakeQuantizeWrittenOut
from .lowering import Lowering, labels
from .trace_at_sizes import ByNoRuleError, follow_batch
from .user_lines import Line, of_error

LARGEST = 2**28
"""Bytes that the inputs of the largest batch to trace with may take."""


class UntraceableError(ConversionError):
    """The model's Python code cannot be followed."""


class ValueDependentError(Exception):
    """Python asks for the value of a tensor, which the tracer does not know."""


class FixedBatchError(Exception):
    """The tracer can follow the model at one batch size only."""


@contextmanager
def without_hooks(model: nn.Module) -> Iterator[None]:
    """The model without its forward hooks for a while: what only watches must not see the tracer's tensors."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    kept = [(m, n, m.__dict__[n]) for m in model.modules() for n in names if m.__dict__[n]]
    for module, name, hooks in kept:
        module.__dict__[name] = type(hooks)()
    try:
        yield
    finally:
        for module, name, hooks in kept:
            module.__dict__[name] = hooks


def trace(model: nn.Module, args: tuple[Any, ...]) -> Graph:
    """The model's graph for inputs like ``args``, whose first axes are the batch.

    Args:
        model: As ``prepare`` leaves it.
        args: Positional arguments of ``forward``: tensors with a sample or more, also nested.

    Raises:
        ConversionError: the model's Python code depends on values, or on the batch size.
    """
    # The tracer takes a batch that is as long as another axis for that axis: try lengths that are rare.
    lengths = {n for x in [*model.parameters(), *model.buffers(), *_tensors(args)] for n in x.shape}
    checks = Assertions()
    for size in [n for n in (31, 37, 41, 43, 47, 53, 59, 61) if n not in lengths]:
        try:
            program = _export(model, _resized(args, size), checks)
        except FixedBatchError as error:
            return _at_sizes(model, args, _sizes(args, lengths), checks, str(error.__cause__))
        graph = Lowering(program, labels(model)).graph()
        if all(shape[0] is BATCH for shape in graph.inputs.values() if shape):
            return graph
    raise ConversionError(f"{type(model).__name__} works for one batch size only; write it for any x.shape[0]")


def _tensors(args: tuple[Any, ...]) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]


def _sizes(args: tuple[Any, ...], lengths: set[int]) -> list[int]:
    """Four batch sizes: small and large, odd and even, and none as long as another axis."""
    row = sum(x[:1].numel() * x.element_size() for x in _tensors(args) if x.dim())
    most = min(1031, LARGEST // max(row, 1))
    wanted = (3, 31, max(48, most // 8 * 4), max(61, most))
    found: list[int] = []
    for size in wanted:
        while size in lengths or size in found:
            size += 2
        found.append(size)
    return found


def _at_sizes(model: nn.Module, args: tuple[Any, ...], sizes: list[int], checks: Assertions, cause: str) -> Graph:
    """The graph of a model that the tracer can follow at one batch size at a time, see ``by_size``."""
    name = type(model).__name__
    if "specialized" not in cause:
        raise UntraceableError(f"{name} branches on the batch size; it must work alike for any number of samples")
    graphs: list[Graph] = []
    lines: dict[str, Line | None] = {}
    try:
        for size in sizes:
            lowering = Lowering(_export(model, _resized(args, size), checks, fixed=True), labels(model))
            graphs.append(lowering.graph())
            lines.update(lowering.lines)
            if len(graphs) > 1:  # before the largest are traced, which a loop over samples makes long
                found = follow_batch(graphs, sizes, lines)
    except ByNoRuleError as error:
        raise ConversionError(f"{name} depends on the batch size. {error}") from None
    return found


def _export(model: nn.Module, args: tuple[Any, ...], checks: Assertions, fixed: bool = False) -> ExportedProgram:
    """What ``torch.export`` makes of the model; assertions on values are left out.

    Raises:
        FixedBatchError: the batch size must not be left open.
        UntraceableError: anything else.
    """
    try:
        return _exported(model, args, checks, fixed)
    except ValueDependentError as error:
        if not checks.answers:
            with checks, torch.no_grad():
                model(*pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, args))
        if not checks.answers:
            raise _undecided(model, error) from error
    try:
        return _exported(model, args, checks, fixed)
    except ValueDependentError as error:
        raise _undecided(model, error) from error


def _exported(model: nn.Module, args: tuple[Any, ...], checks: Assertions, fixed: bool) -> ExportedProgram:
    batch = None if fixed else {0: torch.export.Dim("batch", min=2)}
    shapes: Any = pytree.tree_map(lambda x: batch if isinstance(x, Tensor) and x.dim() else None, args)
    kinds = [p.kind for p in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:  # torch.export wants those of *args together
        first = kinds.index(inspect.Parameter.VAR_POSITIONAL)
        shapes = (*shapes[:first], shapes[first:])
    told = checks.told_again() if checks.answers else nullcontext()
    try:
        # On an error the tracer prints pages of its own symbols besides.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), told:
            warnings.simplefilter("ignore")
            with FakeQuantizeWrittenOut(), AttentionWrittenOut(), without_fast_path():
                program = torch.export.export(model, args, dynamic_shapes=None if fixed else shapes)
            return program.run_decompositions(compounds())  # type: ignore[no-any-return]
    except Exception as error:  # torch.export raises most things there are
        # Named, not imported: what defines them is slow to load, and torch.export has loaded it by now.
        if type(error).__name__ == "GuardOnDataDependentSymNode":
            raise ValueDependentError from error
        if getattr(getattr(error, "error_type", None), "name", "") == "CONSTRAINT_VIOLATION":
            raise FixedBatchError from error
        raise _untraceable(model, error) from error


def _undecided(model: nn.Module, error: ValueDependentError) -> UntraceableError:
    assert error.__cause__ is not None
    place = _place(error.__cause__)
    return UntraceableError(
        f"{type(model).__name__} depends on the value of a tensor{place}: Python decides there on what the samples "
        "hold. Use torch.where to choose between values, or take the decision out of forward"
    )


def _untraceable(model: nn.Module, error: Exception) -> UntraceableError:
    reason = str(error).strip().split("\n\n")[0]
    return UntraceableError(
        f"torch.export cannot follow {type(model).__name__}{_place(error)}: {reason}\n"
        "Usual causes: Python branches on tensor values (use torch.where), or code that works for one "
        "batch size only (use x.shape[0], -1 or flatten instead of a number)"
    )


def _place(error: BaseException) -> str:
    line = of_error(error)
    return f" at {line}" if line else ""


def _resized(args: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    def fit(x: Any) -> Any:
        return x[torch.arange(size, device=x.device) % len(x)] if isinstance(x, Tensor) and x.dim() else x

    return pytree.tree_map(fit, args)  # type: ignore[no-any-return]

"""From a module to the normal form of its graph, checked to compute the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..caller_state import undisturbed
from ..errors import ConversionError
from ..graph import Graph, Population
from ..passes import normalise, set_roles, track
from ..populations import as_in
from ..run.analog import evaluate_graph
from .copy_model import prepare
from .rounding_ties import evaluate_step_by_step, has_steps
from .trace import trace, without_hooks

TOLERANCE = 1e-4
"""Largest difference, relative to the largest output, that the passes may make."""
ROUNDINGS = 4
"""Or so many times what rounding alone does to the outputs, where that is more: in a deep network without training."""


@undisturbed()
def normal_form(
    model: nn.Module,
    args: tuple[Any, ...],
    analog: Sequence[str] = (),
    populations: Mapping[str, Population] | None = None,
) -> Graph:
    """The model's graph with a role for every node: it shows before any calibration whether the model converts.

    Args:
        model: Any module; not changed.
        args: Positional arguments of its forward, batch first.
        analog: As for ``from_torch``.
        populations: Sums of ReLUs that stand for smooth functions, as in ``Graph``.

    Raises:
        ConversionError: as ``from_torch``.
    """
    graph = to_graph(prepare(model), args)
    return as_in(graph, populations, analog) if populations else set_roles(track(graph, analog), analog)


@undisturbed()
def relative_error(graph: Graph, model: nn.Module, args: tuple[Any, ...]) -> float:
    """How far the graph, run as an ANN, is from the model: the largest difference over the largest output."""
    with torch.no_grad():
        expected = pytree.tree_leaves(_run(prepare(model), args))
        return _difference(evaluate_graph(graph, _tensors(args)), [x for x in expected if isinstance(x, Tensor)])


def to_graph(twin: nn.Module, args: tuple[Any, ...]) -> Graph:
    """The normal form of a prepared model, checked to compute the same output.

    Raises:
        ConversionError: it cannot be traced, or the passes changed what it computes.
    """
    state = torch.random.get_rng_state()
    with torch.no_grad():
        expected = _run(twin, args)
        with without_hooks(twin):
            same = _difference(_run(twin, args), expected) == 0
            traced = trace(twin, args) if same else None
        if traced is None:  # the hooks take part in the computation
            traced = trace(twin, args)
        graph = normalise(traced)
        if any(has_steps(node) for node in graph.nodes):
            found = evaluate_step_by_step(graph, traced, _tensors(args))
        else:
            found = evaluate_graph(graph, _tensors(args))
    torch.random.set_rng_state(state)
    if not all(bool(torch.isfinite(x).all()) for x in found if x.is_floating_point()):
        raise ConversionError("the model's outputs are not finite; look for NaN or infinity in its weights and inputs")
    difference = _difference(found, [x for x in pytree.tree_leaves(expected) if isinstance(x, Tensor)])
    if not difference <= TOLERANCE and not difference <= ROUNDINGS * _rounding(twin, args, expected):
        raise ConversionError(
            f"the traced network differs from the model by {difference:.2g} of its largest output. Either its "
            "forward is random or keeps a memory, or this is a bug in respike: please report it with the model"
        )
    return graph


def _rounding(model: nn.Module, args: tuple[Any, ...], expected: Any) -> float:
    """How far the model's outputs are from its own in float64.

    0 if it does not give the same twice or has no float64, and if they are so far apart that it is not rounding.
    """

    def doubled(x: Any) -> Any:
        return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x

    with torch.no_grad():
        if _difference(_run(model, args), expected) != 0:
            return 0.0
        try:
            exact = copy.deepcopy(model).double()(*pytree.tree_map(doubled, args))
            found = _difference(expected, exact)
        except Exception:  # user code, which may want float32
            return 0.0
    return found if found < 100 * TOLERANCE else 0.0


def _run(model: nn.Module, args: tuple[Any, ...]) -> Any:
    # In-place operations on the input must not reach the caller's data.
    copies = pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, args)
    try:
        return model(*copies)
    except Exception as error:  # user code
        shapes = ", ".join(str(tuple(x.shape)) for x in _tensors(args))
        raise ConversionError(
            f"{type(model).__name__} fails on calibration samples of shape {shapes}, whose first axis counts the "
            f"samples: {error}{_if_frames(model, args)}"
        ) from error


def _if_frames(model: nn.Module, args: tuple[Any, ...]) -> str:
    """What to do, if the model takes the samples without their second axis."""
    many = [isinstance(x, Tensor) and x.is_floating_point() and x.dim() > 2 for x in args]
    if not any(many):
        return ""
    try:
        model(*(x.mean(1) if is_many else x for x, is_many in zip(args, many, strict=True)))
    except Exception:  # user code
        return ""
    return ". It does take them without their second axis: if that is time, pass respike.Frames(calibration)"


def _tensors(args: tuple[Any, ...]) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]


def _difference(found: Any, expected: Any) -> float:
    """Largest difference between two trees of tensors, relative to the largest value of each tensor."""
    worst = 0.0
    pairs = zip(pytree.tree_leaves(found), pytree.tree_leaves(expected), strict=True)
    for a, b in pairs:
        if not isinstance(a, Tensor) or not a.numel():
            continue
        if a.shape != b.shape:
            return float("inf")
        a, b = a.double(), b.double()
        worst = max(worst, float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)))
        if not torch.isfinite(a).all():
            return float("nan")
    return worst

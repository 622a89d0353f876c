"""Judge batches: what each adds to the tally of an evaluation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..convert.data import rows
from ..convert.network import SpikingNetwork
from ..convert.options import Judge
from ..convert.output_judging import border, is_single_score, single
from ..convert.thread_pool import cut, map_pieces
from ..convert.tracing.copy_model import prepare
from ..errors import InputError
from .activity import ActivityCounter
from .batches import one_split
from .cost.needed import InputMacs, needed_macs
from .curves import Curves, Metric, curves_of
from .shown_to_ann import AnnOn, ann_output
from .tally import Tally
from .targets import kind_of


class Shown(NamedTuple):
    """A batch that the ANN has seen.

    Attributes:
        given: Inputs of the network.
        target: As the user gives it.
        expected: The ANN's output; None without an ANN.
        example: An output like the network's.
        macs: Multiply-accumulates of the ANN, and those of them whose value is not zero.
    """

    given: list[Tensor]
    target: Any
    expected: Any
    example: Any
    macs: tuple[int, int]


class Judging:
    """Judges batches of one network.

    Args:
        snn: The network.
        ann: Its ANN, if there is one.
        total: How many timesteps.
        ann_on: What the ANN is shown.
        against_float32: Whether to compare with a run in float32.

    Attributes:
        tally: What was added up; there once it is known what is judged, see ``begin``.
    """

    def __init__(
        self, snn: SpikingNetwork, ann: nn.Module | None, total: int, ann_on: AnnOn, against_float32: bool
    ) -> None:
        self.snn, self.total, self.ann_on = snn, total, ann_on
        self.device = next(iter(snn.buffers())).device
        self.reference = None if ann is None else prepare(ann, self.device)
        self.counter = ActivityCounter(snn, total)
        self.inputs = InputMacs(snn, self.counter.work)
        self.twin = _in_float32(snn) if against_float32 else None
        self._seen_one = False

    def shown(self, batch: Any) -> Shown | None:
        """A batch as the user gives it, and the ANN's output; None if it is empty.

        Raises:
            InputError: it is none, or the ANN is of another network.
        """
        found = one_split(batch, self.snn.graph)
        if found is None:
            return None
        given, target = found
        given, target = _to((self.snn.graph.first_frames(given, self.total), target), self.device)
        expected, macs = None, (0, 0)
        if self.reference is not None:
            with needed_macs(self.reference) as products:
                expected = ann_output(self.reference, self.snn.graph, given, self.ann_on)
            macs = products.macs, products.needed
            if not self._seen_one:
                _require_alike(self.snn, expected)
        self._seen_one = True
        first = None if expected is not None else next(self.snn.blocks(given, timesteps=1))
        return Shown(given, target, expected, expected if first is None else self.snn.output_at(first, 0), macs)

    def kind(self, batch: Shown, judge: Judge, metric: Metric | None) -> dict[str, Any]:
        """What is judged of outputs and targets like these, see ``Curves.about``.

        Raises:
            InputError: they cannot be judged, or not in float32 too.
        """
        if metric is not None:
            about: dict[str, Any] = curves_of({"kind": "scores", "metric": ""}, self.total, metric).about()
        elif kind_of(batch.example, batch.target, judge) == "error":
            about = {"kind": "errors"}
        else:
            found = single(batch.example)
            alone = found is not None and is_single_score(found)
            about = {"kind": "decisions", "border": border(self.snn.graph), "alone": alone}
        if self.twin is not None and about["kind"] != "decisions":
            raise InputError("against_float32 counts decisions, and these outputs are not judged by decisions")
        return about

    def begin(self, about: dict[str, Any], metric: Metric | None) -> None:
        """Judge so from now on."""
        self.tally = Tally(curves_of(about, self.total, metric))

    def judge(self, batch: Shown) -> int:
        """Judge a batch, and say how many samples it has."""
        given, target, expected, example, (macs, needed) = batch
        tally, n = self.tally, rows(given)
        tally.samples += n
        tally.input_macs += self.inputs.count(given)
        target = tally.curves.wanted(target, example)
        tally.see((given, target))
        if expected is not None:
            tally.curves.ann(expected, target)
        tally.ann_macs, tally.ann_needed = tally.ann_macs + macs, tally.ann_needed + needed
        judged = partial(self._judged, (given, target, expected))
        pieces, workers = self.snn.pieces(given, self.total)
        answers = [x for x in pytree.tree_leaves((target, expected)) if isinstance(x, Tensor) and x.dim()]
        apart = all(len(x) == n for x in answers)
        for found, counted in map_pieces(judged, pieces if apart else [slice(None)], workers):
            tally.curves.add(found)
            tally.count(counted)
        return n

    def _judged(self, batch: Any, piece: slice) -> tuple[Curves, ActivityCounter]:
        """What a piece of a batch adds at each step, and what it did."""
        snn, twin = self.snn, self.twin
        inputs, target, expected = cut(batch, piece)
        curves, counter = self.tally.curves.another(), self.counter.another()
        beside = None
        if twin is not None:
            beside = single(twin.simulate(*twin.graph.unflatten(inputs), timesteps=self.total))
        step = 0
        for block in snn.blocks(inputs, timesteps=self.total, recorder=counter):
            for t in range(_length(block)):
                exact = None if beside is None else beside[:, step]
                curves.step(step, snn.output_at(block, t), target, expected, exact)
                step += 1
        return curves, counter


def _require_alike(snn: SpikingNetwork, expected: Any) -> None:
    """Refuse an ANN whose outputs are of other shapes than the network's: it is another model."""
    found = [tuple(x.shape) for x in pytree.tree_leaves(expected) if isinstance(x, Tensor)]
    shapes = [snn.graph.shape(name) or () for name in snn.graph.output_names()]
    fits = [len(a) == len(b) and all(n in (None, -1, m) for n, m in zip(a, b, strict=True))
            for a, b in zip(shapes, found, strict=False)]  # fmt: skip
    if len(shapes) != len(found) or not all(fits):
        told = [", ".join(str(tuple("N" if n is None else n for n in a)) for a in some) for some in (shapes, found)]
        told = [text.replace("'", "") for text in told]
        raise InputError(
            f"ann is not the model that this network was made from: its outputs have the shape {told[1]}, and the "
            f"network's {told[0]}"
        )


def _in_float32(snn: SpikingNetwork) -> SpikingNetwork:
    """The same network, weights and all, that computes in float32."""
    twin = copy.copy(snn)
    twin.precision = "float32"
    return twin


def _length(block: Sequence[Any]) -> int:
    return next(len(x) for x in block if isinstance(x, Tensor))


def _to(tree: Any, device: torch.device) -> Any:
    return pytree.tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, tree)

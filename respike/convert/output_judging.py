"""How outputs are judged: by what they decide, or by how far their values are from those wanted.

Decisions: whole numbers are what they are; of scores ``(N, K, ...)`` the highest decides; a single score, ``(N,)`` or
``(N, 1, ...)``, decides by its sign, or behind a sigmoid by whether it is above 0.5. Without labels it is found out
whether decisions say anything: not if a network that always gives the same answer would agree often enough (as the
largest of several physical quantities is always the same one), nor of a single number that may be anything.

Errors: 1 − R² is the squared error in units of the variance of what is wanted, and the *relative error* its root.
Both are means over channels (axis 1), as scikit-learn's ``r2_score`` has it, so that large numbers do not hide small
ones; a channel that is constant has no scale of its own and is measured by the mean variance of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..exact_sums import Moments
from .errors import ConversionError
from .graph import BATCH, Graph, Ref
from .graph.rules import MOVES
from .options import Judge

WITHIN: dict[str, float] = {"decision": 0.5, "error": 5.0}
"""What may be missing if ``within`` is not given: points of agreement, or percent of relative error."""
CONSTANT = 1e-13
"""Share of a channel's mean square up to which its variance is rounding."""


def single(output: Any) -> Tensor | None:
    """The one tensor of an output, in whatever structure; None if there are more, or none."""
    tensors = [x for x in pytree.tree_leaves(output) if isinstance(x, Tensor)]
    return tensors[0] if len(tensors) == 1 else None


def is_single_score(output: Tensor) -> bool:
    """Whether a sample, or each position of it, has one score alone: ``(N,)`` or ``(N, 1, ...)``."""
    return output.is_floating_point() and (output.dim() == 1 or (output.dim() > 1 and output.shape[1] == 1))


def decision(output: Any, border: float = 0.0) -> Tensor | None:
    """What a network decides, as whole numbers ``(N, ...)``; None if its output is no single tensor with a batch axis.

    Args:
        output: Of the network.
        border: Above which a single score decides for class 1.
    """
    x = single(output)
    if x is None or not x.dim() or x.is_complex() or (x.dim() > 1 and not x.shape[1]):
        return None
    if is_single_score(x):
        return (x.squeeze(1) if x.dim() > 1 else x).gt(border).long()
    return x.argmax(1) if x.is_floating_point() else x


def last_operation(graph: Graph) -> str:
    """Which operation gives the network's one output, but for what only moves its values; empty if there is none."""
    names = graph.output_names()
    node = graph.node(names[0]) if len(names) == 1 else None
    while node is not None and node.op in MOVES:
        node = graph.node(node.refs[0])
    return "" if node is None else node.op


def probability(graph: Graph) -> bool:
    """Whether the network's one output comes out of a sigmoid."""
    return last_operation(graph) == "aten.sigmoid.default"


def border(graph: Graph) -> float:
    """Above which a single score of this network decides for class 1."""
    return 0.5 if probability(graph) else 0.0


@dataclass(frozen=True)
class Yardstick:
    """By what outputs are judged.

    Attributes:
        by: ``"decision"`` or ``"error"``.
        within: What may be missing: points of agreement, or percent of relative error.
        border: Above which a single score decides for class 1.
    """

    by: Literal["decision", "error"]
    within: float
    border: float = 0.0

    def reached(self, tally: Tally) -> bool:
        """Whether so much agrees, or so little is missing."""
        if tally.agreement is not None:
            return 100 * tally.agreement >= 100 - self.within - 1e-9
        return 100 * (tally.error or 0.0) <= self.within + 1e-9


def one_output(graph: Graph, what: str) -> int:
    """Which of the graph's outputs is a tensor.

    Raises:
        ConversionError: none, or several.
    """
    found = [i for i, output in enumerate(graph.outputs) if isinstance(output, Ref)]
    if len(found) != 1:
        raise ConversionError(f"{what} needs a network with one output; this network has {len(found)}")
    return found[0]


def yardstick_for(graph: Graph, outputs: Sequence[Any], judge: Judge, within: float | None, what: str) -> Yardstick:
    """By what a network is judged where there are no labels.

    Args:
        graph: Of the network.
        outputs: What the ANN gives for some samples, batch by batch.
        judge: ``"auto"``: found out, see above.
        within: As the user gave it.
        what: The option that asks, for messages.

    Raises:
        ConversionError: outputs of which neither can be taken.
    """
    where = border(graph)
    one_output(graph, what)
    decided = [decision(x, where) for x in outputs]
    first = single(outputs[0])
    shape = graph.shape(graph.output_names()[0]) or ()
    if first is None or decided[0] is None or shape[:1] != (BATCH,):
        text = ", ".join("N" if n is BATCH else "a multiple of N" if n < 0 else str(n) for n in shape)
        raise ConversionError(
            f"{what} needs an output that begins with the batch; this network's has the shape ({text})"
        )
    by = judge if judge != "auto" else _found_out(first, torch.cat(decided), probability(graph), within)  # type: ignore[arg-type]
    if by == "error" and not first.is_floating_point():
        raise ConversionError(
            "respike.Auto(judge='error') needs outputs of floating point numbers, but this network gives classes; "
            "give respike.Auto(judge='decision')"
        )
    return Yardstick(by, WITHIN[by] if within is None else within, where)


def _found_out(output: Tensor, decided: Tensor, certain: bool, within: float | None) -> Literal["decision", "error"]:
    within = WITHIN["decision"] if within is None else within
    return "decision" if decisions_tell(output, commonest(decided), certain, within) else "error"


def decisions_tell(output: Tensor, share: float, certain: bool, within: float) -> bool:
    """Whether decisions say anything of outputs like this one.

    Args:
        output: Of some samples.
        share: Of the most frequent decision.
        certain: Whether it comes out of a sigmoid.
        within: How many points of agreement may be missing: more than one answer alone would miss says nothing.
    """
    if not output.is_floating_point():
        return True
    if is_single_score(output) and not certain:
        return False
    return 100 * (1 - share) > within + 1e-9


def commonest(decided: Tensor) -> float:
    """The share of the most frequent decision."""
    return float(decided.unique(return_counts=True)[1].max()) / max(decided.numel(), 1)


class Tally:
    """Compares outputs with those wanted, batch by batch.

    Args:
        yardstick: By what.
    """

    def __init__(self, yardstick: Yardstick) -> None:
        self.yardstick = yardstick
        self.same, self.samples = 0.0, 0
        self.spread = Spread()
        self.missed: Tensor | float = 0.0

    def add(self, found: Any, wanted: Any) -> None:
        """A batch of outputs."""
        a, b = single(found), single(wanted)
        assert a is not None
        assert b is not None
        self.samples += len(b)
        if self.yardstick.by == "error":
            self.spread.add(b)
            self.missed = self.missed + missed(a, b)
        elif len(b):
            x, y = decision(a, self.yardstick.border), decision(b, self.yardstick.border)
            assert x is not None
            assert y is not None
            self.same += float(x.eq(y).double().mean()) * len(b)

    @property
    def agreement(self) -> float | None:
        """Share of decisions that are alike; None if errors count."""
        return self.same / max(self.samples, 1) if self.yardstick.by == "decision" else None

    @property
    def error(self) -> float | None:
        """Relative error; None if decisions count.

        Raises:
            ConversionError: the wanted outputs are all the same.
        """
        if self.yardstick.by == "decision":
            return None
        return float(self.spread.share(torch.as_tensor(self.missed)).sqrt())


def channels(x: Tensor) -> Tensor:
    """Values by channel, ``(rows, K)``, in float64 on the CPU."""
    x = x.detach().double().cpu()
    return x.reshape(-1, 1) if x.dim() < 2 else x.movedim(1, -1).reshape(-1, x.shape[1])


def missed(found: Tensor, wanted: Tensor) -> Tensor:
    """The sum of squared errors of each channel, ``(K,)``."""
    return (channels(found) - channels(wanted)).square().sum(0)


class Spread(Moments):
    """The sum of squares about the mean of each channel of what is wanted, batch by batch, in any order."""

    def add(self, wanted: Tensor) -> None:  # type: ignore[override]  # tensors of any form, not columns
        """A batch."""
        super().add(channels(wanted).numpy())

    @property
    def _spread(self) -> Tensor:
        return torch.from_numpy(self.about_mean())

    @property
    def varies(self) -> Tensor:
        """Which channels are not constant, ``(K,)``."""
        return self._spread > CONSTANT * torch.from_numpy(self.squares.rounded())

    @property
    def variance(self) -> Tensor:
        """The mean variance of the channels that are not constant, a number."""
        return self._spread[self.varies].mean() / max(self.rows, 1)

    def share(self, missed: Tensor) -> Tensor:
        """1 − R² of squared errors ``(..., K)``, the mean over channels.

        Raises:
            ConversionError: all channels are constant.
        """
        spread, varies = self._spread, self.varies
        if self.rows == 1:
            raise ConversionError("a relative error needs several samples to judge by, and there is one; give more")
        if not bool(varies.any()):
            raise ConversionError(
                f"a relative error needs outputs that vary, but the {self.rows:,} reference values are all "
                "the same; give samples that differ"
            )
        return (missed / torch.where(varies, spread, spread[varies].mean())).mean(-1)

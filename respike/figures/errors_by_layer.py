"""The figure of a diagnosis: each layer's error, divided among its causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from .style import BLUE, GREEN, GREY, ORANGE, RED, SKY, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"propagated": GREY, "correction": GREEN, "clipping": RED, "quantisation": BLUE, "unevenness": ORANGE}


class Share(Protocol):
    """One cause's share of a layer's squared error."""

    @property
    def share(self) -> float: ...


class Alone(Protocol):
    """The error of a layer alone, as it is and at best."""

    @property
    def now(self) -> float: ...
    @property
    def best(self) -> float: ...


class Layer(Protocol):
    """One layer, see ``respike.evaluation.diagnosis.result.LayerDiagnosis``."""

    @property
    def name(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def relative(self) -> float: ...
    @property
    def parts(self) -> Mapping[str, Share]: ...
    @property
    def trial(self) -> Alone | None: ...


class Fault(Protocol):
    """Something broken."""

    @property
    def layer(self) -> str | None: ...


class Diagnosed(Protocol):
    """What is drawn of a diagnosis, see ``respike.evaluation.Diagnosis``."""

    @property
    def layers(self) -> Sequence[Layer]: ...
    @property
    def faults(self) -> Sequence[Fault]: ...


def diagnosis_figure(diagnosis: Diagnosed, title: str = "") -> Figure:
    """Error of each layer by cause (left), and of each layer alone, beside the least that it can have (right).

    A bar is as long as the layer's error, each part of it as long as its cause's share of the squared error; a part
    to the left of zero makes up for others.

    Args:
        diagnosis: Of ``respike.evaluation.diagnose``.
        title: Above both panels.
    """
    from matplotlib.figure import Figure

    layers = diagnosis.layers
    rows = range(len(layers))
    figure = Figure(figsize=(9.5, 1.7 + 0.3 * len(layers)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    above, below = [0.0] * len(layers), [0.0] * len(layers)
    for cause, colour in COLOURS.items():
        widths = [100 * layer.relative * layer.parts[cause].share for layer in layers]
        starts = [up if w > 0 else down for w, up, down in zip(widths, above, below, strict=True)]
        left.barh(rows, widths, left=starts, color=colour, label=cause, height=0.7)
        above = [x + max(w, 0) for x, w in zip(above, widths, strict=True)]
        below = [x + min(w, 0) for x, w in zip(below, widths, strict=True)]
    left.set_title("error of the decoded output, by cause", fontsize=10)
    trials = [(k, layer.trial) for k, layer in enumerate(layers) if layer.trial is not None]
    tried = [k for k, _ in trials]
    right.barh(tried, [100 * trial.now for _, trial in trials], color=SKY, label="as it is", height=0.7)
    best = [100 * trial.best for _, trial in trials]
    right.plot(best, tried, color=RED, marker="|", markersize=11, markeredgewidth=2, linestyle="none", label="at best")
    right.set_title("the layer alone, with exact input", fontsize=10)
    broken = {finding.layer for finding in diagnosis.faults}
    left.set_yticks(rows, [layer.where for layer in layers], fontsize=9, parse_math=False)  # a name may have a $
    for label, layer in zip(left.get_yticklabels(), layers, strict=True):
        label.set(color=RED, weight="bold") if layer.name in broken else None
    left.invert_yaxis()
    for axes in (left, right):
        axes.set_xlabel("error (% of the ANN's root mean square)")
        axes.legend(
            frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.55 / figure.get_figheight()), ncols=5
        )
        tidy(axes)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure

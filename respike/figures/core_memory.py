"""The memory that layers take, beside that of a chip's cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from .style import BLUE, GREY, RED, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Used(Protocol):
    """What a layer takes in a core."""

    @property
    def layer(self) -> str: ...
    @property
    def kernel(self) -> int: ...
    @property
    def neurons(self) -> int: ...
    @property
    def core(self) -> int | None: ...


class Chip(Protocol):
    """The memory of its cores."""

    @property
    def kernel_memory(self) -> tuple[int, ...]: ...
    @property
    def neuron_memory(self) -> tuple[int, ...]: ...


def core_memory_figure(uses: Sequence[Used], chip: Chip, title: str = "") -> Figure:
    """Words of kernel memory (left) and neuron memory (right) of each layer, and how many its core has.

    Layers without a core are red, beside the largest memory that there is.

    Args:
        uses: Of the layers, in order.
        chip: Its cores.
        title: Above both panels.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = Figure(figsize=(9.5, 1.9 + 0.32 * len(uses)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    sizes = (([use.kernel for use in uses], chip.kernel_memory), ([use.neurons for use in uses], chip.neuron_memory))
    for axes, (words, memory), name in zip(panels, sizes, ("kernel memory", "neuron memory"), strict=True):
        _panel(axes, uses, words, memory)
        axes.set_title(f"{name} (words)", fontsize=10)
    places = [f"{use.layer}  {'no core' if use.core is None else f'core {use.core}'}" for use in uses]
    panels[0].set_yticks(range(len(uses)), places, fontsize=9, parse_math=False)  # a name may have a $
    panels[0].invert_yaxis()
    marks = [
        Patch(color=BLUE, label="the layer"),
        Patch(color=RED, label="a layer without a core"),
        Line2D(
            [], [], color=GREY, marker="|", markersize=11, markeredgewidth=2, linestyle="none", label="its core has"
        ),
    ]
    figure.legend(handles=marks, frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _panel(axes: Axes, uses: Sequence[Used], words: Sequence[int], memory: tuple[int, ...]) -> None:
    rows = range(len(uses))
    axes.barh(rows, words, color=[RED if use.core is None else BLUE for use in uses], height=0.6)
    there = [max(memory) if use.core is None else memory[use.core] for use in uses]
    axes.plot(there, rows, color=GREY, marker="|", markersize=14, markeredgewidth=2, linestyle="none")
    axes.set_xscale("log", base=2)
    largest = max([*words, *memory])
    axes.set_xlim(4, 2 * largest)
    ticks = [2**n for n in range(3, 2 * largest.bit_length(), 3) if 2**n <= 2 * largest]
    axes.set_xticks(ticks, [str(n) if n < 1024 else f"{n // 1024} Ki" for n in ticks])
    tidy(axes)

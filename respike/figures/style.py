"""How figures look and how they are written."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people who do not see all colours can tell apart.
BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666", "#56B4E9"
CYCLE = (BLUE, RED, GREEN, ORANGE, SKY, "#CC79A7")


def tidy(axes: Axes) -> None:
    """No box, a light grid behind the lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def endings() -> list[str]:
    """What the name of a figure's file may end in: all that matplotlib writes by itself, without LaTeX."""
    from matplotlib.backend_bases import FigureCanvasBase

    return sorted(FigureCanvasBase.filetypes.keys() - {"pgf"})


def save(figure: Figure, path: str | PathLike[str], dpi: float = 150) -> None:
    """Write a figure; the ending of ``path`` says how (png, svg, pdf). ``dpi`` is for pixels only.

    Raises:
        ValueError: an ending that matplotlib cannot write.
        FileNotFoundError: the folder does not exist.
    """
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in endings():
        raise InputError(f"cannot write a figure as {Path(path).name!r}; endings that work: {', '.join(endings())}")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format=ending, dpi=dpi, bbox_inches="tight", facecolor="white")

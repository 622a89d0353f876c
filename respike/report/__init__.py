"""Figures from evaluations and of neurons."""

from .accuracy import accuracy_figure as accuracy_figure
from .curves import curve_figure as curve_figure
from .curves import curves as curves
from .style import save as save

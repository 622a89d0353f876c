"""Figures from evaluations and of neurons."""

from .accuracy import accuracy_figure as accuracy_figure
from .curves import curve_figure as curve_figure
from .curves import curves as curves
from .neuron_curves import NEURONS as NEURONS
from .neuron_curves import neuron_curves as neuron_curves
from .neuron_curves import neuron_figure as neuron_figure
from .style import save as save

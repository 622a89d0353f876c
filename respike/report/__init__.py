"""Figures from evaluations and of neurons."""

from .accuracy import accuracy_figure as accuracy_figure
from .curves import curve_figure as curve_figure
from .curves import curves as curves
from .exits import exit_figure as exit_figure
from .lines import line_figure as line_figure
from .neuron_curves import NEURONS as NEURONS
from .neuron_curves import neuron_curves as neuron_curves
from .neuron_curves import neuron_figure as neuron_figure
from .rasters import raster_figure as raster_figure
from .style import save as save
from .traces import Trace as Trace
from .traces import trace as trace
from .traces import trace_figure as trace_figure

"""Figures from evaluations and of neurons, and reports."""

from .accuracy import accuracy_figure as accuracy_figure
from .charts import write_charts as write_charts
from .contents import Report as Report
from .contents import gather as gather
from .curves import curve_figure as curve_figure
from .curves import curves as curves
from .errors_by_layer import diagnosis_figure as diagnosis_figure
from .exits import exit_figure as exit_figure
from .lines import line_figure as line_figure
from .neuron_curves import NEURONS as NEURONS
from .neuron_curves import neuron_curves as neuron_curves
from .neuron_curves import neuron_figure as neuron_figure
from .page import write_page as write_page
from .rasters import raster_figure as raster_figure
from .style import save as save
from .traces import Trace as Trace
from .traces import trace as trace
from .traces import trace_figure as trace_figure

"""Figures from evaluations and of neurons, and reports."""

from ..figures.accuracy import accuracy_figure as accuracy_figure
from ..figures.curves import curve_figure as curve_figure
from ..figures.curves import curves as curves
from ..figures.errors_by_layer import diagnosis_figure as diagnosis_figure
from ..figures.exits import exit_figure as exit_figure
from ..figures.lines import line_figure as line_figure
from ..figures.neuron_curves import NEURONS as NEURONS
from ..figures.neuron_curves import neuron_curves as neuron_curves
from ..figures.neuron_curves import neuron_figure as neuron_figure
from ..figures.rasters import raster_figure as raster_figure
from ..figures.style import save as save
from ..figures.traces import Trace as Trace
from ..figures.traces import trace as trace
from ..figures.traces import trace_figure as trace_figure
from .charts import write_charts as write_charts
from .contents import Report as Report
from .contents import gather as gather
from .page import write_page as write_page

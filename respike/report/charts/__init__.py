"""Charts of reports, as Vega-Lite specifications made with Altair, in colours that a page names."""

from .all import charts as charts
from .all import comparison as comparison
from .chart import Chart as Chart
from .files import write_charts as write_charts

"""The report as one HTML file that needs nothing else."""

from .page import page as page
from .page import write_page as write_page

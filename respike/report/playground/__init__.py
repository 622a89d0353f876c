"""The page to play with: one HTML file, its arithmetic that of ``respike.layers``."""

from .page import playground_page as playground_page
from .page import write_playground as write_playground

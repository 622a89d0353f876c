"""What a report says, in numbers and words, before anything is drawn."""

from .gather import gather as gather
from .report import Report as Report

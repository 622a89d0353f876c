"""The kernels compiled for the CPU."""

from .driven import driven_scan as driven_scan
from .fused import pooled_scan as pooled_scan
from .parts import TILE as TILE
from .pool import pooled_increments as pooled_increments
from .scan import scan as scan
from .trials import trial_errors as trial_errors

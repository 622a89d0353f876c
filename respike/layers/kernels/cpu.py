"""The kernels compiled for the CPU."""

from .cpu_fused import pooled_scan as pooled_scan
from .cpu_parts import TILE as TILE
from .cpu_pool import pooled_increments as pooled_increments
from .cpu_scan import scan as scan
from .cpu_trials import trial_errors as trial_errors

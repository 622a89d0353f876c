"""The kernels compiled for the CPU."""

from .cpu_pool import pooled_increments as pooled_increments
from .cpu_scan import TILE as TILE
from .cpu_scan import scan as scan

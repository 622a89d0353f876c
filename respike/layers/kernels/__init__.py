"""Faster spellings of the equations, for inference: the same numbers, bit for bit, in one pass over memory.

Synapses that add up events are here, too: the sums of a convolution in another order.

``eager.py`` is the reference, in torch and for every device; ``cpu`` compiles the same for the CPU with numba,
``gpu.py`` for CUDA with Triton. Which one runs is chosen by device and by what is installed; ``RESPIKE_KERNELS`` in
the environment, or ``use``, says otherwise.
"""

from ._choice import BACKENDS as BACKENDS
from ._choice import available as available
from ._choice import backend_for as backend_for
from ._choice import differentiable_scan as differentiable_scan
from ._choice import event_synapses as event_synapses
from ._choice import pooled_increments as pooled_increments
from ._choice import pooled_scan as pooled_scan
from ._choice import scan as scan
from ._choice import sparse_below as sparse_below
from ._choice import trial_errors as trial_errors
from ._choice import use as use
from ._choice import why_dense as why_dense
from .rule import Drive as Drive
from .rule import Rule as Rule
from .rule import Send as Send
from .rule import Trials as Trials

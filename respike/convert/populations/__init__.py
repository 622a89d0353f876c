"""``population=k``: smooth functions of one signal as sums of k ReLUs, for neurons whose spikes have one sign."""

from .fit import fitted as fitted
from .smooth import Smooth as Smooth
from .smooth import as_in as as_in

"""``population=k``: smooth functions of one signal as sums of k ReLUs, for neurons whose spikes have one sign."""

from .curves import Curve as Curve
from .fit import Population as Population
from .fit import fitted as fitted
from .gather import gathered as gathered
from .gather import populations as populations
from .histogram import Histogram as Histogram
from .spread import GUESS as GUESS
from .spread import spread as spread
from .spread import to_spread as to_spread

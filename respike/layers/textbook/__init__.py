"""The neurons of the textbooks and of snnTorch, whose names, arguments and defaults they keep."""

from .alpha import SRM0 as SRM0
from .alpha import Alpha as Alpha
from .beta_neuron import BetaNeuron as BetaNeuron
from .lapicque import Lapicque as Lapicque
from .leaky import Leaky as Leaky
from .recurrent import RLeaky as RLeaky
from .recurrent import RSynaptic as RSynaptic
from .synaptic import Stein as Stein
from .synaptic import Synaptic as Synaptic
from .textbook_lif import TextbookLIF as TextbookLIF

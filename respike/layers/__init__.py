"""Spiking neurons: their equations, layers of ``(batch, time, ...)`` shape, their curves.

Sinabs' neurons, with Sinabs' names, stand in this folder; snnTorch's and the textbooks' in ``textbook``.
"""

from . import encoders as encoders
from . import equations as equations
from . import stimuli as stimuli
from .alif import ALIF as ALIF
from .closed_forms import closed_form as closed_form
from .constant_leak import ConstantLeakIAF as ConstantLeakIAF
from .curves import decay_curve as decay_curve
from .curves import transfer_curve as transfer_curve
from .exp_leak import ExpLeak as ExpLeak
from .iaf import IAF as IAF
from .lif import LIF as LIF
from .passive import closed_decay as closed_decay
from .passive import rheobase as rheobase
from .recurrent import ALIFRecurrent as ALIFRecurrent
from .recurrent import IAFRecurrent as IAFRecurrent
from .recurrent import LIFRecurrent as LIFRecurrent
from .reset_fn import MembraneReset as MembraneReset
from .reset_fn import MembraneSubtract as MembraneSubtract
from .reset_fn import NoReset as NoReset
from .spike_fn import MaxSpike as MaxSpike
from .spike_fn import MultiSpike as MultiSpike
from .spike_fn import SingleSpike as SingleSpike
from .spike_fn import StrictSpike as StrictSpike
from .spiking import SpikingLayer as SpikingLayer
from .squeeze import ExpLeakSqueeze as ExpLeakSqueeze
from .squeeze import IAFSqueeze as IAFSqueeze
from .squeeze import LIFSqueeze as LIFSqueeze
from .stateful import StatefulLayer as StatefulLayer
from .stateful import reset_states as reset_states
from .stateful import zero_grad as zero_grad
from .surrogate import ATan as ATan
from .surrogate import FastSigmoid as FastSigmoid
from .surrogate import Gaussian as Gaussian
from .surrogate import Heaviside as Heaviside
from .surrogate import LeakySpikeOperator as LeakySpikeOperator
from .surrogate import MultiGaussian as MultiGaussian
from .surrogate import PeriodicExponential as PeriodicExponential
from .surrogate import Sigmoid as Sigmoid
from .surrogate import SingleExponential as SingleExponential
from .surrogate import SparseFastSigmoid as SparseFastSigmoid
from .surrogate import SpikeRateEscape as SpikeRateEscape
from .surrogate import StraightThroughEstimator as StraightThroughEstimator
from .surrogate import Triangular as Triangular
from .textbook import SRM0 as SRM0
from .textbook import Alpha as Alpha
from .textbook import BetaNeuron as BetaNeuron
from .textbook import Lapicque as Lapicque
from .textbook import Leaky as Leaky
from .textbook import RLeaky as RLeaky
from .textbook import RSynaptic as RSynaptic
from .textbook import Stein as Stein
from .textbook import Synaptic as Synaptic
from .textbook import TextbookLIF as TextbookLIF

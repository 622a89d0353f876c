"""Spiking neurons: their equations, layers with Sinabs' names and ``(batch, time, ...)`` shape, curves."""

from . import equations as equations
from .curves import closed_form as closed_form
from .curves import transfer_curve as transfer_curve
from .exp_leak import ExpLeak as ExpLeak
from .iaf import IAF as IAF
from .lif import LIF as LIF
from .recurrent import IAFRecurrent as IAFRecurrent
from .recurrent import LIFRecurrent as LIFRecurrent
from .reset_fn import MembraneReset as MembraneReset
from .reset_fn import MembraneSubtract as MembraneSubtract
from .spike_fn import MaxSpike as MaxSpike
from .spike_fn import MultiSpike as MultiSpike
from .spike_fn import SingleSpike as SingleSpike
from .squeeze import ExpLeakSqueeze as ExpLeakSqueeze
from .squeeze import IAFSqueeze as IAFSqueeze
from .squeeze import LIFSqueeze as LIFSqueeze
from .stateful import StatefulLayer as StatefulLayer
from .stateful import reset_states as reset_states
from .stateful import zero_grad as zero_grad
from .surrogate import Gaussian as Gaussian
from .surrogate import Heaviside as Heaviside
from .surrogate import MultiGaussian as MultiGaussian
from .surrogate import PeriodicExponential as PeriodicExponential
from .surrogate import SingleExponential as SingleExponential

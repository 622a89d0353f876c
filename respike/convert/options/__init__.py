"""How to convert: every option with its default, its check and its help, which the command line takes from here too.

What belongs together is one small value: ``Percentile(99.9)``, ``Pipelined(delay=2)``, ``MultiThreshold(levels=3)``,
``Auto(within=1)``. Where such a value has defaults, its plain name stands for it: ``"percentile"``, ``"pipelined"``.
"""

from .encoding import EncoderName as EncoderName
from .encoding import Encoding as Encoding
from .encoding import encoding_of as encoding_of
from .names import NAMED as NAMED
from .names import gathered as gathered
from .names import schedule_of as schedule_of
from .names import threshold_of as threshold_of
from .neuron_options import NeuronOptions as NeuronOptions
from .options import Options as Options
from .values import LIF as LIF
from .values import MSE as MSE
from .values import PRECISIONS as PRECISIONS
from .values import Auto as Auto
from .values import Correction as Correction
from .values import Granularity as Granularity
from .values import Judge as Judge
from .values import Max as Max
from .values import MultiThreshold as MultiThreshold
from .values import NeuronName as NeuronName
from .values import Percentile as Percentile
from .values import Pipelined as Pipelined
from .values import Precision as Precision
from .values import Preference as Preference
from .values import Schedule as Schedule
from .values import Threshold as Threshold
from .values import Value as Value

"""What a spiking network takes, in operations, traffic and energy, beside the ANN it came from."""

from .cost import Baseline as Baseline
from .cost import Cost as Cost
from .cost import LayerCost as LayerCost
from .cost import Traffic as Traffic
from .count import cost_of as cost_of
from .energy import ENERGY_45NM as ENERGY_45NM
from .energy import ENERGY_45NM_INT8 as ENERGY_45NM_INT8
from .energy import ENERGY_45NM_MEMORY as ENERGY_45NM_MEMORY
from .energy import EnergyModel as EnergyModel

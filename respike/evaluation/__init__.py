"""Accuracy and cost of a spiking network against the number of timesteps."""

from .cost import ENERGY_45NM as ENERGY_45NM
from .cost import ENERGY_45NM_INT8 as ENERGY_45NM_INT8
from .cost import ENERGY_45NM_MEMORY as ENERGY_45NM_MEMORY
from .cost import Baseline as Baseline
from .cost import Cost as Cost
from .cost import EnergyModel as EnergyModel
from .cost import LayerCost as LayerCost
from .cost import Traffic as Traffic
from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import diagnose as diagnose
from .evaluate import evaluate as evaluate
from .exits import ExitEvaluation as ExitEvaluation
from .exits import evaluate_exit as evaluate_exit
from .layer_activity import LayerActivity as LayerActivity
from .merging import merge as merge
from .result import Evaluation as Evaluation
from .result import comparison as comparison

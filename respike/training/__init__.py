"""Training after conversion: a network learns, through its spikes, to give the ANN's outputs."""

from .finetune import finetune as finetune
from .finetune import tune as tune
from .options import TrainingOptions as TrainingOptions
from .shifts import Shifts as Shifts

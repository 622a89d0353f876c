"""Accuracy and cost of a spiking network against the number of timesteps."""

from .evaluate import evaluate as evaluate
from .result import Evaluation as Evaluation
from .result import LayerActivity as LayerActivity
from .result import comparison as comparison

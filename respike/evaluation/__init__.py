"""Accuracy and cost of a spiking network against the number of timesteps."""

from .evaluate import evaluate as evaluate
from .exits import ExitEvaluation as ExitEvaluation
from .exits import evaluate_exit as evaluate_exit
from .result import Evaluation as Evaluation
from .result import LayerActivity as LayerActivity
from .result import comparison as comparison

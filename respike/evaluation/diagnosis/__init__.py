"""Find out which layer of a spiking network is wrong, why, and what to change."""

from .diagnose import diagnose as diagnose
from .result import Diagnosis as Diagnosis
from .result import Finding as Finding
from .result import LayerDiagnosis as LayerDiagnosis
from .result import Part as Part
from .result import Trial as Trial

"""What ``precision="auto"`` tried, what it chose, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..run.arithmetic import Precision


@dataclass(frozen=True)
class PrecisionTrial:
    """One precision on the calibration samples.

    Attributes:
        precision: Which.
        agreement: Share of samples on which it decides as float32 does; None if it is judged by its error.
        time: In units of float32's.
        reached: Whether the agreement, or the error, is what was asked for.
        error: Relative error of the outputs, see ``judging``; None if it is judged by decisions.
    """

    precision: Precision
    agreement: float | None
    time: float
    reached: bool
    error: float | None = None

    def __str__(self) -> str:
        off = f"error {100 * (self.error or 0):.2f} % against float32"
        alike = off if self.agreement is None else f"{100 * self.agreement:.2f} % as float32"
        return f"{self.precision}: {alike}, in {self.time:.2f} of its time"


@dataclass(frozen=True)
class PrecisionChoice:
    """The fastest precision that does as float32 does, and what it was held against.

    Attributes:
        chosen: Its trial.
        within: Points of agreement with float32 that were allowed to be missing, or percent of relative error.
        samples: How many samples judged each trial.
        trials: All that this network can run in.
    """

    chosen: PrecisionTrial
    within: float
    samples: int
    trials: tuple[PrecisionTrial, ...]

    @property
    def reason(self) -> str:
        """Why this one, in a sentence."""
        goal = f"decide as float32 on at least {100 - self.within:g} % of"
        if self.chosen.agreement is None:
            goal = f"give float32's output within a relative error of {self.within:g} % on"
        return f"{self.chosen.precision} is the fastest here of all that {goal} {self.samples:,} calibration samples"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.trials), self.reason])

    def as_dict(self) -> dict[str, Any]:
        """Everything, in what JSON can hold."""
        asked = {"within": self.within, "samples": self.samples, "reason": self.reason}
        return {**asdict(self.chosen), **asked, "trials": [asdict(t) for t in self.trials]}

"""What goes wrong in other processes."""

from __future__ import annotations

from ..errors import RespikeError


class RankError(RespikeError, RuntimeError):
    """Another process has failed, has died or does not answer, so that this one cannot go on.

    Attributes:
        told: Whether another process tells the user of it.
    """

    def __init__(self, message: str, told: bool = False) -> None:
        super().__init__(message)
        self.told = told

"""Several processes that work on one thing, in the process group that ``torchrun`` or the user has made."""

from .device import device_of_rank
from .errors import RankError
from .group import Ranks, alone, first_difference, here, patience, speaks
from .seconds import seconds_of

__all__ = [
    "RankError",
    "Ranks",
    "alone",
    "device_of_rank",
    "first_difference",
    "here",
    "patience",
    "seconds_of",
    "speaks",
]

"""Chips: whether a converted network fits on one."""

from .check import check as check
from .result import Check as Check
from .result import CoreUse as CoreUse
from .result import Rule as Rule
from .targets import Target as Target
from .targets import names as names
from .targets import target_named as target_named

"""From the plain names of options to the values that these stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import checks
from ..errors import ConversionError
from .values import LIF, MSE, Auto, Max, MultiThreshold, Percentile, Pipelined, Schedule, Threshold, Value

NAMED: Mapping[str, Mapping[str, type[Value]]] = {
    "timesteps": {"auto": Auto},
    "threshold": {"mse": MSE, "max": Max, "percentile": Percentile},
    "schedule": {"pipelined": Pipelined},
    "neuron": {"lif": LIF, "multi_threshold": MultiThreshold},
}
"""For options that have values with options of their own: these, by the plain names that stand for them."""


def threshold_of(given: Any) -> Threshold:
    """The threshold that a plain name stands for, or the value itself.

    Raises:
        ConversionError: anything else.
    """
    found = _value_of("threshold", given, Threshold)
    assert isinstance(found, Threshold)
    return found


def schedule_of(given: Any) -> tuple[Schedule, int]:
    """Plain name and delay of a schedule.

    Raises:
        ConversionError: anything else than a name or a value of ``Pipelined``.
    """
    if given in ("synchronous", "layerwise"):
        return given, 1
    found = _value_of("schedule", given, Pipelined, "synchronous", "layerwise")
    assert isinstance(found, Pipelined)
    return "pipelined", found.delay


def _value_of(option_name: str, given: Any, kind: type[Value], *others: str) -> Value:
    if isinstance(given, kind) and type(given) in NAMED[option_name].values():
        return given
    names = (*others, *NAMED[option_name])
    if isinstance(given, str):
        return NAMED[option_name][checks.one_of(option_name, given, names)]()
    values = " or ".join(f"respike.{made.__name__}(...)" for made in NAMED[option_name].values())
    raise ConversionError(f"{option_name} must be one of {', '.join(names)}, or {values}; got {checks.shown(given)}")


def gathered(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``from_torch`` from flat ones, as the command line and TOML files have them.

    Args:
        flat: Plain names for ``timesteps``, ``threshold``, ``schedule`` and ``neuron``, and beside them the options of
            the values that these stand for; other options are handed on. What does not belong to the chosen value is
            ignored, so that defaults may stand there.
    """
    own = {part.name for kinds in NAMED.values() for kind in kinds.values() for part in fields(kind)}
    found = {name: value for name, value in flat.items() if name not in own}
    for name, kinds in NAMED.items():
        kind = kinds.get(found[name]) if isinstance(found.get(name), str) else None
        if kind is not None:
            found[name] = kind(**{part.name: flat[part.name] for part in fields(kind) if part.name in flat})
    return found

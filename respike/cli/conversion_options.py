"""The options of conversion, made from the fields of ``respike.convert.options``: their defaults, choices and help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from ..convert.options import NAMED, NeuronName, NeuronOptions, Options, Value
from .command import option
from .options import several
from .values import Choice, StepsOrAuto


def _made() -> Iterator[tuple[str, Any]]:
    """Each option by its name, what belongs to a value behind that value's own."""
    known: set[str] = set()
    own = {part.name: part for kind in (Options, NeuronOptions) for part in fields(kind)}
    special: dict[str, dict[str, Any]] = {
        "timesteps": {"type": StepsOrAuto(), "metavar": "T|auto", "default": str(own["timesteps"].default)},
        "threshold": {"type": Choice(list(NAMED["threshold"])), "default": Options().threshold.name},
        "neuron": {"type": Choice(["auto", *get_args(NeuronName)]), "default": "auto"},
        "max_spikes": {"type": click.IntRange(max=2**16)},
        "population": {"metavar": "K", "type": int},
        "memory_budget": {"metavar": "BYTES", "type": float},
    }
    for name in ("timesteps", "threshold", "neuron", "max_spikes", "schedule", "correction", "precision"):
        kind = NeuronOptions if name in ("neuron", "max_spikes") else Options
        yield name, _option(kind, own[name], "", **special.get(name, {}))
        for part, made in _of_values(name):
            if part not in known:
                known.add(part)
                yield part, made
    yield (
        "analog",
        option("--analog", multiple=True, part="Conversion", help="Module to keep out of spikes; repeatable."),
    )
    yield "population", _option(Options, own["population"], "", **special["population"])
    for name in ("samples", "seed", "memory_budget"):
        yield name, _option(Options, own[name], "", **special.get(name, {}))


def _of_values(name: str) -> Iterator[tuple[str, Any]]:
    """The options of the values that an option may have."""
    kinds = NAMED.get(name, {})
    for kind in kinds.values():
        for part in fields(kind):
            owners = [word for word, other in kinds.items() if part.name in {p.name for p in fields(other)}]
            wherever = len(owners) == len(kinds) and len(kinds) > 1
            flag = "-T" if name == "timesteps" else f"--{name}"
            yield part.name, _option(kind, part, "" if wherever else f"With {flag} {' or '.join(owners)}: ")


def _option(kind: type[Value], part: Field[Any], before: str, **special: Any) -> Any:
    """One option, from the field's type, default and help."""
    spelled = get_type_hints(kind)[part.name]
    text = part.metadata["help"]
    found: dict[str, Any] = {"part": "Conversion", "help": before + (text[0].lower() + text[1:] if before else text)}
    if part.default is not MISSING and part.default is not None:
        found["default"] = part.default
    if get_origin(spelled) is Literal:
        found["type"] = Choice(list(get_args(spelled)))
    elif part.default is None:
        found["type"] = float
    found |= special
    flags = ["-T"] if part.name == "timesteps" else []
    return option(*flags, f"--{part.name.replace('_', '-')}", **found)


_OPTIONS = dict(_made())
CONVERSION = several(*_OPTIONS.values())
CONVERSION_NAMES = list(_OPTIONS)
"""The options of ``CONVERSION``."""

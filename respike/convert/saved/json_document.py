"""What the JSON of a saved network holds: one class for its writer and its reader, checked by its own types."""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...text import shown
from ..choose.choice import Choice
from ..closeness import Closeness
from ..errors import ConversionError, FormatError
from ..graph import Population
from ..options import Encoding, NeuronName, Precision, Schedule
from .parse_json import plain

DROPPED = frozenset({"allocation", "precision_choice"})
"""What files of the versions 1 and 2 tell of choices that are no more."""

WholeType = Literal["int64", "int32", "int16", "int8", "uint8", "bool"]


@dataclass(frozen=True)
class InputText:
    """An input.

    Attributes:
        name: As in the graph.
        shape: As in ``graph.Node``, null for the batch.
        integer: Whether it holds whole numbers or truth values.
        type: Of those, ``"uint8"``, say; what older files lack is ``"int64"``.
    """

    name: str
    shape: tuple[int | None, ...]
    integer: bool
    type: WholeType = "int64"


@dataclass(frozen=True)
class NodeText:
    """An operation, as in ``graph.Node``; arguments as ``values.spelled`` writes them."""

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    path: str
    kind: str
    shape: tuple[int | None, ...] | None
    role: str


@dataclass(frozen=True)
class NeuronText:
    """A layer of neurons; its threshold, bias and start are tensors of the file. Before version 4 none had a floor."""

    neuron: NeuronName
    max_spikes: int
    tau_mem: float
    levels: int
    axis: int
    floor: float | None = None


@dataclass(frozen=True)
class Document:
    """A network without its tensors.

    Attributes:
        timesteps: As in ``SpikingNetwork``; so are the next six.
        inputs: In order.
        tensors: Names of the weights, in order.
        nodes: In order of execution.
        outputs: ``{"ref": NAME}`` or a constant for each leaf of the output.
        leaves: The same for each leaf of the arguments.
        arguments: Their structure, as ``values.drawn`` writes it.
        output: The output's.
        neurons: By the name of their node.
        calibrated_timesteps: As in ``SpikingNetwork``; None in a file of version 1, which has none.
        fitted: As in ``SpikingNetwork``; False in a file from before it was kept.
        unit_thresholds: As in ``SpikingNetwork``; None in a file from before it was kept.
        closeness: As in ``SpikingNetwork``; None in a file from before it was kept.
        moving: Names of the inputs that have a time axis.
        encodings: By name, the inputs that become events.
        populations: By the name of the node that was a smooth function, the sum of ReLUs that it is.
    """

    timesteps: int
    schedule: Schedule
    delay: int
    precision: Precision
    choice: Choice | None
    inputs: tuple[InputText, ...]
    tensors: tuple[str, ...]
    nodes: tuple[NodeText, ...]
    outputs: tuple[Any, ...]
    leaves: tuple[Any, ...]
    arguments: Any
    output: Any
    neurons: dict[str, NeuronText]
    calibrated_timesteps: int | None = None
    fitted: bool = False
    unit_thresholds: bool | None = None
    closeness: Closeness | None = None
    moving: tuple[str, ...] = ()
    encodings: dict[str, Encoding] = field(default_factory=dict)
    populations: dict[str, Population] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The JSON.

        Raises:
            FormatError: a number in it is not finite.
        """
        try:
            return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise FormatError("a setting or an argument of it is not a finite number") from error


def parse(text: str) -> Document:
    """The document in a JSON text, with nothing missing, nothing unknown and all of the right type.

    Raises:
        FormatError: anything else.
    """
    found = plain(text)
    if isinstance(found, dict):
        found = {key: value for key, value in found.items() if key not in DROPPED}
    document = _fit(Document, found, "network")
    assert isinstance(document, Document)
    return document


def _fit(kind: Any, value: Any, what: str) -> Any:
    """``value`` as the type ``kind``: a dataclass, plain type, Literal, union, or tuple or dict of those."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value, what)
    if origin in (Union, types.UnionType):
        rest = [a for a in args if a is not types.NoneType]
        return None if value is None else _fit(rest[0], value, what)
    if origin is Literal and isinstance(value, str) and value in args:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_fit(args[0], item, f"{what}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _fit(args[1], item, f"{what}.{shown(key)}") for key, item in value.items()}
    if type(value) is kind and kind in (int, float, str, bool):
        return value
    if kind is float and type(value) is int:
        return float(value)
    wanted = " or ".join(map(repr, args)) if origin is Literal else getattr(origin or kind, "__name__", str(kind))
    raise FormatError(f"its {what} must be {wanted}, and is {shown(repr(value)[:200])}")


_hints = cache(get_type_hints)


def _record(kind: type, value: Any, what: str) -> Any:
    hints = _hints(kind)
    names = [f.name for f in fields(kind)]
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if not isinstance(value, dict) or not set(needed) <= set(value) <= set(names):
        given = set(value) if isinstance(value, dict) else set()
        odd = [f"without {n!r}" for n in needed if n not in given] + [f"with {shown(n)!r}" for n in given - set(names)]
        raise FormatError(f"its {what} is {', '.join(sorted(odd)[:3]) or 'no JSON object'}")
    made = {name: _fit(hints[name], value[name], f"{what}.{name}") for name in names if name in value}
    try:
        return kind(**made)
    except ConversionError as error:
        raise FormatError(f"its {what} is wrong: {error}") from error

"""Calibration data that differ in every step, or are encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import checks
from .checks import names
from .data import Told, argument_names
from .errors import ConversionError
from .graph import Graph
from .options import EncoderName, Encoding, encoding_of

Chosen = Sequence[str] | Literal[True]


@dataclass(frozen=True)
class Frames(Told):
    """Calibration data that differ in every step: each sample is a frame for each timestep, ``(T, ...)``.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> snn = respike.from_torch(model, respike.Frames(torch.rand(64, 8, 4)), timesteps=8)
    >>> snn(torch.rand(5, 8, 4)).shape
    torch.Size([5, 2])

    Attributes:
        data: As for ``respike.from_torch``, inputs ``(N, T, ...)``.
        inputs: Names of the arguments of ``forward`` that move, the others hold still; True: all of real numbers.
        events: Whether frames are whole numbers of events, and count as such: a 2 as two synaptic operations at each
            synapse, and not as a multiply-accumulate. None: they are if all of those that calibrate are whole numbers,
            on average at most one event a value, so that events are the cheaper way to compute them. It changes what
            is counted, not what is computed.
    """

    inputs: Chosen = True
    events: bool | None = None

    def __post_init__(self) -> None:
        if self.inputs is not True:
            names("inputs", self.inputs)
        checks.flag("events", self.events, optional=True)
        if isinstance(self.data, Told):
            kind = type(self.data).__name__
            raise ConversionError(
                f"Frames are made of plain data, and these are {kind} already; encoded frames are Encoded(Frames(data))"
            )

    def moving(self, args: tuple[Any, ...], model: nn.Module) -> tuple[Any, ...]:
        """For each value among the arguments of a batch, whether it moves, in the same structure.

        Raises:
            ConversionError: an unknown name.
        """
        return marked(self.inputs, args, model)

    def shown(self, args: tuple[Any, ...], moving: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the model is shown of a batch: the mean over time of what moves.

        Raises:
            ConversionError: a batch without a time axis.
        """

        def mean(x: Any, moves: bool) -> Any:
            if not moves:
                return x
            if x.dim() < 2 or not x.shape[1]:
                raise ConversionError(f"Frames are (N, T, ...), one frame for each timestep; got {tuple(x.shape)}")
            return x.float().mean(1)

        return pytree.tree_map(mean, args, moving)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Encoded(Told):
    """Calibration data that an encoder makes events of: the network sees these, and is given what it was before.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> snn = respike.from_torch(model, respike.Encoded(torch.rand(64, 4), "poisson"), timesteps=8)
    >>> snn(torch.rand(5, 4)).shape
    torch.Size([5, 2])

    Attributes:
        data: As for ``respike.from_torch``; or ``respike.Frames``, each of which is encoded in its step.
        encode: How: the name of an encoder, or a ``respike.Encoding``.
        inputs: Names of the arguments of ``forward`` that are encoded; True: all of real numbers.
    """

    encode: EncoderName | Encoding = "error_diffusion"
    inputs: Chosen = True

    def __post_init__(self) -> None:
        encoding_of(self.encode)
        if self.inputs is not True:
            names("inputs", self.inputs)
        if isinstance(self.data, Encoded):
            raise ConversionError("data are encoded already; name the inputs that are to be encoded alike")


def marked(inputs: Chosen, args: tuple[Any, ...], model: nn.Module) -> tuple[Any, ...]:
    """For each value among the arguments of a batch, whether it is one of those that are named.

    Args:
        inputs: Names of arguments; True: all of real numbers.
        args: The batch.
        model: Whose ``forward`` takes it.

    Raises:
        ConversionError: an unknown name.
    """
    known = argument_names(model)
    known += [f"{known[-1] if known else 'input'}[{k}]" for k in range(len(known), len(args))]
    chosen = known if inputs is True else names("inputs", inputs)
    for name in chosen:
        if name not in known:
            raise ConversionError(f"inputs: forward has no argument {name!r}; it has {', '.join(map(repr, known))}")

    def is_one(x: Any) -> bool:
        return isinstance(x, Tensor) and (inputs is not True or len(args) == 1 or x.is_floating_point())

    return tuple(
        pytree.tree_map(is_one if name in chosen else lambda _: False, x) for name, x in zip(known, args, strict=False)
    )


class EventsSeen:
    """Looks at frames as they are read: whether they are events.

    Args:
        graph: Whose inputs they are; those that an encoder makes events of are not looked at.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.counts = {name: [0.0, 0] for name in graph.moving - graph.encodings.keys()}

    def watching(self, stream: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
        """The same batches."""
        for inputs in stream:
            for name, x in zip(self.graph.inputs, inputs, strict=True):
                if name in self.counts and bool((x == x.round()).all()):
                    self.counts[name][0] += float(x.abs().double().sum())
                    self.counts[name][1] += x.numel()
                else:
                    self.counts.pop(name, None)
            yield inputs

    def names(self) -> list[str]:
        """The inputs whose frames all were whole numbers, with at most one event a value on average."""
        return sorted(name for name, (total, values) in self.counts.items() if 0 < total <= values)

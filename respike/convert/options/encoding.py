"""How an input becomes events before the network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .. import checks
from ..errors import ConversionError
from .values import Value, one_of, option

EncoderName = Literal["rate", "poisson", "error_diffusion", "latency", "delta", "events"]
OF_FRAMES = frozenset({"delta", "events"})
"""Encoders of inputs that move: a constant never changes."""


def _scale(name: str, value: Any) -> float | None:
    if value is None:
        return None
    bounds = ", above 0 and at most 1e30, or None for the largest magnitude of the samples"
    return float(checks.number(name, value, bounds, low=1e-30, most=1e30))


def _flag(name: str, value: Any) -> bool:
    checks.flag(name, value)
    return bool(value)


def _threshold(name: str, value: Any) -> float:
    return float(checks.number(name, value, ", above 0", above=0))


@dataclass(frozen=True)
class Encoding(Value):
    """How an input becomes events: in each timestep whole numbers, mostly 0 and 1, each of which carries ``scale``.

    The encoders are those of ``respike.layers.encoders``, step by step, so that a long run takes no more memory. They
    see the magnitude of x in units of ``scale``, ``m = |x| / scale``; what is below 0 sends events of the sign −1.

    - ``"rate"``: Bernoulli, one event with the probability m in each step. Beyond ``scale`` it is clipped.
    - ``"poisson"``: Poisson counts with the mean m; several events in a step are possible. Nothing is clipped.
    - ``"error_diffusion"``: as even as can be; what rounding leaves is carried on. Nothing is random, or clipped.
    - ``"latency"``: one event, the earlier the larger m is, linear over the run (``encoders.latency`` with ``linear``,
      ``normalize`` and ``clip``); none below ``threshold``, and beyond ``scale`` it is clipped. All values that send
      have the same mean over time, so that a rate code tells them apart no more: a ``ConversionWarning`` says so.
    - ``"delta"``: of inputs that move, +1 where a value rose by ``threshold`` or more since the frame before, −1 where
      it fell (``encoders.delta`` with ``padding`` and ``off_spike``). What the ANN is shown is the mean of these.
    - ``"events"``: of inputs that move, the frames as they are: whole numbers of events.

    What is drawn depends on the seed and on the sample alone: each sample has random numbers of its own, number i of
    which is a function of the seed, a hash of the sample's values (of frames: of those so far) and i (SplitMix64:
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). So the same call gives the
    same events, whatever shares the batch, in blocks of any size, on every device; and two samples have different
    noise, which one draw for all would not give: what is the same in all of them calibration would learn. Equal samples
    get equal events; for another draw take another seed.

    >>> respike.Encoding("poisson", seed=1, scale=0.5)
    Encoding(encoder='poisson', seed=1, scale=0.5, start=0.5, threshold=0.1, unit=False)

    Attributes:
        encoder: Its name.
        seed: Of ``"rate"`` and ``"poisson"``.
        scale: The value for which there is one event a step, above 0. None: the largest magnitude among the samples
            that calibrate; of ``"delta"`` and ``"events"`` 1. A larger scale sends fewer events, which carry more.
        start: Of ``"error_diffusion"``: what is there before the first step, in units of ``scale``, in [0, 1).
        threshold: Of ``"latency"``, in units of ``scale``, below 1; of ``"delta"``, in those of the input.
        unit: Whether an event carries 1, because the weights behind it carry the scale: so ``normalised`` and
            ``quantised`` make it, for chips.

    Raises:
        ConversionError: an unknown encoder, or a value out of range.
    """

    encoder: EncoderName = option("error_diffusion", one_of(EncoderName), "What makes events of an input.")
    seed: int = option(0, lambda _, value: checks.seed(value), "Random seed of the events.")
    scale: float | None = option(None, _scale, "The value of one event a step; by default the largest magnitude seen.")
    start: float = option(
        0.5,
        lambda name, x: float(checks.number(name, x, ", 0 or more and below 1", low=0, below=1)),
        "What error diffusion begins with.",
    )
    threshold: float = option(0.1, _threshold, "Below which nothing is sent.")
    unit: bool = option(False, _flag, "Whether an event carries 1.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder == "latency" and self.threshold >= 1:
            raise ConversionError(f"threshold must be below 1 with 'latency'; got {self.threshold:g}")
        if self.scale is None and self.encoder in OF_FRAMES:
            object.__setattr__(self, "scale", 1.0)

    @property
    def carried(self) -> float:
        """What one event carries into the network."""
        assert self.scale is not None
        return 1.0 if self.unit else self.scale


def encoding_of(given: Any) -> Encoding:
    """The encoding that a plain name stands for, or the value itself.

    Raises:
        ConversionError: anything else.
    """
    if isinstance(given, Encoding):
        return given
    if isinstance(given, str):
        return Encoding(checks.one_of("encode", given, get_args(EncoderName)))
    names = ", ".join(get_args(EncoderName))
    raise ConversionError(f"encode must be one of {names}, or respike.Encoding(...); got {checks.shown(given)}")

"""A simple event camera: images that move in front of it become events.

Each pixel sends an event whenever the logarithm of its brightness has changed by a contrast threshold since its last
one: the ideal sensor of Lichtsteiner, Posch, Delbruck, A 128x128 120 dB 15 µs latency asynchronous temporal contrast
vision sensor, IEEE JSSC 43, 2008, without noise. Between two samples the logarithm is taken for a straight line, as in
Rebecq, Gehrig, Scaramuzza, ESIM: an open event camera simulator, CoRL 2018. The image moves as in Orchard et al.,
Converting static image datasets to spiking neuromorphic datasets using saccades, Frontiers in Neuroscience 9, 2015:
three straight saccades of 100 ms along a triangle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np

    Events = np.ndarray[Any, Any]

SACCADE = 100
"""Milliseconds that each saccade takes."""
MICROSECONDS = 1000
"""Of a millisecond, in which the camera looks once."""
CORNERS = ((0, 0), (3, 6), (6, 0), (0, 0))
"""Where the image's upper left corner is before, between and after the saccades: x to the right, y down, in pixels."""
REACH = 6
"""Pixels that the image moves by at most: the sensor is larger by so many."""
PIECE = 64
"""Images filmed at once, so that what a step reads and writes fits the cache."""


@dataclass(frozen=True)
class EventCamera:
    """A camera that films images along three saccades of 100 ms.

    >>> camera = EventCamera()
    >>> image = torch.zeros(1, 1, 28, 28)
    >>> image[..., 8:20, 10:18] = 1.0  # a bright bar
    >>> camera.frames(image, timesteps=30).shape
    torch.Size([1, 30, 2, 34, 34])
    >>> events = camera.events(image[0])
    >>> events.dtype.names, bool((to_frames(events, (34, 34), 30) == camera.frames(image, 30)[0]).all())
    (('x', 'y', 't', 'p'), True)

    Attributes:
        threshold: Contrast threshold: the change of the logarithm of brightness that is an event.
        dark: Brightness of a black pixel, of a white one 1 + ``dark``: a pixel that turns from black to white sends
            log((1 + dark) / dark) / threshold events, rounded down: 5 by default.
    """

    threshold: float = 0.45
    dark: float = 0.1

    def __post_init__(self) -> None:
        for name in ("threshold", "dark"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1e-6 <= value <= 1e6:
                raise InputError(f"{name} must be a number from 1e-6 to 1e6; got {value!r}")

    @property
    def milliseconds(self) -> int:
        """How long a recording is."""
        return SACCADE * (len(CORNERS) - 1)

    @torch.no_grad()
    def frames(self, images: Tensor, timesteps: int) -> Tensor:
        """How many events each pixel sends in each of so many equal parts of the recording.

        Args:
            images: Grey values in [0, 1], ``(N, 1, H, W)``.
            timesteps: T, which divides the 300 ms.

        Returns:
            Whole numbers, float32 ``(N, T, 2, H + 6, W + 6)``: channel 0 counts events of falling, 1 of rising
            brightness, the order of tonic's ``ToFrame``.

        Raises:
            ValueError: images of another shape or out of range, or a T that does not divide 300.
        """
        _check(images)
        per_frame = frame_length(timesteps, self.milliseconds)
        n, _, height, width = images.shape
        made = torch.zeros(n, timesteps, 2, height + REACH, width + REACH)
        for start in range(0, n, PIECE):
            part = made[start : start + PIECE]
            for step, sent, _, _ in self._steps(images[start : start + PIECE, 0]):
                off, on = part[:, step // per_frame].unbind(1)
                on += sent.clamp(min=0)
                off -= sent.clamp(max=0)
        return made

    @torch.no_grad()
    def events(self, image: Tensor) -> Events:
        """The events of one image.

        Args:
            image: Grey values in [0, 1], ``(1, H, W)``.

        Returns:
            A structured array with the fields ``x``, ``y``, ``t`` (microseconds) and ``p`` (whether brightness rose),
            in the order of time: the type of ``tonic.io.events_struct``.

        Raises:
            ValueError: an image of another shape, or out of range.
        """
        import numpy as np

        _check(image.unsqueeze(0))
        kind = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)])
        parts = [np.zeros(0, kind)]
        for step, sent, before, after in self._steps(image):
            places = sent[0].nonzero()
            counts = sent[0][tuple(places.T)]
            each = counts.abs().long()
            ordinal = torch.arange(int(each.sum())) - (each.cumsum(0) - each).repeat_interleave(each)
            rows, columns = places.repeat_interleave(each, 0).T
            level = (ordinal + 1) * counts.sign().repeat_interleave(each)  # of the crossing, from that of the last one
            start, end = before[0, rows, columns], after[0, rows, columns]
            inside = ((level - start) / (end - start) * MICROSECONDS).floor().clamp(0, MICROSECONDS - 1).long()
            part = np.zeros(len(rows), kind)
            part["x"], part["y"], part["p"] = columns, rows, level > 0
            part["t"] = step * MICROSECONDS + inside
            parts.append(part[np.argsort(part["t"], kind="stable")])
        return np.concatenate(parts)

    def _steps(self, images: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """What each pixel does in each millisecond.

        Args:
            images: ``(N, H, W)``.

        Yields:
            The number of the step, how many events each pixel sends in it, ``(N, H + 6, W + 6)``, negative where
            brightness falls, and the logarithm of brightness before and after, in thresholds from that of the pixel's
            last event before the step.
        """
        bordered = F.pad(images.float(), [REACH + 1] * 4)
        path = _path(self.milliseconds)
        before = self._seen(bordered, *next(path))
        level = before.clone()  # of each pixel's last event
        for step, place in enumerate(path):
            after = self._seen(bordered, *place)
            change = after - level
            sent = change.trunc()
            yield step, sent, before - level, change
            level += sent
            before = after

    def _seen(self, bordered: Tensor, x: float, y: float) -> Tensor:
        """The logarithm of what the sensor sees of images moved by so many pixels, in thresholds; bilinear in between.

        Args:
            bordered: With as many dark pixels on each side as the image may move by, and one.
            x: To the right, from 0 to 6.
            y: Down, from 0 to 6.
        """
        size = [length - REACH - 2 for length in bordered.shape[1:]]
        seen = bordered
        for axis, shift in ((1, y), (2, x)):
            whole = int(shift)
            near = seen.narrow(axis, REACH + 1 - whole, size[axis - 1])
            far = seen.narrow(axis, REACH - whole, size[axis - 1])
            seen = torch.lerp(near, far, shift - whole)
        return (seen + self.dark).log_().div_(self.threshold)


def to_frames(events: Events, sensor: tuple[int, int], timesteps: int, milliseconds: int = 300) -> Tensor:
    """Events counted in equal parts of a recording that begins at 0, as tonic's ``ToFrame`` counts them.

    It gives what ``ToFrame((W, H, 2), time_window=1000 * milliseconds / timesteps, start_time=0,
    end_time=1000 * milliseconds)`` gives, and needs numpy alone, so that the data set that ships needs no extra.

    >>> import numpy as np
    >>> kind = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]
    >>> events = np.array([(0, 1, 2_000_000, True), (2, 0, 2_015_000, False)], kind)
    >>> events["t"] -= events["t"].min()  # from the start of the recording
    >>> frames = to_frames(events, (2, 3), timesteps=2, milliseconds=20)  # (2, 2, 2, 3)
    >>> frames.nonzero().tolist()  # frame, falling or rising, y, x
    [[0, 1, 1, 0], [1, 0, 0, 2]]

    Args:
        events: A structured array with the fields x, y, t (microseconds from the start of the recording) and p (0 or 1:
            whether brightness rose), of whole numbers; in any order.
        sensor: Its height and width in pixels.
        timesteps: T, which divides the milliseconds.
        milliseconds: How long the recording is.

    Returns:
        Whole numbers, float32 ``(T, 2, H, W)``; channel 1 counts those of rising brightness.

    Raises:
        ValueError: a field is missing or holds no whole numbers, an event lies beside the sensor or outside of the
            recording, or T does not divide the milliseconds.
    """
    import numpy as np

    if not isinstance(events, np.ndarray):
        raise InputError(f"events must be a structured numpy array; got {type(events).__name__}")
    missing = {"x", "y", "t", "p"} - set(events.dtype.names or ())
    if missing:
        raise InputError(f"events need the fields x, y, t and p; missing: {', '.join(sorted(missing))}")
    window = frame_length(timesteps, milliseconds) * MICROSECONDS
    height, width = _sides(sensor)
    pixels = f"the sensor is {height} pixels high and {width} wide, which is sensor=({height}, {width})"
    clock = (
        "count microseconds from the start of the recording (events['t'] - events['t'].min()), give its length in "
        "milliseconds, and leave out what lies outside of it"
    )
    sign = "1 for rising and 0 for falling brightness; of signs take events['p'] > 0"
    limits = {"x": (width, pixels), "y": (height, pixels), "t": (milliseconds * MICROSECONDS, clock), "p": (2, sign)}
    found = {}
    for name, (size, advice) in limits.items():
        values = events[name]
        whole = values.astype(np.int64)
        if not bool((whole == values).all()):
            raise InputError(f"events have a field {name} that does not hold whole numbers; {advice}")
        if len(whole) and not (whole.min() >= 0 and whole.max() < size):
            raise InputError(
                f"events have {name} from {whole.min()} to {whole.max()}; expected 0 to {size - 1}: {advice}"
            )
        found[name] = whole
    place = ((found["t"] // window * 2 + found["p"]) * height + found["y"]) * width + found["x"]
    counts = np.bincount(place, minlength=timesteps * 2 * height * width)
    return torch.from_numpy(counts).reshape(timesteps, 2, height, width).float()


def _path(milliseconds: int) -> Iterator[tuple[float, float]]:
    """Where the image's upper left corner is at the start and after each millisecond."""
    for millisecond in range(milliseconds + 1):
        saccade = min(millisecond // SACCADE, len(CORNERS) - 2)
        share = millisecond / SACCADE - saccade
        (x, y), (to_x, to_y) = CORNERS[saccade : saccade + 2]
        yield x + share * (to_x - x), y + share * (to_y - y)


def frame_length(timesteps: int, milliseconds: int) -> int:
    """Milliseconds of a frame.

    Raises:
        ValueError: the timesteps do not divide the recording.
    """
    for name, value in (("timesteps", timesteps), ("milliseconds", milliseconds)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise InputError(f"{name} must be a positive whole number; got {value!r}")
    if milliseconds % timesteps:
        raise InputError(
            f"timesteps must divide the {milliseconds} ms of a recording, so that frames are equally long; got "
            f"{timesteps!r}"
        )
    return int(milliseconds // timesteps)


def _sides(sensor: tuple[int, int]) -> tuple[int, int]:
    sides = sensor if isinstance(sensor, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise InputError(f"sensor must be (height, width) in pixels; got {sensor!r}")
    return int(sides[0]), int(sides[1])


def _check(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise InputError(f"images must be a tensor (N, 1, H, W); got {type(images).__name__}")
    if images.dim() != 4 or images.shape[1] != 1:
        raise InputError(f"expected grey images (N, 1, H, W); got shape {tuple(images.shape)}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise InputError("grey values must be in [0, 1]; scale the images first")

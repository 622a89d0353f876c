"""Recordings of an event camera as a data set of frames."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from .event_camera import EventCamera, frame_length

USUAL = 30
"""Frames of 10 ms: the unit of accumulated events."""


class EventFrames(Dataset[tuple[Tensor, Tensor]]):
    """Images filmed by an event camera, each when it is asked for, as all frames of many do not fit into memory.

    An index gives a recording and its label, a slice or a list of indices so many of both, as with a TensorDataset.
    Many at once are filmed several times as quickly as one after the other.

    >>> digits = respike.models.datasets.load("mnist_events", timesteps=30)
    >>> frames, labels = digits[:8]
    >>> frames.shape, labels.shape
    (torch.Size([8, 30, 2, 34, 34]), torch.Size([8]))

    Args:
        images: Grey values in [0, 1], ``(N, 1, H, W)``.
        labels: ``(N,)``.
        timesteps: T: recordings are ``(T, 2, H + 6, W + 6)``, how many events each pixel sends in each frame. None: the
            events of the whole recording, ``(2, H + 6, W + 6)``, as a mean for each 10 ms.
        camera: What films.

    Raises:
        ValueError: ``timesteps`` does not divide the recording's 300 ms, or images and labels do not pair; when an item
            is asked for, images of another shape or out of range.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, timesteps: int | None = None, camera: EventCamera | None = None
    ) -> None:
        if len(images) != len(labels):
            raise InputError(f"each image needs a label; got {len(images):,} images and {len(labels):,} labels")
        self.images, self.labels, self.timesteps = images, labels, timesteps
        self.camera = camera or EventCamera()
        if timesteps is not None:
            frame_length(timesteps, self.camera.milliseconds)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        one = isinstance(index, Integral) or (isinstance(index, Tensor) and not index.dim())
        images = self.images[index]
        found = self._filmed(images.unsqueeze(0) if one else images)
        return found[0] if one else found, self.labels[index]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, Tensor]]:
        """So many items at once, as torch's DataLoader asks for the items of a batch."""
        return list(zip(*self[indices], strict=True))

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """All recordings and all labels; 10,000 recordings of 60 frames take 5.6 GB."""
        return self[:]

    def _filmed(self, images: Tensor) -> Tensor:
        if self.timesteps is None:
            return self.camera.frames(images, 1).squeeze(1) / USUAL
        return self.camera.frames(images, self.timesteps)

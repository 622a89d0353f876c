"""A network that can be run frame by frame."""

from __future__ import annotations

from ..hidden_spikes import Recorded
from .stream import Stream


class Streamed(Recorded):
    """A network that can be run frame by frame."""

    def stream(self, batch: int, *, window: int | None = None, forgetting: float | None = None) -> Stream:
        """A run that gets its frames one by one and gives the estimate after each.

        >>> snn = respike.from_torch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(64, 4), 8)
        >>> frames, moving = torch.rand(5, 8, 4), snn.with_time()
        >>> with moving.stream(5) as run:
        ...     steps = [run(frame) for frame in frames.unbind(1)]
        >>> torch.allclose(torch.stack(steps, 1), moving.simulate(frames), atol=1e-5)
        True

        Args:
            batch: Samples that run side by side.
            window: The estimate is that of so many last steps; None: of all.
            forgetting: λ, between 0 and 1: a step counts λ times as much as the one behind it; None: all alike.

        Raises:
            ConversionError: a layerwise network, an option out of range, or both ways to forget.
        """
        return Stream(self, batch, window=window, forgetting=forgetting)

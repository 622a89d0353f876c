"""Batches, dealt to all processes in rounds; after some rounds they tell each other how far they are.

So the batches that are done are always the first ones, whatever the number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from ..ranks import Ranks

PAUSE = 1.0
"""Seconds of work, at least, between one exchange and the next."""
MOST = 256
"""Rounds between one exchange and the next, at most."""


class _Word(NamedTuple):
    """What a process says after some rounds."""

    batches: int
    samples: int
    seconds: float
    noting: bool


def in_rounds(
    batches: Iterator[Any],
    work: Callable[[Any], int],
    ranks: Ranks,
    *,
    due: Callable[[], bool],
    after: Callable[[int, int, bool], bool],
) -> None:
    """Do all batches.

    Args:
        batches: Those of this process.
        work: Does one of them, and says how many samples it held.
        ranks: The processes.
        due: Whether it is time to note how far the work is; rank 0's answer counts.
        after: Is told, in all processes alike, how many batches and samples more are done, and whether to note it; says
            whether to go on.

    Raises:
        RankError: another process has failed, see ``Ranks.gathered``.
    """
    rounds = 1

    def some() -> _Word:
        begun = time.monotonic()
        counts = [work(batch) for batch in islice(batches, rounds)]
        return _Word(len(counts), sum(counts), time.monotonic() - begun, ranks.first and due())

    while True:
        words = ranks.gathered(some)
        going = after(sum(word.batches for word in words), sum(word.samples for word in words), words[0].noting)
        if not going or all(word.batches < rounds for word in words):
            return
        if not ranks.alone:
            slowest = max(word.seconds / max(word.batches, 1) for word in words)
            rounds = max(1, min(MOST, 2 * rounds, round(PAUSE / max(slowest, 1e-6))))

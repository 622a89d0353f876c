"""One result from the results of parts of the data, as if it had been computed at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..convert import checks
from ..errors import InputError
from .formatting import plain
from .result import Evaluation
from .tally import tally_of

_SAME = {
    "network": "another network",
    "ann": "another ANN",
    "compared": "another ANN",
    "timesteps": "another number of timesteps",
    "schedule": "another schedule",
    "twin": "against_float32 or not",
    "metric": "another metric",
    "judged": "another way to judge",
    "about": "another way to judge",
}
"""What must be the same, and what it means if it is not."""


def merge(results: Sequence[Evaluation], *, again: bool = False) -> Evaluation:
    """Make one result of those of parts of the data, bit for bit what all of them at once would have given.

    Parts are cut between batches, as ``respike.evaluate(..., part=(2, 5))`` cuts them; if a batch is cut in two, a
    network may round the last bit of its sums otherwise.

    Args:
        results: Of one network, one ANN and one way to judge.
        again: Whether samples may count twice.

    Raises:
        InputError: results of different networks, ANNs, timesteps or judgements; two of the same samples; or one
            without the sums that it was made from.
    """
    if not isinstance(results, Sequence) or not results or not all(isinstance(x, Evaluation) for x in results):
        raise InputError("results must be a list of what respike.evaluate returned, at least one")
    checks.flag("again", again)
    first = results[0]
    for number, result in enumerate(results, 1):
        if result.sums is None:
            raise InputError(f"result {number} does not hold the sums that it was made from; evaluate it again")
    _check_alike(results)
    seen: dict[str, int] = {}
    for number, result in enumerate(results, 1):
        for mark in _marks(result):
            if not again and mark in seen:
                raise InputError(
                    f"results {seen[mark]} and {number} are of the same samples, which would count twice; give each "
                    "part once"
                )
            seen[mark] = number
    try:
        tally = tally_of(first.sums or {}, first.timesteps)
        for result in results[1:]:
            tally.join(result.sums or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the sums of a result are damaged ({type(error).__name__}: {error})") from error
    sums = first.sums or {}
    compared, twin = bool(sums["compared"]), bool(sums["twin"])
    parts = sorted({mark for result in results for mark in _marks(result)}) if len(results) > 1 else sums.get("parts")
    return replace(
        first,
        sums={**sums, **tally.as_dict(), **({} if parts is None else {"parts": parts})},
        **tally.results(first.layers, first.ann_macs, int(sums["always"]), compared, twin),
    )


def _marks(result: Evaluation) -> list[str]:
    """What tells the samples of a result from others, one text for each part that it was made from."""
    sums = result.sums or {}
    return sums.get("parts") or [str(sums["data"])]


def _check_alike(results: Sequence[Evaluation]) -> None:
    wanted = dict(_told(results[0]))
    for number, result in enumerate(results[1:], 2):
        for name, value in _told(result):
            if value != wanted[name]:
                shown = "" if name in ("network", "ann", "about", "layers") else f": {value!r} and not {wanted[name]!r}"
                raise InputError(
                    f"result {number} cannot be merged with the first one: it is of {_SAME[name]}{shown}; merge "
                    "results of one network, one ANN and the same options"
                )


def _told(result: Evaluation) -> Iterator[tuple[str, Any]]:
    sums = result.sums or {}
    yield "timesteps", result.timesteps
    for name in ("schedule", "metric", "judged"):
        yield name, getattr(result, name)
    for name in ("network", "ann", "compared", "twin"):
        yield name, sums.get(name)
    yield "about", plain(sums.get("curves", {}).get("about"))

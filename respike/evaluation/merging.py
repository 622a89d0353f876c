"""One result from the results of parts of the data, as if it had been computed at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..convert import checks
from ..errors import InputError
from ..sealed_file import digest
from .formatting import plain
from .result import Evaluation
from .tally import SKETCH, tally_of

ALIKE = 0.02
"""Share of the samples of a part that may be in another one by chance."""
_LARGEST = 2**64
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
        if not isinstance(result.sums, dict) or "digest" not in result.sums:
            raise InputError(f"result {number} does not hold the sums that it was made from; evaluate it again")
        if sealed(result.sums)["digest"] != result.sums["digest"]:
            raise InputError(f"result {number} is damaged: its sums are not those that were written")
    _check_alike(results)
    for number, result in enumerate(results[1:] if not again else (), 1):
        for before, other in enumerate(results[:number]):
            if not _disjoint(result, other) and _shared(result, other) > ALIKE:
                raise InputError(
                    f"results {before + 1} and {number + 1} share samples, which would count twice; give each part "
                    "once, and parts that were cut alike"
                )
    try:
        tally = tally_of(first.sums or {}, first.timesteps)
        for result in results[1:]:
            tally.join(result.sums or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the sums of a result are damaged ({type(error).__name__}: {error})") from error
    sums = first.sums or {}
    compared, twin = bool(sums["compared"]), bool(sums["twin"])
    cut = [part for result in results for part in _cut(result)] if all(map(_cut, results)) else []
    return replace(
        first,
        sums=sealed({**sums, **tally.as_dict(), "cut": cut}),
        **tally.results(first.layers, first.ann_macs, int(sums["always"]), compared, twin),
    )


def sealed(sums: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of a result under a digest, so that one that was changed by hand is found out."""
    rest = {name: value for name, value in sums.items() if name != "digest"}
    return {**rest, "digest": digest(plain(rest))}


def missing_parts(result: Evaluation) -> str:
    """Which parts of the data a merged result lacks, ``"2 and 3 of 5"``; empty if none, or if nothing is known."""
    cut = _cut(result)
    if not cut or len({(of, size) for _, of, size in cut}) > 1:
        return ""
    missing = [str(k) for k in range(1, cut[0][1] + 1) if k not in {k for k, _, _ in cut}]
    return f"{' and '.join(filter(None, [', '.join(missing[:-1]), missing[-1]]))} of {cut[0][1]}" if missing else ""


def _cut(result: Evaluation) -> list[tuple[int, int, int]]:
    """Which parts of the data it is of: each with the number of all, and the size of their batches."""
    return [(int(k), int(of), int(size)) for k, of, size in (result.sums or {}).get("cut", ())]


def _disjoint(one: Evaluation, other: Evaluation) -> bool:
    """Whether they are different parts of the same data, if these are the same."""
    a, b = _cut(one), _cut(other)
    alike = len({(of, size) for _, of, size in (*a, *b)}) == 1
    return bool(a and b) and alike and {k for k, _, _ in a}.isdisjoint(k for k, _, _ in b)


def _shared(one: Evaluation, other: Evaluation) -> float:
    """About which share of the samples of the smaller one are in both, from the smallest marks of each."""
    a, b = ({int(mark, 16) for mark in (result.sums or {})["sketch"]} for result in (one, other))
    known = min((max(marks) for marks in (a, b) if len(marks) == SKETCH), default=_LARGEST)  # up to here of both
    a, b = ({mark for mark in marks if mark <= known} for marks in (a, b))
    return len(a & b) / max(1, min(len(a), len(b)))


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

"""What processes tell each other, and what happens if one of them fails, dies or hangs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run

from respike.ranks import RankError, alone, here


def ordered() -> Any:
    ranks = here()
    squares = list(ranks.each(range(5), lambda k: torch.tensor([k * k, ranks.rank])))
    return (
        ranks.rank,
        ranks.size,
        torch.stack(squares).tolist(),
        ranks.once(lambda: ranks.rank),
        ranks.gathered(os.getpid),
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_get_what_each_computes_in_order(size: int, tmp_path: Path) -> None:
    for rank, found in enumerate(run(ordered, size, tmp_path)):
        assert found[:2] == (rank, size)
        assert found[2] == [[k * k, k % size] for k in range(5)]
        assert found[3] == 0
        assert len(set(found[4])) == size


def failing(where: int) -> Any:
    def work(k: int) -> int:
        if k == where:
            raise ValueError(f"item {k} is bad")
        return k

    return list(here().each(range(4), work))


def test_a_failure_ends_all_and_is_named_once(tmp_path: Path) -> None:
    own, other = run(failing, 2, tmp_path, 2)
    assert isinstance(own, ValueError)
    assert isinstance(other, RankError)
    assert str(other) == "rank 0 of 2 has failed with ValueError: item 2 is bad"
    assert other.told


def dying(by: int, rank: int) -> Any:
    ranks = here()
    if ranks.rank == rank:
        os.kill(os.getpid(), by)
    return ranks.gathered(lambda: ranks.rank)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_process_that_dies_is_named_by_one_of_the_others(rank: int, tmp_path: Path) -> None:
    found = run(dying, 3, tmp_path, signal.SIGKILL, rank)
    assert found.pop(rank) is None
    assert all(isinstance(error, RankError) for error in found)
    telling = [error for error in found if not error.told]
    assert len(telling) == 1
    assert f"rank {rank} of 3 (process " in str(telling[0])
    assert "has ended before its work was done" in str(telling[0])


def hanging(rank: int) -> Any:
    os.environ["RESPIKE_PATIENCE"] = "1"
    ranks = here()
    if ranks.rank == rank:
        time.sleep(10)
        return None
    return ranks.gathered(lambda: ranks.rank)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_process_that_hangs_is_named_once_and_in_time(rank: int, tmp_path: Path) -> None:
    found = run(hanging, 3, tmp_path, rank)
    assert found.pop(rank) is None
    assert all(isinstance(error, RankError) for error in found)
    (telling,) = [error for error in found if not error.told]
    assert str(telling).startswith(f"rank {rank} of 3 has not answered for {1 if rank else 2} seconds")


def by_itself() -> Any:
    with alone():
        inside = here().size
    return inside, here().size


def test_one_may_work_alone(tmp_path: Path) -> None:
    assert run(by_itself, 2, tmp_path) == [(1, 2), (1, 2)]


def test_patience_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPIKE_PATIENCE", "soon")
    from respike.ranks import group

    with pytest.raises(ValueError, match="RESPIKE_PATIENCE must be a number of seconds above 0; got 'soon'"):
        group.patience()

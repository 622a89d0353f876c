"""Memory that kernels write to is used again, and never while somebody still reads it."""

from __future__ import annotations

import gc
import random
import threading

import pytest
import torch
from torch import Tensor

from respike.layers.kernels import memory


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    gc.collect()
    memory.forget()


def test_it_is_used_again_when_no_view_is_left() -> None:
    first = memory.empty(300, 1000)
    place, view = first.data_ptr(), first.flatten()[7:].unflatten(0, (-1, 1))
    del first
    assert memory.empty(300, 1000).data_ptr() != place
    gc.collect()
    del view
    assert memory.empty(290, 1000, dtype=torch.float32).data_ptr() == place
    assert memory.empty(10, 10).shape == (10, 10)


def test_no_more_is_kept_than_stated() -> None:
    held = [memory.empty(2**22) for _ in range(12)]
    del held
    assert sum(map(len, memory._free)) <= memory.KEPT
    memory.forget()
    assert not memory._free


def test_who_holds_the_lock_may_drop_memory() -> None:
    """As the garbage collector does at any moment, in any thread."""
    held = [memory.empty(300, 1000)]
    with memory._lock:
        held.clear()
    assert memory.empty(300, 1000).shape == (300, 1000)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_is_still_there_is_written_to(seed: int) -> None:
    """Four threads take, fill, hand on and drop, and look at what they hold."""
    wrong: list[int] = []

    def work(number: int) -> None:
        draw, held = random.Random(100 * seed + number), list[tuple[Tensor, int]]()
        for turn in range(150):
            kind = draw.choice([torch.int8, torch.float32, torch.bfloat16])
            made = memory.empty(draw.choice([2**18, 2**19, 300_000]), dtype=kind)
            made.fill_(turn % 100 + number)
            held.append((made[: draw.choice([5, 1000, len(made)])], turn % 100 + number))
            if len(held) > 6:
                values, wanted = held.pop(draw.randrange(len(held)))
                if not bool((values == wanted).all()):
                    wrong.append(turn)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

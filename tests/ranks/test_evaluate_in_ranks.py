"""Several processes judge a network as one does, to the last bit; and go on where others have stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import run
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset

import respike
from respike.evaluation import judging
from respike.ranks import RankError, here
from respike.resume_file import ResumeError

N = 53


Both = tuple[nn.Module, respike.SpikingNetwork]


@pytest.fixture(scope="module")
def both() -> Both:
    """An ANN and its network; other processes are given them, as converting takes longer than all else."""
    return network()


def network() -> Both:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)).eval()
    return model, respike.from_torch(model, torch.rand(64, 1, 6, 6), timesteps=5)


def samples(values: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(N, 1, 6, 6, generator=generator)
    return x, torch.randn(N, 3, generator=generator) if values else torch.randint(3, (N,), generator=generator)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(list(zip(*samples(), strict=True)))


def batches(size: int = 7) -> Iterator[Any]:
    return iter(list(zip(*(x.split(size) for x in samples()), strict=True)))


def data(kind: str) -> Any:
    """The same samples in many forms."""
    whole = TensorDataset(*samples(kind == "values"))
    if kind in ("pair", "few"):
        return samples() if kind == "pair" else tuple(x[:5] for x in samples())
    if kind == "values":
        return whole
    if kind == "generator":
        return batches()
    if kind == "with empty batches":
        return [(x[:0], y[:0]) for x, y in batches()] + [*batches()] + [(x[:0], y[:0]) for x, y in batches()]
    if kind == "stream":
        return DataLoader(Stream(), batch_size=7)
    if kind == "workers":
        return DataLoader(whole, batch_size=7, num_workers=2)
    if kind == "shuffled":
        return DataLoader(whole, batch_size=7, shuffle=True)
    assert kind == "sampler"
    sampler: Any = DistributedSampler(whole) if not here().alone else None
    return DataLoader(whole, batch_size=1, sampler=sampler)


def judged(both: Both, kind: str, **options: Any) -> dict[str, Any]:
    model, snn = both
    torch.manual_seed(3)
    given = data(kind)
    return respike.evaluate(snn, given, ann=model, batch_size=7, **options).as_dict()


def distance(output: Tensor, target: Tensor) -> Tensor:
    return output[torch.arange(len(output)), target] / 3


KINDS = ["pair", "values", "generator", "with empty batches", "few", "shuffled", "sampler"]


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_judge_as_one(size: int, both: Both, tmp_path: Path) -> None:
    wanted = each(both, KINDS)
    for found in run(each, size, tmp_path, both, KINDS):
        assert found == wanted


def each(both: Both, kinds: list[str]) -> list[dict[str, Any]]:
    metric, twin = judged(both, "pair", metric=distance), judged(both, "pair", against_float32=True)
    return [metric, twin, *(judged(both, kind) for kind in kinds)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["workers", "stream"])
def test_loaders_with_workers_and_streams_are_read_once(kind: str, both: Both, tmp_path: Path) -> None:
    wanted = judged(both, "pair")
    assert run(judged, 2, tmp_path, both, kind) == [wanted, wanted]


def wrong(both: Both, kind: str) -> Any:
    model, snn = both
    x, y = samples()
    if kind == "nothing":
        return respike.evaluate(snn, [], ann=model)
    batches = [(x[:5], y[:5]), (x[:5], y[:5] + 7 * here().rank)]
    return respike.evaluate(snn, batches if kind == "data" else iter(batches))


def test_a_mistake_in_one_batch_ends_all(both: Both, tmp_path: Path) -> None:
    good, bad = run(wrong, 2, tmp_path, both, "label")
    assert "needs the labels 0 to 2" in str(bad)
    assert good.told
    assert "rank 1 of 2 has failed with InputError" in str(good)
    assert {str(error) for error in run(wrong, 2, tmp_path, both, "data")} == {
        "rank 1 of 2 evaluates other data than rank 0; all must give the same, and a DistributedSampler shares data"
    }
    assert [str(error) for error in run(wrong, 2, tmp_path, both, "nothing")] == ["there is no data to evaluate on"] * 2


class Stop(Exception):  # noqa: N818 - it is no error
    pass


def stopping(both: Both, file: str, kind: str, after: int) -> Any:
    """Begin, and stop when so many batches have been judged by this process."""
    os.environ["RESPIKE_INTERVAL"] = "0"
    judge, count = judging.Judging.judge, 0

    def counted(self: Any, batch: Any) -> int:
        nonlocal count
        if count == after:
            raise Stop
        count += 1
        return judge(self, batch)

    judging.Judging.judge = counted  # type: ignore[method-assign]
    try:
        found = judged(both, kind, resume=file)
        return count, found
    except (Stop, RankError):
        return count, None
    finally:
        del os.environ["RESPIKE_INTERVAL"]
        judging.Judging.judge = judge  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", ["pair", "generator", "values"])
def test_it_goes_on_to_the_same_result(kind: str, both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    wanted = judged(both, kind)
    assert stopping(both, file, kind, 3) == (3, None)
    assert stopping(both, file, kind, 2) == (2, None)
    assert stopping(both, file, kind, 99) == (3, wanted)  # of 8 batches
    assert stopping(both, file, kind, 99) == (0, wanted)


def test_another_number_of_processes_goes_on(both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    wanted = judged(both, "generator")
    run(stopping, 2, tmp_path, both, file, "generator", 2)
    assert 0 < json.loads(_numbers(file))["done"] < 8
    found = run(stopping, 3, tmp_path, both, file, "generator", 99)
    assert [result for _, result in found] == [wanted] * 3
    assert sum(count for count, _ in found) < 8
    assert stopping(both, file, "generator", 99) == (0, wanted)


def _numbers(file: str) -> str:
    from respike.resume_file import FORMAT
    from respike.sealed_file import header_of

    return json.dumps(header_of(file, FORMAT)["numbers"])


def test_other_work_is_refused(both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    stopping(both, file, "generator", 3)
    model, snn = both
    options: dict[str, Any] = {"ann": model, "batch_size": 7, "resume": file}
    for more, reason in (
        ({"timesteps": 4}, "timesteps=5"),
        ({"ann": None}, "another ANN"),
        ({"judge": "decision"}, "judge='auto'"),
        ({"part": (1, 2)}, "part=None"),
    ):
        with pytest.raises(ResumeError, match=reason):
            respike.evaluate(snn, batches(), **options | more)
    with pytest.raises(ResumeError, match="other batches were read before"):
        respike.evaluate(snn, iter([(1 - x, y) for x, y in batches()]), **options)
    with pytest.raises(ResumeError, match="3 batches were read before, and now there are 2"):
        respike.evaluate(snn, iter([*batches()][:2]), **options)
    other = copy(snn)
    other.precision = "bfloat16"
    with pytest.raises(ResumeError, match="another network"):
        respike.evaluate(other, batches(), **options)
    assert respike.evaluate(snn, batches(), **options).as_dict() == judged(both, "generator")


def test_a_loader_that_draws_another_order_is_refused(both: Both, tmp_path: Path) -> None:
    file = str(tmp_path / "a.resume")
    wanted = judged(both, "shuffled")
    stopping(both, file, "shuffled", 3)
    model, snn = both
    torch.manual_seed(4)
    with pytest.raises(ResumeError, match="its data came in another order"):
        respike.evaluate(snn, data("shuffled"), ann=model, batch_size=7, resume=file)
    assert judged(both, "shuffled", resume=file) == wanted

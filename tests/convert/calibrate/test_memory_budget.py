"""Calibration keeps to ``memory_budget``, and what it finds does not depend on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import respike
from respike.convert import ConversionError, memory_limits
from respike.convert.calibrate import second_pass, statistics
from respike.convert.calibrate.memory_or_disk import Store
from respike.convert.calibrate.repair.gathered_rows import Chunk
from respike.convert.calibrate.repair.least_squares import Best, Problem
from respike.convert.calibrate.repair.normal_equations import ByRows
from respike.convert.calibrate.statistics import Percentile
from respike.convert.choose import held_batches, two_fold
from respike.convert.choose.held_batches import HeldBatches
from respike.convert.run.simulator import Simulator

CPU = torch.device("cpu")


def net() -> nn.Module:
    """Weights in eighths, so that with inputs in eighths the ANN's sums are exact in whatever order they are taken."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 8).round() / 8)
    return model.eval()


def samples(count: int = 50) -> Tensor:
    return torch.randint(0, 9, (count, 6), generator=torch.Generator().manual_seed(1)) / 8


@pytest.mark.parametrize("threshold", ["max", "percentile"])
def test_thresholds_of_the_first_pass_are_the_same_for_any_budget(threshold: Any) -> None:
    found = [
        respike.from_torch(net(), samples(), 4, threshold=threshold, correction="none", memory_budget=budget)
        for budget in (2**30, 1)  # one sample after the other
    ]
    for first, second in zip(*(snn.state_dict().values() for snn in found), strict=True):
        assert torch.equal(first, second)


def test_a_budget_of_next_to_nothing_works_too() -> None:
    snn = respike.from_torch(net(), samples(8), 4, memory_budget=1)
    assert bool(snn(samples(8)).isfinite().all())


def test_the_network_keeps_the_budget_that_it_was_converted_with() -> None:
    assert respike.from_torch(net(), samples(8), 2).memory_budget is None
    snn = respike.from_torch(net(), samples(8), 2, memory_budget=2e9)  # type: ignore[arg-type]
    assert snn.memory_budget == 2_000_000_000


@pytest.mark.parametrize("given", [0, -1, 0.5, float("inf"), "2 GiB", True])
def test_what_is_no_number_of_bytes_is_refused(given: Any) -> None:
    with pytest.raises(ConversionError, match=r"memory_budget must be a (whole )?number of bytes, 1 or more, or None"):
        respike.from_torch(net(), samples(8), 2, memory_budget=given)


def test_the_search_for_timesteps_shares_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter for the samples that are held, the rest for each candidate; half of that is kept signals."""
    made: list[int] = []
    runs: list[int | None] = []

    class Seen(Store):
        def __init__(self, budget: int, device: torch.device) -> None:
            super().__init__(budget, device)
            made.append(budget)

    class SeenSimulator(Simulator):
        def blocks(self, *args: Any, **kwargs: Any) -> Any:
            runs.append(self.memory_budget)
            return super().blocks(*args, **kwargs)

    monkeypatch.setattr(second_pass, "Store", Seen)
    monkeypatch.setattr(held_batches, "Store", Seen)
    monkeypatch.setattr(two_fold, "Simulator", SeenSimulator)
    wanted = respike.Auto(within=60, judge="error")
    respike.from_torch(net(), samples(), wanted, neuron="iaf", memory_budget=2**14)
    held = samples().nbytes
    assert held < 2**14 // 4
    assert made[0] == 2**14 // 4 and set(made[1:]) == {(2**14 - held) // 2}
    assert len(made) >= 4 and set(runs) == {2**14 - held}


@pytest.mark.parametrize("budget", [0, 150, 2**20])
def test_batches_held_are_read_as_they_were(budget: int) -> None:
    torch.manual_seed(0)
    batches = [[torch.rand(n, 3, 2), torch.arange(n), torch.rand(n) > 0.5, torch.tensor(n)] for n in (5, 1)]
    batches[0][0] = batches[0][0].transpose(1, 2)
    with HeldBatches(iter(batches), budget, CPU) as held:
        assert held.store.held <= budget
        assert bool(held.store.spilled) == (budget < 2**20)
        for _ in range(2):
            for given, read in zip(batches, held, strict=True):
                assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(given, read, strict=True))


def test_a_histogram_does_not_depend_on_how_many_values_are_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    values = torch.randn(100, 3).split([60, 40])
    found = []
    for counted in (2**18, 7):
        monkeypatch.setattr(statistics, "COUNTED", counted)
        statistic = Percentile(90)
        for some in values:
            statistic.update(some)
        found.append((statistic.counts, statistic.result()))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])
    assert int(found[0][0].sum()) == int((torch.cat(values) > 0).sum())


class Large(TorchDispatchMode):
    """Counts the results of operations that are as large as the weights of a layer."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers, self.count = numbers, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.count += found.numel() >= self.numbers
        return found


def test_a_layer_of_few_rows_is_solved_without_a_tensor_as_large_as_its_weights() -> None:
    """25,088 inputs of 4,096 neurons make 411 MB; ten changes of them would be held side by side."""
    torch.manual_seed(0)
    inputs, outputs, rows = 500, 400, 30
    chunk = Chunk(1.0, torch.rand(1, rows, inputs), *torch.randn(2, 1, rows, outputs))
    problem = Problem(lambda: iter([chunk]), (1, inputs, outputs), CPU, True, ByRows)
    with Large(inputs * outputs) as seen:
        for change in problem.at_once():
            problem.errors(change, lambda: iter([chunk]), None)
        problem.again(problem.response_of(change), 0.1)
        assert seen.count == 0
        problem.equations.as_weights(change)
    assert seen.count > 0


def test_the_best_of_changes_offered_one_by_one_is_that_of_all() -> None:
    torch.manual_seed(0)
    changes, errors = torch.rand(6, 2, 4, 3), torch.randint(0, 3, (6, 2, 3)).double()
    errors[0, 0, 0] = torch.inf
    best = Best(changes[0].clone(), errors[0])
    for change, error in zip(changes[1:], errors[1:], strict=True):
        best.offer(change, error)
    which = torch.tensor([[min(range(6), key=lambda k: errors[k, g, o]) for o in range(3)] for g in range(2)])
    wanted = changes.gather(0, which[None, :, None].expand(1, *changes.shape[1:]))[0]
    assert torch.equal(best.change, wanted)


@pytest.mark.parametrize(
    ("free", "networks", "expected"),
    [
        (64, 0, 2),  # 2 GiB of plenty
        (64, 1.25, 0.75),  # less what the networks take
        (64, 5, 0.5),  # but for half a GiB
        (4, 0, 1),  # a quarter of what is free
        (1, 5, 0.25),
    ],
)
def test_the_default_budget_leaves_room_for_the_networks_that_are_made(
    free: float, networks: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In GiB."""
    monkeypatch.setattr(memory_limits, "budget", lambda device: int(memory_limits.SHARE * free * 2**30))
    assert memory_limits.calibration_budget(None, CPU, int(networks * 2**30)) == int(expected * 2**30)
    assert memory_limits.calibration_budget(12345, CPU, int(networks * 2**30)) == 12345

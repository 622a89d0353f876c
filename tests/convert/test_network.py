"""The spiking network as a user meets it: calls, streams, blocks, devices, words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import respike
from respike.convert import memory_limits as memory
from respike.convert import thread_pool as parallel
from respike.layers import kernels

pytestmark = pytest.mark.filterwarnings("ignore:this network runs")  # longer than it was made for, on purpose


def make(timesteps: int = 8, scale: float = 1.0, **options: object) -> tuple[respike.SpikingNetwork, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )
    x = torch.rand(10, 1, 8, 8)
    return respike.from_torch(model, scale * x, timesteps, **options), x


@pytest.mark.slow
def test_calls_do_not_depend_on_each_other() -> None:
    snn, x = make()
    first = snn(x)
    snn(1 - x)
    snn.simulate(x[:3], timesteps=5)
    assert torch.equal(snn(x), first)
    torch.testing.assert_close(snn(x[:3]), first[:3])


def test_simulate_ends_where_a_call_ends() -> None:
    snn, x = make()
    steps = snn.simulate(x, timesteps=20)
    assert steps.shape == (10, 20, 3)
    torch.testing.assert_close(steps[:, 7], snn(x))


def test_neurons_and_the_max_pool_behind_them_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    snn, x = make()
    found = snn.simulate(x, timesteps=20)
    calls: list[int] = []
    apart = kernels.pooled_increments
    monkeypatch.setattr(kernels, "pooled_increments", lambda *args: calls.append(1) or apart(*args))
    assert torch.equal(snn.simulate(x, timesteps=20), found)
    assert not calls
    list(snn.blocks([x], recorder=lambda *told: None))  # who counts spikes wants to see them all
    assert calls
    kernels.use("eager")
    try:
        torch.testing.assert_close(snn.simulate(x, timesteps=20), found, rtol=1e-5, atol=1e-6)
    finally:
        kernels.use(None)


@pytest.mark.parametrize("schedule", ["synchronous", "layerwise"])
def test_blocks_of_any_size_give_the_same_spikes(schedule: str) -> None:
    snn, x = make(schedule=schedule)
    whole = snn.simulate(x, timesteps=30)
    snn.memory_budget = 1  # one step at a time
    assert snn.plan.block(10, 30, memory.room(snn.memory_budget, x.device, 1)) == 1
    torch.testing.assert_close(snn.simulate(x, timesteps=30), whole, rtol=1e-5, atol=1e-6)


def test_memory_is_a_share_of_what_is_free_and_shared_by_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    snn, x = make()
    free = type("Free", (), {"available": 400})()
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    assert memory.room(snn.memory_budget, x.device, 1) == 100
    assert memory.room(snn.memory_budget, x.device, 2) == 50
    snn.memory_budget = 2**40
    assert memory.room(snn.memory_budget, x.device, 2) == memory.PIECE
    assert memory.room(snn.memory_budget, x.device, 2, weights=memory.PIECE) == memory.WEIGHTS * memory.PIECE
    seen = list(parallel.map_pieces(lambda _: parallel.worker_count(), range(4), 2))
    assert seen == [2] * 4
    assert parallel.worker_count() == 1


def test_state_dict_moves_a_calibration_to_another_conversion() -> None:
    snn, x = make(4)
    other, _ = make(4, scale=3.0)
    assert not torch.equal(snn(x), other(x))
    other.load_state_dict(snn.state_dict())
    assert torch.equal(snn(x), other(x))


def test_to_double_and_back_keeps_working() -> None:
    snn, x = make()
    before = snn(x)
    torch.testing.assert_close(snn.double().float()(x), before)
    assert snn.to("cpu") is snn


@pytest.mark.cuda
def test_the_same_network_on_a_gpu() -> None:
    snn, x = make()
    before = snn(x)
    torch.testing.assert_close(snn.cuda()(x.cuda()).cpu(), before, rtol=1e-3, atol=1e-3)


def test_wrong_inputs_are_named() -> None:
    snn, x = make()
    with pytest.raises(ValueError, match=r"input .* must have shape \(N, 1, 8, 8\), got \(10, 1, 9, 8\)"):
        snn(torch.rand(10, 1, 9, 8))
    with pytest.raises(ValueError, match="takes 1 input "):
        snn(x, x)
    with pytest.raises(ValueError, match="timesteps must be a whole number from 1 to 65,536"):
        snn.simulate(x, timesteps=0)


def test_latency_and_depth() -> None:
    snn, _ = make(8)
    assert (snn.depth, snn.latency) == (2, 8)
    layered, _ = make(8, schedule="layerwise")
    assert layered.latency == 8 * 3


def test_print_and_summary_name_each_layer() -> None:
    snn, _ = make()
    for text in (repr(snn), snn.summary()):
        assert "1 (ReLU)" in text
        assert "4 (ReLU)" in text
    lines = snn.summary().splitlines()
    assert lines[0].split() == ["layer", "neuron", "size", "threshold", "fan-out", "bias"]
    assert "4x6x6" in lines[1]
    assert "6x2x2" in lines[2]
    assert "24..24" not in lines[2]
    assert lines[-1] == "schedule synchronous, T = 8, latency 8 steps"


def test_no_gradients_and_no_training_mode() -> None:
    snn, x = make()
    assert not snn.training
    assert not snn(x.requires_grad_()).requires_grad


class ReadsTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 20), nn.Linear(20, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.b(torch.relu(self.a(x.mul_(2).sub_(1))))  # in place on the input
        best, index = y.max(1)
        return {"logits": y, "gated": torch.sigmoid(y) * y, "p": y.softmax(1), "best": best, "index": index}


def test_a_readout_may_be_read_many_times() -> None:
    torch.manual_seed(0)
    model, x = ReadsTwice().eval(), torch.rand(40, 6)
    snn = respike.from_torch(model, x, 256, threshold="max", correction="none")
    snn.memory_budget = 40 * 4 * snn.plan.peak * 100  # three blocks
    found = snn(x)
    with torch.no_grad():
        wanted = model(x.clone())
    assert found["index"].dtype == wanted["index"].dtype
    for name in ("logits", "gated", "p", "best"):
        torch.testing.assert_close(found[name], wanted[name], atol=0.02, rtol=0)
    torch.testing.assert_close(found["gated"], torch.sigmoid(found["logits"]) * found["logits"])


def test_evaluation_is_not_disturbed_by_an_ann_that_works_in_place() -> None:
    torch.manual_seed(0)

    class Logits(ReadsTwice):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return super().forward(x)["logits"]

    model, x = Logits().eval(), torch.rand(200, 6)
    with torch.no_grad():
        y = model(x.clone()).argmax(1)
    snn = respike.from_torch(model, x, 64, threshold="max")
    result = respike.evaluate(snn, (x, y), ann=model)
    assert result.ann_accuracy == 1
    assert result.accuracy[-1] > 0.95


def test_the_only_input_needs_no_list() -> None:
    snn, x = make(4)
    (block,), (same,) = snn.blocks(x, only_last=True), snn.blocks([x], only_last=True)
    assert torch.equal(block[0], same[0])

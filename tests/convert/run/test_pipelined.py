"""The schedule ``pipelined``: at its two ends the other schedules, between them a pipeline stepped by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from samples import one_in
from torch import Tensor, nn
from zoo import Net

import respike
from respike.convert.graph import Node
from respike.convert.run.graph_walk import Walk
from respike.convert.run.schedules.pipelined import Pipelined, move_ahead
from respike.convert.run.time_varying import Timed


def pooled() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 2), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)),
    )
    return model, torch.rand(12, 1, 8, 8)


def _two_ways(s: nn.Module, x: Tensor) -> Tensor:
    first = F.relu(s.a(x))
    return s.out(F.relu(s.c(F.relu(s.b(first))) + first))  # type: ignore[no-any-return]


def residual() -> tuple[Net, Tensor]:
    torch.manual_seed(0)
    parts = {"a": nn.Linear(5, 16), "b": nn.Linear(16, 16), "c": nn.Linear(16, 16), "out": nn.Linear(16, 3)}
    return Net(_two_ways, **parts), torch.rand(40, 5)


def resnet() -> tuple[nn.Module, Tensor]:
    return respike.models.load("fashion_resnet"), respike.models.datasets.calibration()[:2]


NETWORKS = [pooled, residual, resnet]


def counts(snn: respike.SpikingNetwork, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Spikes of each neuron in the run with T steps, and the output."""
    found: dict[str, Tensor] = {}

    def record(node: Node, events: Tensor, values: Tensor) -> None:
        found[node.name] = found.get(node.name, 0) + events.sum(0)

    (*_, last) = snn.blocks([x], only_last=True, recorder=record)
    return found, last[0][-1]


@pytest.mark.parametrize("build", one_in(3, NETWORKS))
def test_without_head_start_it_is_synchronous_and_with_a_whole_one_layerwise(
    build: Callable[[], tuple[nn.Module, Tensor]],
) -> None:
    model, x = build()
    snn = respike.from_torch(model, x, 5, threshold="max", schedule=respike.Pipelined(0))
    together = snn(x)
    snn.schedule = "synchronous"
    assert torch.equal(snn(x), together)
    snn.double()  # in float32 the order of a sum decides whether a potential just reaches a threshold
    snn.schedule = "layerwise"
    wanted, output = counts(snn, x.double())
    snn.schedule = "pipelined"
    for delay in (4, 5, 50):  # with T − 1 steps of head start all is there before the first spike already
        snn.delay = delay
        found, same = counts(snn, x.double())
        torch.testing.assert_close(same, output)
        assert found.keys() == wanted.keys()
        for name, count in wanted.items():
            assert torch.equal(found[name], count), name
    assert not torch.allclose(together.double(), output)


def by_hand(model: Net, theta: list[Tensor], x: Tensor, steps: int, delay: int) -> Tensor:
    """``residual`` on a global clock, spike by spike, without respike."""
    current = model.a(x)
    v = [t.flatten() / 2 + torch.zeros(len(x), t.numel()) for t in theta]
    sent: list[list[Tensor]] = [[], [], []]
    total = torch.zeros(len(x), 3)
    for step in range(steps + 2 * delay):
        for k in range(3):
            if k == 0 and step < steps:
                v[0] = v[0] + current
            elif k == 1 and step < steps:
                v[1] = v[1] + model.b(sent[0][step])
            elif k == 2 and delay <= step < delay + steps:  # the short way's spikes have waited for the long way's
                v[2] = v[2] + model.c(sent[1][step - delay]) + sent[0][step - delay]
            if k * delay <= step < k * delay + steps:
                spikes = (v[k] >= theta[k].flatten()) * theta[k].flatten()
                v[k] = v[k] - spikes
                sent[k].append(spikes)
                if k == 2:
                    total = total + model.out(spikes)
    return total / steps


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_it_is_a_pipeline_stepped_by_hand(delay: int) -> None:
    model, x = residual()
    snn = respike.from_torch(model, x, 6, correction="none", schedule=respike.Pipelined(delay)).double()
    assert (snn.depth, snn.latency) == (3, 6 + 2 * delay)
    model, x = model.double(), x.double()
    theta = [layer.threshold for layer in snn.neurons.values()]
    with torch.no_grad():
        wanted = by_hand(model, theta, x, 6, delay)
        torch.testing.assert_close(snn(x), wanted)
        torch.testing.assert_close(snn.simulate(x)[:, 3], by_hand(model, theta, x, 4, delay))


def test_currents_are_moved_ahead_and_none_is_lost() -> None:
    currents = torch.tensor([1.0, 2.0, 4.0, 8.0]).reshape(4, 1, 1)
    for delay, wanted in ((0, [1, 2, 4, 8]), (1, [3, 4, 8, 0]), (2, [7, 8, 0, 0]), (3, [15, 0, 0, 0])):
        assert move_ahead(currents, delay).flatten().tolist() == wanted
    assert torch.equal(move_ahead(currents, 9), move_ahead(currents, 3))
    assert currents.flatten().tolist() == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "options", one_in(2, [{}, {"max_spikes": 3}, {"neuron": "signed"}, {"neuron": "multi_threshold"}])
)
def test_charge_is_conserved_in_every_neuron(options: dict[str, object]) -> None:
    """Sum of currents = θ·(net count) + v_T − v_0 over a run, in float64."""
    model, x = pooled()
    snn = respike.from_torch(model, x, 6, schedule=respike.Pipelined(2), **options).double()
    walk, mode = Walk(snn.graph, dict(snn.weights.named_buffers()), [x.double()]), Pipelined(dict(snn.neurons), 2)
    mode.begin(6)
    walk.run(snn.graph.nodes, mode)
    for name, layer in snn.neurons.items():
        node = snn.graph.node(name)
        assert node is not None
        current, out = walk.env[node.refs[0]], walk.env[name]
        arrived = current.values.sum(0) if isinstance(current, Timed) else 6 * current
        last = mode.state[name][0]
        torch.testing.assert_close(arrived + 6 * layer.bias, out.values.sum(0) + last - layer.v_init)


def test_entry_t_of_simulate_is_the_run_with_t_steps_and_a_call_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = pooled()
    snn = respike.from_torch(model, x, 6, schedule=respike.Pipelined(2))
    steps = snn.simulate(x)
    assert steps.shape == (12, 6, 3)
    for t in (1, 2, 6):
        snn.timesteps = t
        torch.testing.assert_close(snn(x), steps[:, t - 1], rtol=1e-5, atol=1e-6)
    begun: list[int] = []
    begin = Pipelined.begin
    monkeypatch.setattr(Pipelined, "begin", lambda mode, t: (begun.append(t), begin(mode, t)))
    snn(x)
    assert begun == [6]
    snn.simulate(x, timesteps=3)
    assert begun == [6, 1, 2, 3]


def test_latency_counts_the_layers_whose_current_varies() -> None:
    model, x = pooled()
    snn = respike.from_torch(model, x, 4, schedule=respike.Pipelined(3))
    assert (snn.depth, snn.latency, snn.latency_at(1)) == (3, 4 + 2 * 3, 1 + 2 * 3)
    assert snn.summary().splitlines()[-1] == "schedule pipelined, delay 3, T = 4, latency 10 steps"
    assert "schedule=pipelined, delay=3, timesteps=4, latency=10" in repr(snn)
    assert (snn.as_dict()["delay"], snn.as_dict()["latency"]) == (3, 10)
    result = respike.evaluate(snn, (x, torch.zeros(12, dtype=torch.long)))
    assert result.latency.tolist() == [7, 8, 9, 10]
    assert str(result).split()[:2] == ["T", "latency"]
    snn.delay = 0
    assert "latency" not in str(respike.evaluate(snn, (x, torch.zeros(12, dtype=torch.long))))


def test_thresholds_are_tried_on_the_currents_of_this_schedule() -> None:
    model, x = pooled()
    found = {}
    for name, schedule in (
        ("layerwise", "layerwise"),
        ("pipelined", respike.Pipelined(3)),
        ("synchronous", "synchronous"),
    ):
        snn = respike.from_torch(model, x, 4, schedule=schedule, correction="none")
        found[name] = torch.cat([layer.threshold.flatten() for layer in snn.neurons.values()])
    torch.testing.assert_close(found["pipelined"], found["layerwise"])
    assert not torch.allclose(found["synchronous"], found["layerwise"])


def test_one_step_of_head_start_brings_the_output_nearer_to_the_anns() -> None:
    """With thresholds that nothing was tried out for, so that rounding moves the errors by little (0.84 and 0.88)."""
    model, x = respike.models.load("mnist_cnn"), respike.models.datasets.calibration()
    with torch.no_grad():
        wanted = model(x[32:160])
    snn = respike.from_torch(model, x[:32], 4, threshold="max", correction="none")
    error = {}
    for schedule in ("synchronous", "pipelined"):
        snn.schedule = schedule
        error[schedule] = float((snn(x[32:160]) - wanted).square().mean().sqrt())
    assert error["pipelined"] < 0.95 * error["synchronous"]


def test_what_cannot_be_is_refused() -> None:
    model, x = pooled()
    for delay in (-1, 1.5):
        with pytest.raises(respike.ConversionError, match="delay must be a whole number"):
            respike.from_torch(model, x, 4, schedule=respike.Pipelined(delay))

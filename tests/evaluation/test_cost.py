"""Energy and traffic against arithmetic by hand, and what the answer says in words."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import respike
from respike.evaluation import ENERGY_45NM, ENERGY_45NM_INT8, ENERGY_45NM_MEMORY, Evaluation


@pytest.fixture(scope="module")
def data() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    pool = [nn.MaxPool2d(2), nn.Flatten()]
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), *pool, nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    return model, torch.rand(30, 1, 8, 8).sub(0.3).relu(), torch.randint(0, 3, (30,))


def evaluation(data: Any, timesteps: int = 4, with_ann: bool = True, **options: Any) -> Evaluation:
    model, x, y = data
    snn = respike.from_torch(model, x, timesteps, **options)
    return respike.evaluate(snn, (x, y), ann=model if with_ann else None)


@pytest.fixture(scope="module")
def result(data: Any) -> Evaluation:
    return evaluation(data)


def test_the_energy_of_every_part_by_hand(result: Evaluation) -> None:
    cost = result.cost()
    clock = np.arange(1, 5)
    first, pool, second = result.layers
    # A convolution of 6 x 6 places with 9 weights for 4 channels, 4 x 9 pooled values, 8 hidden neurons.
    assert result.macs.tolist() == [4 * 36 * 9] * 4
    np.testing.assert_allclose(cost.parts["synapses"], 0.9 * (pool.synops + second.synops))
    # An update adds the constant current and compares; a reset subtracts.
    np.testing.assert_allclose(cost.updates, (4 * 36 + 8) * clock)
    np.testing.assert_allclose(cost.parts["neurons"], 0.9 * (2 * (4 * 36 + 8) * clock + first.spikes + second.spikes))
    # Each spike before the pool is added to a sum, and compared once: windows do not overlap.
    np.testing.assert_allclose(cost.parts["sums"], 0.9 * 2 * first.spikes)
    # The input's values that are not zero, once; 3 answers are divided by T, and get their constant.
    np.testing.assert_allclose(cost.parts["analog"], 4.6 * result.input_macs + 3 * (3.7 + 0.9))
    np.testing.assert_allclose(cost.energy, sum(cost.parts.values()))
    np.testing.assert_allclose(sum(n.energy for n in cost.layers), cost.energy - cost.parts["analog"])
    macs, beside = 4 * 36 * 9 + 36 * 8 + 8 * 3, 4 * 36 + 3 * 36 + 8  # ReLUs, 3 comparisons a window
    dense, sparse, quantised = cost.baselines
    np.testing.assert_allclose(dense.energy, 4.6 * macs + 0.9 * beside)
    np.testing.assert_allclose(sparse.energy, 4.6 * result.ann_needed_macs + 0.9 * beside)
    # 2, 3, 4 and 5 values need 1, 2, 2 and 3 bits; the input and all weights have 8.
    assert quantised.bits.tolist() == [1, 2, 2, 3] == [math.ceil(math.log2(t + 1)) for t in clock]
    power = math.log(3.1 / 0.2, 4)
    products = [0.2 * (math.sqrt(b * 8) / 8) ** power + 0.1 for b in (1, 2, 2, 3)]
    wanted = 4 * 36 * 9 * (0.2 + 0.1) + (36 * 8 + 24) * np.array(products) + 0.1 * beside + 3.1 * (4 * 36 + 8 + 3)
    np.testing.assert_allclose(quantised.energy, wanted)


def test_traffic_and_its_energy_by_hand(result: Evaluation) -> None:
    plain, cost = result.cost(), result.cost(ENERGY_45NM_MEMORY)
    updates, macs, added = (4 * 36 + 8) * np.arange(1, 5), result.input_macs, 2 * result.layers[0].spikes
    np.testing.assert_allclose(cost.traffic.weights, result.synops + macs)
    np.testing.assert_allclose(cost.traffic.reads, result.synops + updates + added + macs)
    np.testing.assert_allclose(cost.traffic.writes, result.synops + updates + added + 4 * 36)
    traffic = cost.traffic.weights + cost.traffic.reads + cost.traffic.writes
    np.testing.assert_allclose(cost.energy - plain.energy, 5.0 * traffic)
    for baseline, without in zip(cost.baselines[:2], plain.baselines, strict=False):
        np.testing.assert_allclose(baseline.energy - without.energy, 5.0 * (2 * baseline.macs + 4 * 36 + 8 + 3))
    later, bits = 36 * 8 + 24, np.array([1, 2, 2, 3])
    words = (2 * 4 * 36 * 9 + later) * 8 / 32 + later * bits / 32 + 4 * 36 + 8 + 3
    np.testing.assert_allclose(cost.baselines[2].energy - plain.baselines[2].energy, 5.0 * words)


@pytest.mark.parametrize(
    ("options", "levels", "update", "reset", "sizing"),
    [
        ({"max_spikes": 2}, 2, 2 * 0.9, 2 * 0.9, 0.0),
        ({"neuron": "lif"}, 1, 2 * 0.9 + 3.7, 0.9, 0.0),
        ({"neuron": "signed"}, 1, 3 * 0.9, 2 * 0.9, 0.0),
        ({"neuron": "multi_threshold"}, 8, 6 * 0.9, 2 * 0.9, 0.03),
    ],
)
def test_what_each_neuron_and_its_spikes_take(
    data: Any, options: dict[str, Any], levels: int, update: float, reset: float, sizing: float
) -> None:
    result = evaluation(data, **options)
    cost = result.cost()
    first, pool, second = result.layers
    np.testing.assert_allclose(
        cost.parts["neurons"], (4 * 36 + 8) * update * np.arange(1, 5) + reset * (first.spikes + second.spikes)
    )
    # Maxima of sums of powers of two change by other numbers, which only a multiplication can weight.
    of_pool = 0.9 + (3.7 if options.get("neuron") == "multi_threshold" else 0.0)
    np.testing.assert_allclose(cost.parts["synapses"], pool.synops * of_pool + second.synops * (0.9 + sizing))
    assert cost.baselines[2].bits.tolist() == [math.ceil(math.log2(levels * t + 1)) for t in range(1, 5)]


@pytest.mark.parametrize("schedule", ["layerwise", "pipelined"])
def test_runs_of_their_own_update_each_neuron_in_each_of_their_steps(data: Any, schedule: str) -> None:
    result = evaluation(data, schedule=schedule)
    cost = result.cost()
    assert cost.updates.tolist() == [(4 * 36 + 8) * t for t in range(1, 5)]
    np.testing.assert_allclose(cost.parts["synapses"], 0.9 * result.synops)


def test_multiplications_follow_the_source_at_8_and_32_bits_and_grow_in_between() -> None:
    energies = [ENERGY_45NM.integer_multiplication(bits) for bits in (1, 4, 8, 16, 32)]
    assert energies[2] == pytest.approx(0.2)
    assert energies[4] == pytest.approx(3.1)
    assert energies == sorted(energies)
    assert ENERGY_45NM.mac == pytest.approx(4.6)
    assert ENERGY_45NM.integer_mac(8) == pytest.approx(0.2 + 0.1)


def test_integers_price_all_alike(result: Evaluation) -> None:
    """With 8-bit weights spikes cost a 32-bit addition, and the ANN is that of 8 bits."""
    cost = result.cost(ENERGY_45NM_INT8)
    np.testing.assert_allclose(cost.parts["synapses"], 0.1 * result.synops)
    assert cost.baselines[0].name == "int8 ANN"
    eight = replace(ENERGY_45NM_INT8, memory=None)
    dense, quantised = result.cost(eight).baselines[0], result.cost(eight).baselines[2]
    assert (quantised.energy < dense.energy).all()


def test_the_verdict_says_where_the_network_costs_more(result: Evaluation) -> None:
    assert "It costs more than " in result.cost().verdict
    assert "the quantised ANN (3 bits) at every number of timesteps." in result.cost().verdict
    dear = replace(ENERGY_45NM, name="dear", addition=50.0)
    cost = result.cost(dear)
    ratio = cost.ratios["float32 ANN"]
    first = int(np.flatnonzero(ratio > 1)[0]) + 1
    assert 1 < first < 4, ratio
    assert f"It costs more than the float32 ANN from {first} on" in cost.verdict
    assert "(dear; arithmetic alone)" in cost.verdict
    free = replace(ENERGY_45NM, name="free", addition=1e-6)
    assert "It costs no more than the float32 ANN" in result.cost(free).verdict


def test_without_the_ann_its_zeros_are_missed_in_words(data: Any, result: Evaluation) -> None:
    cost = evaluation(data, with_ann=False).cost()
    assert [baseline.name for baseline in cost.baselines] == ["float32 ANN", "quantised ANN"]
    assert "zeros were not counted: evaluate with ann=model" in cost.verdict
    assert "zeros were not counted" not in result.cost().verdict


def test_the_tables_and_json_hold_the_same_numbers(data: Any) -> None:
    cost = evaluation(data, 6).cost()
    lines = str(cost).splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["T", "1", "2", "4", "6"]
    assert float(lines[4].split()[-2]) == pytest.approx(cost.ratios["quantised ANN"][-1], abs=5e-4)
    assert " ".join(lines[6:]) == cost.verdict
    assert [line.split()[0] for line in cost.layer_table(3).splitlines()[1:]] == ["1", "2", "5"]
    with pytest.raises(ValueError, match="from 1 to 6"):
        cost.layer_table(7)
    found = json.loads(json.dumps(cost.as_dict(), allow_nan=False))
    assert found["energy"] == cost.energy.tolist()
    assert found["baselines"][2]["bits"] == [1, 2, 2, 3, 3, 3]
    assert found["model"]["addition"] == 0.9
    assert [layer["where"] for layer in found["layers"]] == ["1 (ReLU)", "2 (MaxPool2d)", "5 (ReLU)"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"addition": -1.0}, "addition of the energy model '45 nm, float32' must be 0 or more"),
        ({"memory": math.nan}, "memory of the energy model"),
        ({"addition": 0.0}, "nothing could be compared"),
        ({"int32_addition": None}, "needs all of int32_addition"),
    ],
)
def test_impossible_energies_are_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ENERGY_45NM, **changes)


def test_a_model_without_integers_has_no_quantised_ann(result: Evaluation) -> None:
    none = dict.fromkeys(("int32_addition", "int8_multiplication", "int32_multiplication"))
    cost = result.cost(replace(ENERGY_45NM, **none))
    assert [baseline.name for baseline in cost.baselines] == ["float32 ANN", "zero-skipping ANN"]
    assert str(cost).splitlines()[1].split()[-1] == "32"

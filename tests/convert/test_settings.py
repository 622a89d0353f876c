"""What is changed on a network after conversion: checked at once, and true in everything that is made from it."""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from samples import one_in
from torch import Tensor, nn

import respike

pytestmark = pytest.mark.filterwarnings("ignore:this network runs")  # longer than it was made for, on purpose


def small(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    """A network of its own for each caller, and the samples that it was calibrated on."""
    snn, x = _converted(**options)
    return copy.deepcopy(snn), x.clone()


@cache
def _converted(**options: Any) -> tuple[respike.SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(30, 6)
    return respike.from_torch(model, x, **{"timesteps": 8, "correction": "none", **options}), x


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("schedule", "layer-wise", "schedule must be one of synchronous, layerwise, pipelined; got 'layer-wise'"),
        ("schedule", None, "schedule must be one of .*; got None"),
        ("schedule", ["layerwise"], "schedule must be one of"),
        ("delay", -3, "delay must be a whole number, 0 or more; got -3"),
        ("delay", 1.5, "delay must be a whole number, 0 or more; got 1.5"),
        ("delay", True, "delay must be a whole number, 0 or more; got True"),
        ("timesteps", 0, "timesteps must be a whole number from 1 to 65,536; got 0"),
        ("timesteps", 4.0, "timesteps must be a whole number from 1 to 65,536; got 4.0"),
        ("timesteps", "8", "timesteps must be a whole number from 1 to 65,536; got '8'"),
        ("timesteps", None, "timesteps must be a whole number from 1 to 65,536; got None"),
        ("calibrated_timesteps", 0, "calibrated_timesteps must be a whole number, 1 or more"),
        ("precision", "fp4", "precision must be one of float32, bfloat16, int8; got 'fp4'"),
        ("precision", torch.bfloat16, "precision must be one of"),
        ("memory_budget", 0, "memory_budget must be a number of bytes, 1 or more, or None; got 0"),
        ("memory_budget", -1e9, "memory_budget must be a number of bytes"),
        ("memory_budget", float("inf"), "memory_budget must be a number of bytes"),
        ("memory_budget", "2 GiB", "memory_budget must be a number of bytes"),
    ],
)
def test_what_could_not_be_run_with_is_refused_and_changes_nothing(name: str, value: Any, message: str) -> None:
    snn, x = small()
    before, y = getattr(snn, name), snn(x)
    with pytest.raises(ValueError, match=message):
        setattr(snn, name, value)
    assert getattr(snn, name) == before
    assert torch.equal(snn(x), y)


def test_numbers_of_numpy_become_plain_ones(tmp_path: Path) -> None:
    snn, x = small()
    snn.timesteps, snn.memory_budget = np.int64(5), 2e9
    assert type(snn.timesteps) is int and snn.memory_budget == 2_000_000_000
    snn.save(tmp_path / "net.respike")
    assert torch.equal(respike.load(tmp_path / "net.respike")(x), snn(x))
    assert snn.simulate(x, timesteps=np.int32(3)).shape == (30, 3, 3)


@pytest.mark.parametrize("schedule", ["synchronous", "layerwise", "pipelined"])
def test_a_schedule_set_is_the_schedule_converted_with(schedule: Any) -> None:
    snn, x = small()
    snn.schedule = schedule
    made, _ = small(schedule=schedule)
    assert torch.equal(snn(x), made(x)) is (schedule == "synchronous") or torch.equal(snn(x), rerun(snn, made, x))
    assert snn.latency == made.latency


def rerun(snn: respike.SpikingNetwork, made: respike.SpikingNetwork, x: Tensor) -> Tensor:
    """``made`` with the thresholds of ``snn``: those depend on the schedule that they were chosen for."""
    made.load_state_dict(snn.state_dict())
    return made(x)


def again(snn: respike.SpikingNetwork, folder: Path) -> respike.SpikingNetwork:
    snn.save(folder / "net.respike")
    return respike.load(folder / "net.respike")


def test_the_t_that_was_calibrated_stays_known(tmp_path: Path) -> None:
    """``timesteps`` is what runs; what the thresholds were chosen for is another number, and no copy forgets it."""
    snn, x = small()
    snn.timesteps = 20
    made = {
        "itself": snn,
        "normalised": snn.normalised(),
        "quantised": snn.quantised(8),
        "both": snn.normalised().quantised(6),
        "recalibrated": snn.recalibrated(x, "1"),
        "copy": copy.deepcopy(snn),
        "pickled": pickle.loads(pickle.dumps(snn.normalised())),
        "saved": again(snn, tmp_path),
        "saved, normalised, saved": again(again(snn, tmp_path).normalised(), tmp_path),
    }
    assert {name: (net.timesteps, net.calibrated_timesteps) for name, net in made.items()} == dict.fromkeys(
        made, (20, 8)
    )


def test_other_settings_are_those_of_the_network_it_was_made_from() -> None:
    snn, _ = small(max_spikes=2)
    snn.schedule, snn.delay, snn.precision, snn.memory_budget = "pipelined", 3, "int8", 10**8
    for made in (snn.normalised(), snn.quantised(8)):
        assert (made.schedule, made.delay, made.memory_budget) == ("pipelined", 3, 10**8)
    assert (snn.normalised().precision, snn.quantised(8).precision) == ("int8", "float32")


def test_a_delay_that_waits_for_its_schedule_can_be_saved(tmp_path: Path) -> None:
    snn, _ = small()
    snn.delay = 3
    assert again(snn, tmp_path).delay == 3


def test_files_of_the_format_before_are_read(tmp_path: Path) -> None:
    """Version 1 knew one T; it is taken for both."""
    snn, x = small()
    snn.timesteps, path = 5, tmp_path / "net.respike"
    snn.save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118
    document = json.loads(metadata["network"])
    assert document.pop("calibrated_timesteps") == 8
    save_file(tensors, path, {"format": "respike network 1", "network": json.dumps(document)})
    loaded = respike.load(path)
    assert torch.equal(loaded(x), snn(x))
    assert (loaded.timesteps, loaded.calibrated_timesteps) == (5, 5)


MANY: list[dict[str, Any]] = [
    {"max_spikes": 128, "precision": "int8"},
    {"neuron": "signed", "max_spikes": 200, "precision": "int8"},
    {"neuron": respike.MultiThreshold(8), "precision": "int8"},
    {"max_spikes": 300, "precision": "bfloat16"},
]


@pytest.mark.parametrize("options", one_in(3, MANY))
def test_more_spikes_than_a_precision_holds_are_refused_everywhere(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(respike.ConversionError, match=r"sends up to .* whole numbers up to (127|256) exactly"):
        small(**options)
    precision = options["precision"]
    snn, _ = small(**{**options, "precision": "float32"})
    with pytest.raises(ValueError, match=r"1 \(ReLU\) sends up to"):
        snn.precision = precision
    assert snn.precision == "float32"
    path = tmp_path / "net.respike"
    snn.save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118
    metadata["network"] = json.dumps({**json.loads(metadata["network"]), "precision": precision})
    save_file(tensors, path, metadata)
    with pytest.raises(respike.ConversionError, match=r"cannot load .* sends up to"):
        respike.load(path)


@pytest.mark.parametrize(("options", "largest"), [({"max_spikes": 127}, 127), ({"neuron": "signed"}, 1)])
def test_as_many_as_it_holds_are_exact(options: dict[str, Any], largest: int) -> None:
    """int8 sends the same spikes as float32 where the weights are whole numbers that 8 bits hold."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    model[2].weight.data = torch.tensor([[127.0, 3, -5, 0], [1, -127, 7, 2]])
    x = 50 * torch.rand(20, 3)
    snn = respike.from_torch(model, x, 2, correction="none", threshold=respike.Max(granularity="layer"), **options)
    next(iter(snn.neurons.values())).threshold.fill_(1.0 / largest)
    model[0].bias.data.zero_()
    exact = snn(x)
    snn.precision = "int8"
    assert float((snn(x) - exact).abs().max()) <= 1e-5 * float(exact.abs().max())

"""What ``respike.check`` returns, shows and refuses; the command; the table of chips."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from chip_networks import BREAKS, Case, fitting
from click.testing import CliRunner
from torch import nn

import respike
from respike import hardware
from respike.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::respike.convert.errors.ConversionWarning")


def network(end: bool = True) -> tuple[respike.SpikingNetwork, torch.Tensor]:
    return Case(lambda: fitting(end=end), "").network()


def test_a_float_network_is_quantised_and_the_agreement_is_that_of_both() -> None:
    snn, x = network()
    found = respike.check(snn, "speck", x, samples=20)
    assert found.quantised
    assert found.samples == 20
    whole = snn.quantised(8, scale="layer", bias_bits=8)
    assert torch.equal(found.network(x), whole(x))
    assert found.agreement == float((snn(x[:20]).argmax(1) == whole(x[:20]).argmax(1)).float().mean())
    again = respike.check(whole, "speck", x)
    assert (again.quantised, again.agreement) == (False, None)
    assert again.network is whole
    assert [rule.found for rule in again.rules] == [rule.found for rule in respike.check(snn, "speck", x).rules]


def test_potentials_are_those_that_were_reached() -> None:
    """By hand, in the engine's units: soft reset, one layer at a time."""
    snn, x = network()
    whole = snn.quantised(8, scale="layer", bias_bits=8)
    spikes: dict[str, torch.Tensor] = {}
    list(whole.blocks([x], recorder=lambda node, events, values: spikes.__setitem__(node.name, events)))
    encoder, neuron = next(iter(whole.layers())), list(whole.layers().values())[1]
    conv = next(node for node in whole.graph.nodes if node.op == "aten.conv2d.default")
    weight, bias = (whole.weights.get_buffer(conv.args[i].name) for i in (1, 2))
    v, low, high = neuron.v_init, 1e9, -1e9
    for step in spikes[encoder]:
        v = v + torch.nn.functional.conv2d(step, weight, bias) + neuron.bias
        high = max(high, float(v.max()))
        v = v - (v >= 1).float()
        low = min(low, float(v.min()))
    rule = next(rule for rule in respike.check(whole, "speck", x).rules if rule.name == "potentials")
    assert f"({low:.1f} to {high:.1f} thresholds)" in rule.found
    theta = next(rule for rule in respike.check(whole).rules if rule.name == "thresholds")
    unit = int(theta.found.replace(",", ""))
    assert rule.found.startswith(f"{round(low * unit):,} to {round(high * unit):,} ")


def test_without_samples_some_rules_are_open() -> None:
    snn, _ = BREAKS["input"].network()
    found = respike.check(snn, "speck")
    assert {rule.name for rule in found.open} == {"potentials", "input"}
    assert found.passed
    assert "open without samples to run: potentials, input" in str(found)


def test_it_shows_what_failed_and_what_to_change() -> None:
    snn, x = network(end=False)
    found = respike.check(snn, "speck", x)
    text = str(found)
    assert not found.passed
    assert text.splitlines()[0] == "Speck 2e and 2f: the network does not fit: 1 of 23 rules fail"
    assert "FAILED  readout        5 (Linear): currents, without neurons" in text
    assert "-> convert nn.Sequential(model, nn.ReLU())" in text
    assert "ok      pools          2x2" in text
    snn, x = network()
    assert str(respike.check(snn, "speck", x)).startswith("Speck 2e and 2f: the network fits\n")


def test_as_json() -> None:
    snn, x = network()
    found = respike.check(snn, "speck", x)
    told = json.loads(json.dumps(found.as_dict()))
    assert told["passed"] is True
    assert [rule["name"] for rule in told["rules"]] == [rule.name for rule in found.rules]
    assert told["cores"][0] == {
        "layer": "1 (Conv2d)",
        "kernel": 64,
        "neurons": 256,
        "biases": 4,
        "core": found.cores[0].core,
    }


def test_the_figure(tmp_path: Path) -> None:
    snn, x = network()
    found = respike.check(snn, "speck", x)
    figure = found.plot(tmp_path / "memory.png")
    assert (tmp_path / "memory.png").stat().st_size > 1000
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [use.kernel for use in found.cores]
    assert [bar.get_width() for bar in right.patches] == [use.neurons for use in found.cores]
    marks = next(line for line in left.lines if len(line.get_xdata()) == len(found.cores))
    limits = hardware.target_named("speck").kernel_memory
    assert list(marks.get_xdata()) == [limits[use.core] for use in found.cores if use.core is not None]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"target": "loihi9"}, "target must be one of speck; got 'loihi9'"),
        ({"samples": 0}, "samples must be a whole number, 1 or more"),
        ({"snn": nn.Linear(2, 2)}, "snn must be a SpikingNetwork"),
        ({"calibration": [torch.rand(3, 2)]}, "the calibration batches differ"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], match: str) -> None:
    snn, _ = network()
    with pytest.raises(respike.ConversionError, match=match):
        respike.check(**{"snn": snn, **options})


def test_each_limit_names_its_source() -> None:
    table = tomllib.loads((Path(hardware.__file__).parent / "targets.toml").read_text(encoding="utf-8"))
    used = {limit["source"] for name in hardware.names() for limit in table[name]["limits"].values()}
    assert used <= table["sources"].keys()
    for name in hardware.names():
        target = hardware.target_named(name)
        assert len(target.kernel_memory) == len(target.neuron_memory) == len(target.bias_memory) == target.cores
        assert target.sources.keys() == table[name]["limits"].keys()


def test_the_command(tmp_path: Path) -> None:
    for end, code in ((True, 0), (False, 1)):
        snn, x = network(end)
        path, data = tmp_path / "net.respike", tmp_path / "x.safetensors"
        snn.save(path)
        from safetensors.torch import save_file

        save_file({"x": x}, data)
        figure = tmp_path / "memory.svg"
        result = CliRunner().invoke(main, ["check", str(path), "--data", str(data), "-o", str(figure)])
        assert (result.exit_code, figure.exists()) == (code, True), result.output
        assert ("FAILED  readout" in result.output) == (code == 1)
        told = CliRunner().invoke(main, ["check", str(path), "--json"])
        assert told.exit_code == code
        assert json.loads(told.stdout)["passed"] is (code == 0)


def test_the_command_with_wrong_words(tmp_path: Path) -> None:
    snn, _ = network()
    snn.save(tmp_path / "net.respike")
    result = CliRunner().invoke(main, ["check", str(tmp_path / "net.respike"), "--target", "abacus"])
    assert result.exit_code != 0
    assert "target must be one of speck" in result.output
    result = CliRunner().invoke(main, ["check", str(tmp_path / "none.respike")])
    assert result.exit_code != 0
    assert "none.respike" in result.output

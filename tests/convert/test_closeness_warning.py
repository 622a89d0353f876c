"""What is said of a network that is far from the ANN, and what to try."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from closeness_cases import error_of, inputs, net, ours
from held_back import judging
from torch import Tensor, nn

import respike
from respike.convert import ConversionWarning
from respike.convert.closeness import Closeness, remedies
from respike.convert.options import Max, NeuronOptions, Options, Precision
from respike.models import datasets

FAR = r"this network is far from the ANN"


def lost() -> tuple[nn.Module, Tensor]:
    """A deep network that one step cannot follow."""
    torch.manual_seed(0)
    layers = [layer for _ in range(8) for layer in (nn.Linear(12, 12), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(12, 3))
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.mul_(2.5)  # so that activations stay as large as they are
    x = torch.randn(400, 12)
    with torch.no_grad():
        model[-1].bias -= model(x).mean(0)
    return model, x


def test_a_network_that_lost_its_answers_says_so() -> None:
    model, x = lost()
    with pytest.warns(ConversionWarning, match=FAR) as said:
        snn = respike.from_torch(model, x, 1, threshold="max", correction="none")
    found = ours(snn)
    assert found.poor
    assert found.samples == 50
    (text,) = (str(one.message) for one in said)
    assert found.agreement is not None
    share = f"{100 * found.agreement:.1f} %"
    assert f"on 50 calibration samples that were held back it decides as the ANN on {share}" in text
    tries = ["timesteps=2", "neuron='multi_threshold'", "neuron='signed'", "threshold='mse'", "correction='ridge'"]
    places = [text.index(word) for word in (*tries, "respike.diagnose")]
    assert places == sorted(places)
    assert said[0].filename == __file__
    with pytest.warns(ConversionWarning, match=rf"{FAR}: on 50 .* its outputs have a relative error of \d+\.\d %"):
        respike.from_torch(nn.Sequential(model, nn.Linear(3, 1)), x, 1, threshold="max", correction="none")


@pytest.mark.filterwarnings(f"error:{FAR}")
def test_a_good_network_says_nothing() -> None:
    snn = respike.from_torch(respike.models.load("mnist_mlp"), datasets.calibration()[:128], 8)
    assert not ours(snn).poor
    agreement = ours(snn).agreement
    assert agreement is not None
    assert f"when converted, at T = 8: decided as the ANN on {100 * agreement:.1f} % of 16 " in snn.summary()
    assert snn.as_dict()["closeness"] == {
        "agreement": ours(snn).agreement,
        "error": ours(snn).error,
        "samples": 16,
        "timesteps": 8,
        "output": None,
        "by": "decision",
        "poor": False,
    }


@pytest.mark.filterwarnings(f"error:{FAR}")
def test_the_search_has_judged_already() -> None:
    model, x = lost()
    wanted = respike.Auto(within=99, judge="decision")
    snn = respike.from_torch(model, x[:64], wanted, neuron="iaf", threshold="max", correction="none")
    assert snn.choice is not None
    assert ours(snn).samples == 8
    assert ours(snn).poor


@pytest.mark.parametrize(("agreed", "count"), [(0, 8), (5, 8), (6, 8), (52, 64), (53, 64), (64, 64)])
def test_the_interval_is_wilsons(agreed: int, count: int) -> None:
    """At its ends the agreement is 1.96 standard deviations off, of a binomial with that share."""
    found = Closeness(agreed / count, None, count, 4)
    assert found.interval is not None
    for end in found.interval:
        if 0 < end < 1:
            assert abs(agreed / count - end) / math.sqrt(end * (1 - end) / count) == pytest.approx(1.959964, rel=1e-6)
    assert found.interval[0] <= agreed / count <= found.interval[1]
    assert found.poor == ((agreed, count) in [(0, 8), (5, 8), (52, 64)])


def test_errors_are_poor_above_30_percent() -> None:
    assert [Closeness(None, error, 8, 4).poor for error in (0.3, 0.301)] == [False, True]
    assert not Closeness(1.0, 5.0, 8, 4).poor  # decisions count


@pytest.mark.parametrize(
    ("options", "tries"),
    [
        (Options(), ["timesteps=32", "neuron='multi_threshold'", "neuron='signed'"]),
        (Options(correction="bias", neurons=NeuronOptions("signed")),
         ["timesteps=32", "neuron='multi_threshold'", "correction='ridge'"]),
        (Options(schedule="layerwise", threshold=Max()),
         ["timesteps=32", "neuron='multi_threshold'", "threshold='mse'"]),
        (Options(neurons=NeuronOptions("multi_threshold")), ["timesteps=32"]),
        (Options(neurons=NeuronOptions(max_spikes=4)), ["timesteps=32", "neuron='signed'"]),
        (Options(timesteps=2**16, neurons=NeuronOptions("multi_threshold")), ["more samples to calibrate with"]),
    ],
)  # fmt: skip
def test_what_to_try_is_what_is_not_in_use(options: Options, tries: list[str]) -> None:
    assert remedies(options) == tries


def test_what_is_tried_can_be_converted() -> None:
    """Each remedy as a user would type it, beside the options that the network has."""
    cases: list[tuple[NeuronOptions, Precision]] = [
        (NeuronOptions(), "int8"),
        (NeuronOptions(max_spikes=4), "float32"),
    ]
    for neuron, precision in cases:
        own = Options(timesteps=1, neurons=neuron, precision=precision, threshold=Max(), correction="none")
        options = {"neuron": neuron.neuron, "max_spikes": neuron.max_spikes, "timesteps": 1, "precision": precision}
        for remedy in remedies(own):
            name, _, value = remedy.partition("=")
            respike.from_torch(
                net(), inputs(8), **{"threshold": "max", "correction": "none", **options, name: eval(value)}
            )


def test_a_network_that_was_changed_has_no_closeness_but_if_it_is_the_same() -> None:
    model, x = net(), inputs(100)
    snn = respike.from_torch(model, x, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert snn.recalibrated(x, "1").closeness is None
    assert snn.quantised(4).closeness is None
    same = snn.double().normalised()
    assert same.closeness == snn.closeness is not None
    held = judging(x).double()
    assert error_of(same(held), model.double()(held)) == pytest.approx(ours(snn).error, rel=1e-4)


def test_more_timesteps_of_frames_take_more_frames() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    with pytest.warns(ConversionWarning, match=f"{FAR}.* Try timesteps=2 with as many frames a sample"):
        respike.from_torch(model, respike.Frames(torch.rand(64, 2, 4)), timesteps=1, correction="none")

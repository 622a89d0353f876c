"""``Frames``: calibration on inputs that move, and all that takes such networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from exported import converted
from frame_networks import cnn, small
from torch import Tensor, nn

import respike
from respike.convert import ConversionError

STEPS = 5


@pytest.mark.parametrize("threshold", ["mse", "max", "percentile"])
@pytest.mark.parametrize("neuron", ["iaf", "signed"])
def test_calibration_sees_the_frames(threshold: Any, neuron: Any) -> None:
    """What it is judged by is the ANN on the mean; frames that differ want other thresholds than their mean."""
    model, snn, frames = small(16, threshold=threshold, neuron=neuron)
    assert snn.closeness is not None and snn.closeness.error < 0.6
    with torch.no_grad():
        wanted = model(frames.mean(1))
    error = (snn(frames) - wanted).norm() / (wanted - wanted.mean(0)).norm()
    still = respike.from_torch(model, frames.mean(1), 16, threshold=threshold, neuron=neuron)
    blind = (still.with_time()(frames) - wanted).norm() / (wanted - wanted.mean(0)).norm()
    assert error < 1.1 * blind


def test_evaluation_compares_with_the_ann_on_the_mean() -> None:
    model, snn, frames = small(8)
    labels = model(frames.mean(1)).argmax(1)
    result = respike.evaluate(snn, (frames, labels), ann=model)
    assert result.ann_accuracy == 1
    assert torch.equal(torch.as_tensor(result.accuracy[-1:]), (snn(frames).argmax(1) == labels).double().mean()[None])
    moving = respike.evaluate(snn.with_time(), (frames, labels))
    assert moving.step_work.macs == 64 * 4 * 2 * 9  # the first layer is computed in every step
    with pytest.raises(ValueError, match="has 8 frames, too few for 9 timesteps"):
        respike.evaluate(snn, (frames, labels), timesteps=9)


def test_what_else_takes_such_networks(tmp_path: Path) -> None:
    model, snn, frames = small(6)
    output, steps = respike.EarlyExit(snn, frames, judge="decision")(frames)
    assert output.shape == (64, 3) and int(steps.max()) <= 6
    found = respike.diagnose(snn, frames, ann=model)
    assert len(found.layers) == 2
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    assert loaded.graph.moving == {"input"}
    assert "a frame for each timestep: input" in loaded.summary()
    assert torch.equal(loaded(frames), snn(frames))
    assert respike.check(snn.quantised(8, "layer", 8), "speck", frames).rules
    assert respike.evaluate(snn, respike.Frames([(frames, torch.zeros(64).long())])).samples == 64
    tuned = respike.finetune(snn, respike.Frames(frames), steps=30, batch_size=16, learning_rate=3e-3, progress=False)
    assert tuned.graph.moving and tuned(frames).shape == (64, 3)
    again = snn.recalibrated(frames, next(iter(snn.layers())), ann=model)
    assert again(frames).shape == (64, 3)


def test_one_input_may_hold_still() -> None:
    case = zoo.CONVERTS["two_inputs"]
    x, y = (torch.rand(16, *shape) for shape in case.shapes)
    snn = converted(case.build().eval(), x, y, steps=STEPS)
    name = next(iter(snn.graph.inputs))
    made = snn.with_time([name])
    frames = x[:, None].expand(-1, STEPS, *x.shape[1:])
    torch.testing.assert_close(made.simulate(frames, y), snn.simulate(x, y), rtol=0, atol=1e-6)
    model = case.build().eval()
    batches = [(frames, y)]
    fitted = respike.from_torch(model, respike.Frames(batches, [name]), STEPS, correction="bias")
    assert fitted.graph.moving == {name}
    assert fitted(frames, y).shape == snn(x, y).shape


class Several(nn.Module):
    """Of several inputs, in a tuple of any length or in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)


class AsTuple(Several):
    def forward(self, *given: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(given[0])))


class AsDict(Several):
    def forward(self, given: dict[str, Tensor]) -> Tensor:
        return self.b(torch.relu(self.a(given["p"] + given["q"])))


def test_inputs_in_tuples_and_dicts_move() -> None:
    p, q = torch.rand(16, STEPS, 4), torch.rand(16, STEPS, 4)
    one = respike.from_torch(AsTuple().eval(), respike.Frames(p), STEPS, correction="none")
    assert one(p).shape == (16, 3)
    two = respike.from_torch(AsDict().eval(), respike.Frames([({"p": p, "q": q},)]), STEPS, correction="none")
    assert len(two.graph.moving) == 2
    assert two({"p": p, "q": q}).shape == (16, 3)


def test_more_frames_than_timesteps_are_not_looked_at() -> None:
    """By calibration, evaluation, fine-tuning and the rest alike."""
    model, snn, frames = small(6)
    longer = torch.cat([frames, 9 + frames], 1)
    assert torch.equal(respike.from_torch(model, respike.Frames(longer), 6)(frames), snn(frames))
    labels = model(frames.mean(1)).argmax(1)
    assert respike.evaluate(snn, (longer, labels), ann=model).ann_accuracy == 1
    assert respike.diagnose(snn, longer).as_dict() == respike.diagnose(snn, frames).as_dict()
    short = {"steps": 20, "batch_size": 16, "learning_rate": 3e-3, "progress": False}
    assert torch.equal(respike.finetune(snn, longer, **short)(frames), respike.finetune(snn, frames, **short)(frames))
    for few in (
        lambda: respike.finetune(snn, frames[:, :4], **short),
        lambda: respike.EarlyExit(snn, frames[:, :4], judge="decision"),
        lambda: respike.EarlyExit(snn, frames, judge="decision")(frames[:, :4]),
        lambda: respike.diagnose(snn, frames[:, :4]),
        lambda: snn.recalibrated(frames[:, :4], next(iter(snn.layers()))),
    ):
        with pytest.raises(ValueError, match=r"has 4 frames, too few for 6 timesteps; .* or timesteps=4"):
            few()


class Chosen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(torch.relu(torch.where(x > 0.3, x * x, x)))


class Indices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.a = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.a(torch.relu(self.words(ids).sum(1)))


def test_truth_values_and_indices_have_no_mean() -> None:
    frames = torch.randn(16, STEPS, 4)
    for make in (
        lambda: respike.from_torch(Chosen().eval(), respike.Frames(frames), STEPS),
        lambda: converted(Chosen().eval(), frames[:, 0]).with_time(),
    ):
        with pytest.raises(ConversionError, match=r"truth values or whole numbers here.*\n.*gt"):
            make()
    snn = converted(Indices().eval(), torch.randint(0, 9, (16, 5)))
    with pytest.raises(ConversionError, match="'ids' holds whole numbers"):
        snn.with_time(["ids"])


def test_wrong_frames_are_named() -> None:
    _, snn, frames = small()
    with pytest.raises(ValueError, match=r"must have shape \(N, T, 2, 10, 10\), got \(64, 2, 10, 10\)"):
        snn(frames[:, 0])
    with pytest.raises(ValueError, match="has 6 frames, too few for 7 timesteps"):
        snn.simulate(frames, timesteps=7)
    with pytest.raises(ValueError, match="has 0 frames"):
        snn(frames[:, :0])
    with pytest.raises(ConversionError, match="no input 'x'"):
        snn.with_time(["x"])
    with pytest.raises(ValueError, match="has 6 frames, too few for 9 timesteps"):
        respike.from_torch(cnn(), respike.Frames(frames), 9)
    with pytest.raises(ConversionError, match="no argument 'y'"):
        respike.from_torch(cnn(), respike.Frames(frames, ["y"]), 6)
    for wrong in ({"timesteps": "auto"}, {"schedule": "layerwise"}):
        with pytest.raises(ConversionError, match=r"Frames (want|and)"):
            respike.from_torch(cnn(), respike.Frames(frames), **wrong)
    snn.schedule = "layerwise"
    with pytest.raises(ValueError, match="inputs that move"):
        snn(frames)


def test_frames_that_were_not_said_to_be_some_are_told() -> None:
    with pytest.raises(ConversionError, match=r"if that is time, pass respike.Frames\(calibration\)"):
        respike.from_torch(cnn(), torch.rand(16, 6, 2, 10, 10), 6)
    with pytest.raises(ConversionError, match="2 channels") as told:
        respike.from_torch(cnn(), torch.rand(16, 3, 10, 10), 6)
    assert "Frames" not in str(told.value)
    with pytest.raises(ConversionError, match="these are Encoded already"):
        respike.Frames(respike.Encoded(torch.rand(16, 6, 2, 10, 10)))

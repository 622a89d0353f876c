"""Encoders in front of a network: the events, how they run, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from exported import CODES, converted
from frame_networks import cnn, small
from samples import quick_are
from torch import Tensor, nn
from torch.nn import functional as F

import respike
from respike import Encoding
from respike.convert import ConversionError, ConversionWarning, SpikingNetwork
from respike.convert.run.input_encoders import GOLDEN, _mixed, _signed
from respike.layers import encoders

KEPT = ["rate", "poisson", "error_diffusion"]
"""Encoders whose mean is the value."""
STEPS = 6


def images(count: int = 24, low: float = 0.0) -> Tensor:
    made = torch.rand(count, 2, 10, 10, generator=torch.Generator().manual_seed(0))
    return low + (1 - low) * made * (made > 0.5)


def made(encoder: Any, steps: int = STEPS, low: float = 0.0, **options: Any) -> tuple[nn.Module, SpikingNetwork]:
    torch.manual_seed(0)
    model = cnn()
    data = respike.Encoded(images(64, low), encoder)
    return model, respike.from_torch(model, data, steps, **{"correction": "none", **options})


def test_random_numbers_are_those_of_split_mix() -> None:
    """Vigna's test vectors of splitmix64.c, seed 1234567."""
    numbers = torch.tensor([1234567]) + torch.arange(1, 4) * _signed(GOLDEN)
    wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [x % 2**64 for x in _mixed(numbers).tolist()] == wanted


def seen(encoding: Encoding, x: Tensor, steps: int) -> Tensor:
    network = converted(nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 2), nn.ReLU()), x)
    return network.encoded(encoding).frames(x, timesteps=steps)


def test_what_is_not_random_is_what_the_encoders_give() -> None:
    x = torch.randn(7, 5) * 2
    scale = 1.7
    found = seen(Encoding("error_diffusion", scale=scale, start=0.25), x, 50)
    assert torch.equal(found, scale * encoders.error_diffusion(x / scale, 50, 0.25))
    with pytest.warns(ConversionWarning, match="one event, whatever it is"):
        found = seen(Encoding("latency", scale=4.0, threshold=0.2), x.abs().clamp(max=4), 9)
    kinds = {"linear": True, "normalize": True, "clip": True}
    assert torch.equal(found, 4 * encoders.latency(x.abs().clamp(max=4) / 4, 9, 0.2, **kinds))  # type: ignore[arg-type]
    frames = torch.randn(7, 9, 5)
    model = nn.Sequential(nn.Linear(5, 2), nn.ReLU())
    snn = converted(model, frames[:, 0]).with_time().encoded(Encoding("delta", threshold=0.4))
    assert torch.equal(snn.frames(frames), encoders.delta(frames, 0.4, padding=True, off_spike=True))
    shown = snn.frames(frames).mean(1)
    result = respike.evaluate(snn, (frames, torch.zeros(7).long()), ann=model, timesteps=9)
    assert result.ann_accuracy == float((model(shown).argmax(1) == 0).double().mean())


@pytest.mark.parametrize(("encoder", "variance"), [("rate", lambda m: m * (1 - m)), ("poisson", lambda m: m)])
def test_draws_have_the_distribution_that_they_should(encoder: Any, variance: Any) -> None:
    """Mean, variance and, between neighbours in space, time and batch, no correlation: within 5 standard errors."""
    steps, shares = 2000, torch.tensor([0.03, 0.3, 0.5, 0.9])
    x = torch.stack([shares, shares.flip(0), -shares, shares + 1e-6]) * 2
    found = seen(Encoding(encoder, seed=5, scale=2.0), x, steps) / 2
    m = x.abs() / 2
    assert bool(((found.mean(1) - x / 2).abs() < 5 * (variance(m) / steps).sqrt()).all())
    fourth = 5 * (2 / steps) ** 0.5 * (variance(m) + 0.2)
    assert bool(((found.var(1) - variance(m)).abs() < fourth).all())
    z = (found - found.mean(1, keepdim=True)) / found.std(1, keepdim=True)
    pairs = [z[:, 1:] * z[:, :-1], z[:, :, 1:] * z[:, :, :-1], z[1:] * z[:-1]]
    assert all(float(p.mean(1).abs().max()) < 5 / steps**0.5 for p in pairs)
    again, other = (seen(Encoding(encoder, seed=seed, scale=2.0), x, steps) / 2 for seed in (5, 6))
    assert torch.equal(again, found)
    assert not torch.equal(other, found)


def test_many_poisson_counts_and_too_many() -> None:
    x = torch.full((1, 2000), 30.0)
    found = seen(Encoding("poisson", scale=1.0), x, 20)
    assert float(found.mean()) == pytest.approx(30, abs=5 * (30 / found.numel()) ** 0.5)
    assert float(found.var()) == pytest.approx(30, rel=0.05)
    with pytest.raises(ValueError, match="101 times the scale"):
        seen(Encoding("poisson", scale=1.0), torch.full((1, 2), 101.0), 1)


@pytest.mark.parametrize("encoder", KEPT)
@pytest.mark.parametrize("schedule", ["synchronous", respike.Pipelined(1)])
@pytest.mark.parametrize("code", quick_are(["binary"], CODES))
def test_it_is_a_run_on_the_frames(encoder: Any, schedule: Any, code: str) -> None:
    """Of the network without encoder, which is the module of layers: in any precision, parts and blocks alike."""
    _, snn = made(encoder, schedule=schedule, low=-1.0, **CODES[code])
    x = images(low=-1.0)
    plain, frames = snn.with_time(), snn.frames(x)
    for precision in ("float32", "bfloat16", "int8"):
        snn.precision = plain.precision = precision  # type: ignore[assignment]
        assert torch.equal(snn.simulate(x), plain.simulate(frames))
    snn.precision = "float32"
    whole = snn.simulate(x)
    assert torch.equal(snn(x), whole[:, -1])
    parts = torch.cat([snn.simulate(part) for part in x.split(7)])
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)  # convolutions round by how many images they get
    assert torch.equal(torch.cat([snn.frames(part) for part in x.split(7)]), frames)
    snn.memory_budget = 40_000
    torch.testing.assert_close(snn.simulate(x), whole, rtol=0, atol=1e-6)
    if schedule == "synchronous":
        module = snn.to_module()
        torch.testing.assert_close(module(frames).detach(), whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize("encoder", KEPT)
def test_streams_and_samples_that_leave_go_on(encoder: Any) -> None:
    _, snn = made(encoder)
    x = images()
    with snn.stream(len(x)) as run:
        steps = torch.stack([run(x) for _ in range(12)], 1)
    torch.testing.assert_close(steps, snn.simulate(x, timesteps=12), rtol=0, atol=1e-6)
    early = respike.EarlyExit(snn, x, judge="decision")
    early.threshold = float(early.scores([x])[0][2].median())
    output, steps = early(x)
    assert int(steps.min()) < int(steps.max())
    every = snn.simulate(x)
    expected = every[torch.arange(len(x)), steps - 1]
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoder", KEPT)
def test_frames_can_be_encoded_one_by_one(encoder: Any) -> None:
    frames = torch.rand(64, 8, 2, 10, 10)
    snn = respike.from_torch(cnn(), respike.Encoded(respike.Frames(frames), encoder), 8)
    scale = snn.graph.encodings["input"].scale
    assert scale == float(frames.max())
    events = snn.frames(frames[:20])
    assert torch.equal(snn.with_time().simulate(events), snn.simulate(frames[:20]))
    sums = (events.sum(1) - frames[:20].sum(1)).abs()
    assert float(sums.max()) < (0.51 if encoder == "error_diffusion" else 5 * (8 * 1.0) ** 0.5)
    if encoder == "error_diffusion":
        ends = torch.floor(frames[:20].double().cumsum(1) / scale + 0.5)
        assert torch.equal((events / scale).round(), torch.diff(ends, dim=1, prepend=ends[:, :1] * 0).float())
    with snn.stream(20) as run:
        one_by_one = [run(frame) for frame in frames[:20].unbind(1)]
    torch.testing.assert_close(torch.stack(one_by_one, 1), snn.simulate(frames[:20]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoder", ["rate", "poisson"])
def test_recordings_that_begin_alike_have_their_own_noise_where_they_differ(encoder: Any) -> None:
    snn = respike.from_torch(cnn(), respike.Encoded(respike.Frames(torch.rand(64, 6, 2, 10, 10)), encoder), 6)
    frames = torch.rand(12, 6, 2, 10, 10)
    frames[:, :2] = frames[:1, :2].clone()
    noise = snn.frames(frames) - frames
    assert torch.equal(noise[:, :2], noise[:1, :2].expand(12, -1, -1, -1, -1))
    share = torch.corrcoef(noise[:, 2:].flatten(1))
    assert float(share.fill_diagonal_(0).abs().max()) < 5 / noise[0, 2:].numel() ** 0.5


def test_scales_are_the_largest_magnitude_of_the_samples_unless_given() -> None:
    x = images(64) * 2 - 1.5
    _, snn = made("rate")
    model = cnn()
    snn = respike.from_torch(model, respike.Encoded(x, "rate"), STEPS)
    assert snn.graph.encodings["input"].scale == float(x.abs().max()) == 1.5
    x[7] *= 2  # of a list, each eighth sample judges, and does not calibrate
    judge = respike.from_torch(model, respike.Encoded([x], "rate"), STEPS, correction="none")
    assert judge.graph.encodings["input"].scale == 1.5
    with pytest.raises(ConversionError, match=r"largest magnitude of the input 'input' .* is 3e-31; rescale"):
        respike.from_torch(model, respike.Encoded(x * 1e-31, "rate"), STEPS, correction="none")
    given = respike.from_torch(model, respike.Encoded(x, Encoding("rate", scale=3.0)), STEPS)
    assert set(given.frames(x).unique().tolist()) == {-3.0, 0.0, 3.0}
    dark = respike.from_torch(model, respike.Encoded(x * 0, "rate"), STEPS, correction="none")
    assert dark.graph.encodings["input"].scale == 1.0


def test_events_of_the_input_count_their_synapses() -> None:
    """Against the transposed convolution that says how many outputs each pixel reaches; nothing is multiplied."""
    model, snn = made("poisson", low=-1.0)
    x = images(low=-1.0)
    result = respike.evaluate(snn, (x, torch.zeros(len(x)).long()), ann=model)
    reach = F.conv_transpose2d(torch.ones(1, 4, 8, 8), torch.ones(4, 2, 3, 3))[0]
    events = (snn.frames(x) / snn.graph.encodings["input"].carried).abs()
    (first,) = [layer for layer in result.layers if layer.kind == "input"]
    assert first.synops[-1] == pytest.approx(float((events.sum(1) * reach).sum()) / len(x))
    assert first.spikes[-1] == pytest.approx(float(events.sum()) / len(x))
    assert not result.macs.any()
    assert result.synops[-1] == pytest.approx(sum(layer.synops[-1] for layer in result.layers))
    cost = result.cost()
    assert float(cost.layers[0].energy[-1]) == pytest.approx(0.9 * first.synops[-1])
    pipelined = made("poisson", low=-1.0, schedule=respike.Pipelined(1))[1]
    again = respike.evaluate(pipelined, (x, torch.zeros(len(x)).long()))
    assert again.layers[0].synops == pytest.approx(first.synops)


def test_frames_of_events_are_counted_as_such() -> None:
    """Where they are whole numbers, on average at most one a value; or where the user says so."""
    model, snn, frames = small()
    labels = torch.zeros(64).long()

    def kinds(data: Tensor, events: bool | None = None) -> tuple[bool, float]:
        made = respike.from_torch(model, respike.Frames(data, events=events), 6, correction="none")
        return bool(made.graph.encodings), float(respike.evaluate(made, (data, labels)).macs[-1])

    macs = 6 * 64 * 4 * 2 * 9
    assert kinds(frames) == (True, 0)
    assert kinds(frames, events=False) == (False, macs)
    assert kinds(frames + 0.5) == (False, macs)
    assert kinds(100 * frames) == (False, macs)
    assert kinds(100 * frames, events=True) == (True, 0)
    assert kinds(frames * 0) == (False, macs)
    counted = respike.evaluate(snn, (frames, labels)).layers[0]
    doubled = respike.evaluate(snn.with_time(events=True), (2 * frames, labels)).layers[0]
    assert (2 * counted.synops).tolist() == doubled.synops.tolist()
    assert torch.equal(snn(frames), snn.with_time()(frames))  # it changes what is counted alone
    with pytest.raises(ValueError, match="the frames of 'input' count as events, and these are no whole numbers"):
        respike.evaluate(snn, (frames / 2, labels))


@pytest.mark.parametrize("encoder", KEPT)
def test_what_else_takes_encoded_networks(encoder: Any, tmp_path: Path) -> None:
    model, snn = made(encoder, correction="bias")
    x = images(64)
    snn.save(tmp_path / "net.respike")
    loaded = respike.load(tmp_path / "net.respike")
    assert loaded.graph.encodings == snn.graph.encodings
    assert torch.equal(loaded(x), snn(x))
    assert f"events: input by {encoder}, scale " in loaded.summary()
    assert len(respike.diagnose(snn, x, ann=model).layers) == 2
    seen = snn.record(x[:5])
    assert [tuple(s.shape[:2]) for s in seen.spikes.values()] == [(5, STEPS)] * 2
    again = snn.recalibrated(x, next(iter(snn.layers())))
    assert again.graph.encodings == snn.graph.encodings
    assert again(x).shape == (64, 3)
    tuned = respike.finetune(snn, x, steps=20, batch_size=16, learning_rate=3e-3, progress=False)
    assert tuned.graph.encodings == snn.graph.encodings
    unit = respike.from_torch(model, respike.Encoded(2 * x, encoder), STEPS).normalised()
    assert set(unit.frames(2 * x).abs().unique().tolist()) <= set(range(9))
    assert torch.equal(snn.encoded(None)(x), snn.with_time(False)(x))


def test_the_best_of_all_steps_can_be_found_for_events() -> None:
    torch.manual_seed(0)
    snn = respike.from_torch(cnn(), respike.Encoded(images(64)), timesteps=respike.Auto(within=40))
    assert snn.choice is not None
    assert snn.graph.encodings["input"].encoder == "error_diffusion"


def test_what_cannot_be_is_refused() -> None:
    model, snn = made("rate")
    x, frames = images(), torch.rand(16, 6, 2, 10, 10)
    for call, message in {
        lambda: snn.encoded("poisson"): "scale: give the largest magnitude",
        lambda: snn.encoded("delta"): "'delta' is for inputs that move",
        lambda: snn.encoded("morse"): "encode must be one of rate, poisson",  # type: ignore[arg-type]
        lambda: snn.encoded(Encoding("rate", scale=1.0), ["x"]): "no input 'x'",
        lambda: respike.from_torch(model, respike.Encoded(x, "rate", ["y"]), 4): "no argument 'y'",
        lambda: respike.from_torch(model, respike.Encoded(x, "delta"), 4): "'delta' is for inputs that move",
        lambda: respike.from_torch(model, respike.Encoded(x), 4, schedule="layerwise"): "Encoded want schedule='synch",
        lambda: respike.Encoded(respike.Encoded(x)): "encoded already",
        lambda: Encoding("latency", threshold=1.5): "threshold must be below 1",
        lambda: respike.evaluate(snn, (x, x), ann_on="frames"): "is for inputs that move",
        lambda: snn.to_onnx("net.onnx", form="loop"): r"those of snn.frames\(x\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    snn.schedule = "layerwise"
    with pytest.raises(ValueError, match="inputs that move or are encoded are for the schedules"):
        snn(x)
    with pytest.warns(ConversionWarning, match="one event, whatever it is"):
        late = made("latency")[1]
    with pytest.raises(ValueError, match="a stream has no end"):
        late.stream(len(x))
    with pytest.raises(ConversionError, match="Frames want a number of timesteps"):
        respike.from_torch(model, respike.Encoded(respike.Frames(frames)), timesteps="auto")

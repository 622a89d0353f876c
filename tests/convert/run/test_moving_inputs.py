"""Inputs that differ in every step: ``(N, T, ...)``, a frame for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from exported import CODES, converted
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in, quick_are
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import ConversionError, SpikingNetwork
from respike.convert.run.moving_inputs import over_time
from respike.layers import encoders

SCHEDULES = ["synchronous", respike.Pipelined(1), respike.Pipelined(2)]
STEPS = 5


def spikes(snn: SpikingNetwork, *x: Tensor) -> dict[str, Tensor]:
    """What each layer sends, run by run or block by block."""
    seen: dict[str, list[Tensor]] = {}
    given = snn.graph.flatten(x)
    for _ in snn.blocks(given, timesteps=STEPS, recorder=lambda n, e, sent: seen.setdefault(n.name, []).append(sent)):
        pass
    return {name: torch.cat(sent) for name, sent in seen.items()}


def case_of(name: str, steps: int = STEPS, **options: Any) -> tuple[SpikingNetwork, tuple[Tensor, ...]]:
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    return converted(case.build().eval(), *x, steps=steps, **{**options, **case.extra}), x


def moving(snn: SpikingNetwork, x: tuple[Tensor, ...], alike: bool = True) -> tuple[SpikingNetwork, list[Tensor]]:
    """The network for inputs that move, and frames: all alike, or each another."""
    made = snn.with_time()
    frames = over_time(snn.graph, list(x), STEPS)
    scale = torch.rand(len(x[0]), STEPS, generator=torch.Generator().manual_seed(1)) * 2
    if not alike:
        frames = [f * scale.reshape(*scale.shape, *[1] * (f.dim() - 2)) for f in frames]
    return made, [f if n in made.graph.moving else v for n, f, v in zip(snn.graph.inputs, frames, x, strict=True)]


PRODUCTS = ["gated_by_the_input", "over_the_input", "masked_by_the_input", "matrix_from_the_input"]
PRODUCTS += ["index_from_the_input"]
"""Networks of the zoo that multiply spikes by what is computed from the input, or choose among them by it."""
MEET = ["mean_over_the_batch", "sequence_first", "relu_behind_the_sequence_axis", "relu_with_the_batch_last"]
MEET += ["times_the_batch_size"]
"""Those in which samples meet, so that they have no module."""
MOVE = [name for name in zoo.CONVERTS if name not in PRODUCTS]
APART = [name for name in MOVE if name not in (*MEET, "layer_norm_of_the_input")]


@pytest.mark.parametrize("name", one_in(6, MOVE))
@pytest.mark.parametrize("schedule", quick_are(SCHEDULES[:2], SCHEDULES))
@pytest.mark.parametrize("code", quick_are(["binary", "signed"], CODES))
def test_equal_frames_are_a_constant_input(name: str, schedule: Any, code: str) -> None:
    """Bit for bit the same spikes of every layer."""
    snn, x = case_of(name, schedule=schedule, **CODES[code])
    made, frames = moving(snn, x)
    wanted, found = spikes(snn, *x), spikes(made, *frames)
    for layer in snn.neurons:
        assert torch.equal(found[layer], wanted[layer]), layer
    assert made.latency == snn.latency


@pytest.mark.parametrize("name", quick_are(["mnist_cnn"], respike.models.REGISTRY))
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_equal_frames_are_a_constant_input_of_trained_networks(name: str, precision: Any, schedule: Any) -> None:
    x = respike.models.datasets.calibration()[:20]
    snn = converted(respike.models.load(name), x, steps=STEPS, schedule=schedule)
    snn.precision = precision
    made, frames = moving(snn, (x,))
    wanted, found = spikes(snn, x), spikes(made, *frames)
    assert {n for n, sent in wanted.items() if not torch.equal(sent, found[n])} == set()


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_frames_and_spikes_are_refused(name: str) -> None:
    snn, _ = case_of(name)
    with pytest.raises(ConversionError, match=r"cannot become spiking:\n"):
        snn.with_time()


@pytest.mark.parametrize("name", one_in(4, APART))
@pytest.mark.parametrize("code", quick_are(["binary", "multi-threshold"], CODES))
def test_it_is_the_module_of_layers_stepped_through_the_frames(name: str, code: str) -> None:
    """``to_module`` is torch's layers and ``respike.layers`` neurons, step after step."""
    snn, x = case_of(name, **CODES[code])
    made, frames = moving(snn, x, alike=False)
    with torch.no_grad():
        wanted = pytree.tree_leaves(made.to_module()(*over_time(made.graph, frames, STEPS)))
    for a, b in zip(wanted, pytree.tree_leaves(made.simulate(*frames)), strict=True):
        if isinstance(a, Tensor):
            torch.testing.assert_close(b, a, rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", one_in(5, range(20)))
@pytest.mark.parametrize("code", ["binary", "bursts", "signed"])
def test_random_networks_are_their_modules(seed: int, code: str) -> None:
    """Where every sum is exact, bit for bit."""
    net = RandomNet(seed).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, steps=4, correction="none", **CODES[code])
    exact(snn)
    made = snn.with_time()
    frames = [torch.stack([v, v.roll(1, 0), -v, v.roll(2, 0)], 1) if v.dim() > 1 else v for v in x]
    with torch.no_grad():
        wanted = pytree.tree_leaves(made.to_module()(*over_time(made.graph, frames, 4)))
    for a, b in zip(wanted, pytree.tree_leaves(made.simulate(*frames)), strict=True):
        if isinstance(a, Tensor):
            assert torch.equal(b[:, [0, 1, 3]], a[:, [0, 1, 3]])


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()


def small(steps: int = 6, **options: Any) -> tuple[nn.Module, SpikingNetwork, Tensor]:
    """Sparse frames of whole numbers, as event cameras give them."""
    model, frames = cnn(), torch.poisson(torch.full((64, steps, 2, 10, 10), 0.3))
    return model, respike.from_torch(model, respike.Frames(frames), steps, **options), frames


def test_frame_by_frame_is_one_run() -> None:
    _, snn, frames = small()
    whole = snn.simulate(frames)
    one_by_one = [snn.simulate(frames[:, t : t + 1], stream=True)[:, 0] for t in range(6)]
    snn.reset()
    assert torch.equal(torch.stack(one_by_one, 1), whole)
    assert torch.equal(snn(frames), whole[:, -1])
    assert torch.equal(snn.simulate(frames, timesteps=4), whole[:, :4])


@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_little_memory_and_parts_of_a_batch_change_nothing(schedule: Any) -> None:
    _, snn, frames = small(schedule=schedule)
    whole = snn.simulate(frames)
    snn.memory_budget = 40_000
    for parts in (snn.simulate(frames), torch.cat([snn.simulate(part) for part in frames.split(7)])):
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)  # convolutions round by how many images they get


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
    assert result.step_work.macs == 64 * 4 * 2 * 9  # the first layer is computed in every step
    with pytest.raises(ValueError, match="has 8 frames, and 9 timesteps"):
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


@pytest.mark.parametrize(("encoder", "slope"), [("poisson", -0.5), ("error_diffusion", -1.0)])
def test_the_error_of_encoded_inputs_falls_as_that_of_the_encoder(encoder: str, slope: float) -> None:
    """As 1/√T or as 1/T, from 16 to 1,024 steps: thresholds are high enough that nothing is clipped."""
    model, images = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()[:256]
    snn, x = converted(model, images, steps=16, correction="none").with_time(), images[:32]
    for layer in snn.layers().values():
        layer.threshold = layer.threshold * 1.5
    steps, errors = torch.tensor([2.0**k for k in range(4, 11)]), []
    with torch.no_grad():
        wanted = model(x)
    for t in steps.int().tolist():
        found = snn(getattr(encoders, encoder)(x, t))
        errors.append(float((found - wanted).norm() / wanted.norm()))
    across, down = steps.log2() - steps.log2().mean(), torch.tensor(errors).log2()
    assert float((across * down).sum() / across.square().sum()) == pytest.approx(slope, abs=0.1)


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
        with pytest.raises(ValueError, match="has 4 frames, and 6 timesteps were asked for"):
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
    with pytest.raises(ValueError, match="has 6 frames, and 7 timesteps were asked for"):
        snn.simulate(frames, timesteps=7)
    with pytest.raises(ValueError, match="has 0 frames"):
        snn(frames[:, :0])
    with pytest.raises(ConversionError, match="no input 'x'"):
        snn.with_time(["x"])
    with pytest.raises(ValueError, match="has 6 frames, and 9 timesteps"):
        respike.from_torch(cnn(), respike.Frames(frames), 9)
    with pytest.raises(ConversionError, match="no argument 'y'"):
        respike.from_torch(cnn(), respike.Frames(frames, ["y"]), 6)
    for wrong in ({"timesteps": "auto"}, {"schedule": "layerwise"}):
        with pytest.raises(ConversionError, match="Frames want"):
            respike.from_torch(cnn(), respike.Frames(frames), **wrong)
    snn.schedule = "layerwise"
    with pytest.raises(ValueError, match="inputs that move"):
        snn(frames)

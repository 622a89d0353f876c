"""Networks on a GPU do what they do on the CPU: on a pretended one, and on a real one where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from exported import CODED, CODES, converted, digits
from pretend_gpu import GPU, pretending
from random_networks import RandomNet
from random_oracles import exact, inputs
from samples import one_in, quick_are
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import respike
from respike.convert import SpikingNetwork


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.cuda)], autouse=True)
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real one computes exact products: TF32 would round currents to eleven bits, so that other spikes are sent."""
    if request.param == "pretended":
        with pretending(monkeypatch):
            yield
    else:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        yield


def there(tree: Any) -> Any:
    return pytree.tree_map(lambda x: x.to(GPU) if isinstance(x, Tensor) else x, tree)


def floats(tree: Any) -> list[Tensor]:
    return [leaf.cpu() for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


@torch.no_grad()
def compared(snn: SpikingNetwork, *x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each output after each step, on the CPU and on the GPU; the network stays there."""
    wanted = floats(snn.simulate(*x))
    return list(zip(wanted, floats(snn.to(GPU).simulate(*there(x))), strict=True))


def test_what_lies_elsewhere_is_refused() -> None:
    """By a pretended one, too: else nothing here could fail."""
    x = torch.rand(3)
    with pytest.raises(RuntimeError, match="same device"):
        there(x) + x
    with pytest.raises(TypeError, match="numpy"):
        there(x).numpy()
    assert torch.equal(there(x).cpu() + x, 2 * x)


@pytest.mark.parametrize(("name", "code"), quick_are([case for case in CODED if case[0] == "mnist_cnn"], CODED))
def test_reference_networks_send_the_same_spikes(name: str, code: str) -> None:
    """With weights in whole numbers, which are added up alike in any order, as all layers do that do not average."""
    x = digits(name, 24)
    snn = converted(respike.models.load(name), x, steps=4, **CODES[code]).quantised(8)

    def spikes(x: Tensor) -> dict[str, Tensor]:
        seen: dict[str, list[Tensor]] = {}
        for _ in snn.blocks([x], recorder=lambda node, events, sent: seen.setdefault(node.name, []).append(sent)):
            pass
        return {name: torch.cat(sent).cpu() for name, sent in seen.items()}

    wanted = spikes(x)
    snn.to(GPU)
    found = spikes(there(x))
    assert {name: int((found[name] != sent).sum()) for name, sent in wanted.items()} == dict.fromkeys(wanted, 0)


@pytest.mark.parametrize("seed", one_in(4, range(12)))
@pytest.mark.parametrize("schedule", ["synchronous", respike.Pipelined(1), "layerwise"])
@pytest.mark.parametrize("code", ["binary", "bursts", "signed", "multi-threshold"])
def test_random_networks_give_the_same_numbers(seed: int, schedule: Any, code: str) -> None:
    net = RandomNet(seed).eval()
    x = inputs(net, seed)
    snn = converted(net, *x, steps=4, correction="none", schedule=schedule, **CODES[code])
    exact(snn)
    for wanted, found in compared(snn, *x):
        if schedule == "layerwise":  # its rates in three steps are thirds, which are rounded, to either side of a spike
            wanted, found = wanted[:, [0, 1, 3]], found[:, [0, 1, 3]]
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", one_in(4, zoo.CONVERTS))
def test_networks_of_the_zoo_are_converted_there(name: str) -> None:
    """Model and samples lie on the GPU, and so does the network; on the CPU it is the same."""
    case = zoo.CONVERTS[name]
    x = tuple(torch.rand(8, *shape) for shape in case.shapes)
    snn = converted(case.build().eval().to(GPU), *there(x), steps=4, **case.extra)
    assert {tensor.device.type for tensor in snn.buffers()} <= {"cuda"}
    with torch.no_grad():
        found = floats(snn.simulate(*there(x)))
        wanted = floats(snn.cpu().simulate(*x))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("correction", ["none", "bias", "ridge"])
@pytest.mark.parametrize("neuron", quick_are(["binary"], ["binary", "signed", "multi-threshold"]))
def test_calibration_there_is_as_good(correction: Any, neuron: str) -> None:
    model, _, x = small()
    options = {"threshold": "mse", "correction": correction, **CODES[neuron]}
    on_cpu = converted(model, x, steps=4, **options)
    on_gpu = converted(model.to(GPU), there(x), steps=4, **options)
    assert on_cpu.closeness is not None and on_gpu.closeness is not None
    assert on_gpu.closeness.error == pytest.approx(on_cpu.closeness.error, rel=0.1, abs=0.01)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_are_as_near_as_on_the_cpu(precision: Any) -> None:
    x = digits("mnist_cnn", 64)
    snn = converted(respike.models.load("mnist_cnn"), x, steps=16)
    exactly = snn(x)
    snn.precision = precision
    for values in (snn(x), snn.to(GPU)(there(x)).cpu()):
        assert float((values - exactly).norm() / exactly.norm()) < 0.05


def test_what_is_told_of_a_network_is_told_there() -> None:
    """Accuracy, agreement and spikes; data may lie anywhere."""
    model, x = respike.models.load("mnist_cnn"), digits("mnist_cnn", 100)
    labels = model(x).argmax(1)
    snn = converted(model, x, steps=4).quantised(8)
    wanted = respike.evaluate(snn, (x, labels), ann=model, progress=False)
    snn.to(GPU)
    for data in ((x, labels), there((x, labels))):
        found = respike.evaluate(snn, data, ann=model, progress=False)
        assert torch.equal(torch.as_tensor(found.spikes), torch.as_tensor(wanted.spikes))
        assert torch.equal(torch.as_tensor(found.synops), torch.as_tensor(wanted.synops))
        torch.testing.assert_close(
            torch.as_tensor(found.accuracy), torch.as_tensor(wanted.accuracy), rtol=0, atol=0.011
        )


def test_diagnosis_and_early_exits() -> None:
    model, x = respike.models.load("mnist_cnn").to(GPU), there(digits("mnist_cnn", 64))
    snn = converted(model, x, steps=4)
    assert respike.diagnose(snn, x, ann=model, progress=False).layers
    output, steps = respike.EarlyExit(snn, x)(x)
    assert output.device.type == steps.device.type == "cuda"


def small() -> tuple[nn.Module, SpikingNetwork, Tensor]:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    x = torch.rand(64, 1, 10, 10)
    return model, converted(model, x, steps=4), x


def test_a_module_made_there_learns_there_and_comes_back() -> None:
    model, snn, x = small()
    snn.to(GPU)
    module = snn.to_module()
    assert {p.device.type for p in module.parameters()} == {"cuda"}
    found = module(there(x)[:, None].expand(-1, 4, *x.shape[1:]))
    torch.testing.assert_close(found, snn.simulate(there(x)), rtol=1e-4, atol=1e-4)
    short = converted(model, x, steps=1, correction="none").to(GPU)
    tuned = respike.finetune(short, there(x), ann=model, steps=60, batch_size=16, learning_rate=3e-3, progress=False)
    assert {tensor.device.type for tensor in tuned.buffers()} <= {"cuda"}
    assert tuned.closeness is not None and tuned.closeness.error > 0


def test_streams_and_variants(tmp_path: Path) -> None:
    _, snn, x = small()
    wanted = snn.simulate(x)
    snn.to(GPU)
    run, controller = snn.stream(len(x)), respike.Controller(snn)
    found = torch.stack([run(there(x)) for _ in range(4)], dim=1)
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-4, atol=1e-4)
    run.reset([1])
    run.save(tmp_path / "state.safetensors")
    after = run(there(x))
    run.load(tmp_path / "state.safetensors")
    assert torch.equal(run(there(x)), after)
    torch.testing.assert_close(controller(there(x)).cpu(), wanted[:, -1], rtol=1e-4, atol=1e-4)
    controller.reset([1])
    assert controller(there(x)).device.type == "cuda"
    for variant in (snn.normalised(), snn.quantised(8), snn.with_floor(-100.0)):
        assert {tensor.device.type for tensor in variant.buffers()} <= {"cuda"}
        assert float((variant(there(x)).cpu() - wanted[:, -1]).norm() / wanted[:, -1].norm()) < 0.1


@pytest.mark.parametrize("encoder", ["rate", "poisson", "error_diffusion"])
def test_encoders_send_the_same_events(encoder: Any) -> None:
    """Whatever draws them: a sample's random numbers are those of the CPU."""
    x = digits("mnist_mlp", 24)
    snn = converted(respike.models.load("mnist_mlp"), x, steps=4).encoded(respike.Encoding(encoder, scale=2.0))
    wanted = snn.frames(x)
    assert torch.equal(snn.to(GPU).frames(there(x)).cpu(), wanted)
    with torch.no_grad():
        assert snn(there(x)).shape == (24, 10)
    labels = torch.zeros(24).long()
    assert respike.evaluate(snn, (x, labels), progress=False).samples == 24
    made = respike.from_torch(respike.models.load("mnist_mlp").to(GPU), respike.Encoded(x, encoder), 4)
    assert next(made.buffers()).device.type == torch.device(GPU).type

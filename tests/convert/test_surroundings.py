"""Autocast, a fork or a loader around a call changes no result, and the call changes nothing around it."""

from __future__ import annotations

import multiprocessing
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_oracles import exact
from samples import one_in
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import respike
from respike.convert.caller_state import in_own_types
from respike.convert.early_exit import EarlyExit


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(8, 3)).eval()


@cache
def converted() -> respike.SpikingNetwork:
    return respike.from_torch(model(), images(), 6)


def images(samples: int = 24) -> Tensor:
    return torch.rand(samples, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def labelled() -> TensorDataset:
    return TensorDataset(images(), torch.arange(24) % 3)


def exported(folder: Path) -> Path:
    path = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that needs no other package
        torch.onnx.export(model(), (images(1),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    return path


CALLS: dict[str, Callable[[], Any]] = {
    "from_torch": lambda: respike.from_torch(model(), images(), 4)(images()),
    "snn(x)": lambda: converted()(images()),
    "simulate": lambda: converted().simulate(images(), timesteps=3),
    "evaluate": lambda: respike.evaluate(converted(), labelled(), ann=model(), progress=False).as_dict(),
    "diagnose": lambda: str(respike.diagnose(converted(), images(), model())),
    "early exit": lambda: list(EarlyExit(converted(), images(), judge="decision")(images())),
    "recalibrated": lambda: converted().recalibrated(images(), "1")(images()),
}

MORE: dict[str, Callable[[], Any]] = {
    "layerwise": lambda: respike.from_torch(model(), images(), 4, schedule="layerwise").simulate(images()),
    "pipelined": lambda: respike.from_torch(model(), images(), 4, schedule="pipelined", neuron="signed")(images()),
    "leaky": lambda: respike.from_torch(model(), images(), 4, neuron="lif")(images()),
    "auto": lambda: respike.from_torch(model(), images(), respike.Auto(within=20, judge="decision"))(images()),
    "stream": lambda: converted().stream(len(images()))(images()),
    "controller": lambda: respike.Controller(converted())(images()),
    "normalised": lambda: converted().normalised()(images()),
    "quantised": lambda: converted().quantised(8)(images()),
    "summary": lambda: converted().summary() + str(converted().as_dict()),
    "exits": lambda: EarlyExit(converted(), images(), judge="decision").threshold,
}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize("name", one_in(3, CALLS))
def test_autocast_changes_nothing(name: str) -> None:
    outside = CALLS[name]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = CALLS[name]()
        assert torch.is_autocast_enabled("cpu")
        assert (torch.rand(2, 2) @ torch.rand(2, 2)).dtype == torch.bfloat16  # on again
    assert same(outside, inside)


@pytest.mark.parametrize("name", one_in(3, [*CALLS, *MORE]))
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_mode_of_gradients_changes_nothing(name: str, mode: Callable[[], Any]) -> None:
    outside = {**CALLS, **MORE}[name]()
    with mode():
        enabled = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        inside = {**CALLS, **MORE}[name]()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == enabled
    assert same(outside, inside)


@pytest.mark.parametrize("name", one_in(3, [*CALLS, *MORE]))
@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_the_default_type_changes_nothing(name: str, kind: torch.dtype) -> None:
    call, fixed = {**CALLS, **MORE}[name], images()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "model", lambda: MODEL)
        patch.setitem(globals(), "images", lambda: fixed)
        converted()
        outside = call()
        torch.set_default_dtype(kind)
        try:
            inside = call()
            assert torch.get_default_dtype() == kind
        finally:
            torch.set_default_dtype(torch.float32)
    assert same(outside, inside)


def test_a_model_in_the_default_type_float64_converts_as_in_float32() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        twin, x = model(), torch.rand(24, 1, 6, 6)
        found = respike.from_torch(twin, x, 4)(x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(found, respike.from_torch(twin.float(), x.float(), 4)(x.float()))


def test_calls_that_overlap_give_the_default_type_back_when_the_last_ends() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        first, second = in_own_types(), in_own_types()
        for entered in (first, second):
            entered.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float32
        second.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def by_nnpack() -> Iterator[None]:
    """As on a machine without oneDNN, where PyTorch convolves 16 images or more with NNPACK."""
    with pytest.MonkeyPatch.context() as patch, torch.backends.nnpack.flags(True):
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        yield


@pytest.mark.skipif(not torch.backends.nnpack.is_available(), reason="this PyTorch has no NNPACK")
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_convolutions_are_plain_sums_without_onednn(precision: Any) -> None:
    """Whole numbers of 24 bits are summed exactly: the oracle is each image alone, which NNPACK leaves to others.

    On 7 x 7 images NNPACK rounds most; the neurons start on their thresholds, so that any rounding changes spikes.
    """
    layers = [nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(200, 3)]
    x = torch.randint(-8, 9, (24, 8, 7, 7)) / 8
    twin = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.copy_((parameter * 64).round() / 64)
    snn = respike.from_torch(twin, x, 4, threshold="max", correction="none", precision=precision)
    exact(snn)
    with by_nnpack():
        whole = snn(x)
        assert torch.equal(whole, torch.cat([snn(one) for one in x.split(1)]))
        assert torch._C._get_nnpack_enabled()  # again


def test_a_run_that_is_not_finished_leaves_autocast_and_gradients_as_they_are() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        blocks = converted().blocks([images()], length=1)
        first = next(blocks)
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_grad_enabled()
        blocks.close()
    assert first[0].dtype == torch.float32


def states() -> list[Any]:
    return [torch.random.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()]


class Drawn(Dataset[tuple[Tensor, Tensor]]):
    """Samples that are augmented at random, with all three generators."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.rand(1, 6, 6) + np.random.rand() + random.random()
        return noise, torch.tensor(index % 3)


NUMBERS: dict[str, Callable[[], Any]] = {
    **CALLS,
    "augmented calibration": lambda: respike.from_torch(model(), Drawn(), 4),
    "augmented test data": lambda: respike.evaluate(converted(), Drawn(), progress=False),
    "a loader that shuffles": lambda: respike.evaluate(
        converted(), DataLoader(labelled(), batch_size=5, shuffle=True), progress=False
    ),
    "auto": lambda: respike.from_torch(model(), images(), respike.Auto(within=20, judge="decision")),
}


@pytest.mark.parametrize("name", one_in(3, NUMBERS))
def test_global_random_numbers_go_on_as_if_nothing_had_been(name: str) -> None:
    converted()
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    before = states()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "model", lambda: MODEL)
        NUMBERS[name]()
    assert states() == before


MODEL = model()


def test_random_numbers_stay_when_an_onnx_file_is_read(tmp_path: Path) -> None:
    path = exported(tmp_path)
    before = states()
    respike.from_onnx(path, images(), 4)
    assert states() == before


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _in_child(queue: Any) -> None:
    queue.put(converted()(images(1500)).tolist())
    try:
        queue.put(respike.evaluate(converted(), labelled(), progress=False).accuracy.tolist())
    except RuntimeError as error:
        queue.put(str(error))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own() -> None:
    """It used to wait for ever for those of its parent, ours and OpenMP's."""
    torch.rand(2, 500_000).sum(1)
    output = converted()(images(1500))
    respike.evaluate(converted(), labelled(), progress=False)  # takes gradients
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    try:
        found, judged = queue.get(timeout=120), queue.get(timeout=120)
    finally:
        child.kill()
        child.join()
    assert torch.equal(torch.tensor(found), output)
    # PyTorch takes gradients in a forked child or not, by what its parent has done: the same numbers, or an error.
    outside = respike.evaluate(converted(), labelled(), progress=False).accuracy.tolist()
    assert judged == outside or "start the process with multiprocessing.get_context('spawn')" in judged


class Scored(Dataset[Tensor]):
    """What a loader's process computes with a network that its parent has used."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        found: Tensor = converted()(images()[index : index + 2])
        return found


@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loaders_process_computes_the_same() -> None:
    output = converted()(images())
    found = torch.cat(list(DataLoader(Scored(), batch_size=1, num_workers=1, timeout=120)))
    assert torch.equal(found, torch.stack([output[i : i + 2] for i in range(4)]))

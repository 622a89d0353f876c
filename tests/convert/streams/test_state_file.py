"""A stream that is saved, loaded and continued is one that was not interrupted."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import CODES, converted
from safetensors.torch import load_file, safe_open, save_file
from samples import quick_are
from torch import Tensor, nn

import respike
from respike.convert import FormatError, SpikingNetwork

SCHEDULES: list[Any] = ["synchronous", respike.Pipelined(2)]
OPTIONS: list[dict[str, Any]] = [{}, {"window": 3}, {"forgetting": 0.8}]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3)),
    ).eval()


def made(**options: Any) -> tuple[SpikingNetwork, Tensor]:
    frames = torch.rand(6, 8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return converted(model(), frames[:, 0], steps=8, **options).with_time(), frames


@pytest.mark.parametrize("code", quick_are(["signed"], CODES))
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("options", OPTIONS)
def test_it_goes_on_as_if_it_had_not_been_interrupted(
    tmp_path: Path, code: str, schedule: Any, precision: Any, options: dict[str, Any]
) -> None:
    snn, frames = made(schedule=schedule, precision=precision, **CODES[code])
    whole, part, other = (snn.stream(6, **options) for _ in range(3))
    for t in range(4):
        for run in (whole, part):
            run(frames[:, t])
            if t == 1:
                run.reset([0, 3])
    part.save(tmp_path / "state.safetensors")
    part(1 - frames[:, 0])
    other.load(tmp_path / "state.safetensors")
    for t in range(4, 8):
        assert torch.equal(other(frames[:, t]), whole(frames[:, t]))
    assert torch.equal(other.finish(), whole.finish())
    assert torch.equal(other.steps, whole.steps)


def test_in_another_process(tmp_path: Path) -> None:
    snn, frames = made()
    snn.save(tmp_path / "net.respike")
    torch.save(frames, tmp_path / "frames.pt")
    run = snn.stream(6)
    for t in range(4):
        run(frames[:, t])
    run.save(tmp_path / "state.safetensors")
    code = (
        "import sys, torch, respike\n"
        "snn, frames = respike.load('net.respike'), torch.load('frames.pt')\n"
        "run = snn.stream(6)\n"
        "run.load('state.safetensors')\n"
        "torch.save(torch.stack([run(frames[:, t]) for t in range(4, 8)], 1), 'found.pt')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    torch.testing.assert_close(torch.load(tmp_path / "found.pt"), snn.simulate(frames)[:, 4:], rtol=1e-6, atol=1e-6)


def test_one_that_has_not_begun_can_be_saved_too(tmp_path: Path) -> None:
    snn, frames = made()
    snn.stream(6).save(tmp_path / "state.safetensors")
    run = snn.stream(6)
    run(frames[:, 0])
    run.load(tmp_path / "state.safetensors")
    torch.testing.assert_close(run(frames[:, 0]), snn.simulate(frames)[:, 0], rtol=1e-6, atol=1e-6)


def test_what_a_state_does_not_belong_to_refuses_it(tmp_path: Path) -> None:
    snn, frames = made()
    path = tmp_path / "state.safetensors"
    run = snn.stream(6)
    run(frames[:, 0])
    run.save(path)
    changed, _ = made()
    next(iter(changed.layers().values())).threshold.mul_(1.01)
    other, _ = made(neuron="signed")
    refused = {
        "weights, thresholds or biases are not those": changed.stream(6),
        "the layers are not those of this one": other.stream(6),
        "saved with batch=6, and this has batch=5": snn.stream(5),
        "saved with window=None, and this has window=2": snn.stream(6, window=2),
        "saved with forgetting=None, and this has forgetting=0.5": snn.stream(6, forgetting=0.5),
        "saved with precision='float32', and this has precision='int8'": made(precision="int8")[0].stream(6),
        "saved with schedule='synchronous', and this": made(schedule="pipelined")[0].stream(6),
    }
    for message, stream in refused.items():
        with pytest.raises(FormatError, match=f"cannot load the state in .*{message}"):
            stream.load(path)
    torch.testing.assert_close(run(frames[:, 1]), snn.simulate(frames)[:, 1], rtol=1e-6, atol=1e-6)


def test_broken_files_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    """Bytes that are cut off or changed, tensors of other shapes: an error, never a crash, and the stream goes on."""
    snn, frames = made()
    path, broken = tmp_path / "state.safetensors", tmp_path / "broken.safetensors"
    run, wanted = snn.stream(6), snn.simulate(frames)
    run(frames[:, 0])
    run.save(path)
    whole, draw = path.read_bytes(), random.Random(0)
    for size in [0, 1, 8, 9, 100, len(whole) - 1]:
        broken.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            run.load(broken)
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(60):
        place = draw.randrange(header)
        broken.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        try:
            run.load(broken)
        except FormatError:
            continue
        run.load(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    name = max(tensors, key=lambda key: tensors[key].numel())
    wrong: list[dict[str, Tensor]] = [
        {**tensors, name: tensors[name][:1]},
        {**tensors, name: tensors[name].double()},
        {**tensors, "begun": tensors["begun"] + 5},
        {**tensors, "passed": tensors["passed"] - 9},
        {key: value for key, value in tensors.items() if key != name},
        {**tensors, "more": torch.zeros(1)},
    ]
    for held in wrong:
        save_file({key: value.contiguous() for key, value in held.items()}, broken, metadata)
        with pytest.raises(FormatError, match="damaged"):
            run.load(broken)
    for about in ("[]", "{}", "x", json.dumps({**json.loads(metadata["about"]), "more": 1})):
        save_file(tensors, broken, {**metadata, "about": about})
        with pytest.raises(FormatError):
            run.load(broken)
    save_file(tensors, broken, {"format": "respike state 999"})
    with pytest.raises(FormatError, match="it is not a file of the format 'respike state 2'"):
        run.load(broken)
    with pytest.raises(FormatError, match="there is no such file"):
        run.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        run.save(tmp_path / "nowhere" / "state.safetensors")
    torch.testing.assert_close(run(frames[:, 1]), wanted[:, 1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_recording_that_was_saved_after_its_last_frame_can_be_finished(tmp_path: Path, schedule: Any) -> None:
    snn, frames = made(schedule=schedule)
    run, later = snn.stream(6), snn.stream(6)
    for frame in frames.unbind(1):
        run(frame)
    run.save(tmp_path / "state.safetensors")
    later.load(tmp_path / "state.safetensors")
    assert torch.equal(later.finish(), run.finish())
    with snn.stream(6) as closed:
        pass
    with pytest.raises(ValueError, match="the stream is closed"):
        closed.load(tmp_path / "state.safetensors")


def test_no_bit_of_a_state_can_change(tmp_path: Path) -> None:
    """The numbers are held against a digest, and what a file says of its clock against what can be."""
    snn, frames = made()
    run, path = snn.stream(6), tmp_path / "state.safetensors"
    run(frames[:, 0])
    run.save(path)
    written, draw = bytearray(path.read_bytes()), random.Random(0)
    for _ in range(150):
        bit = draw.randrange(8 * len(written))
        changed = written.copy()
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(FormatError):
            snn.stream(6).load(path)


@pytest.mark.parametrize("passed", [-1, 2**62, 2**63 - 1])
def test_a_clock_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: int) -> None:
    snn, frames = made()
    run = snn.stream(6)
    run(frames[:, 0])
    monkeypatch.setattr(type(run), "_passed", property(lambda self: passed))
    run.save(tmp_path / "state.safetensors")
    monkeypatch.undo()
    with pytest.raises(FormatError, match="clock is wrong"):
        snn.stream(6).load(tmp_path / "state.safetensors")

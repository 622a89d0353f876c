"""Streams of networks with an encoder in front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from frame_networks import cnn

import respike
from respike.convert import ConversionError


@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
@pytest.mark.parametrize("encoder", ["rate", "poisson", "error_diffusion", "delta"])
def test_samples_of_a_stream_begin_anew_with_their_encoder(encoder: Any, schedule: Any, tmp_path: Path) -> None:
    """Its random numbers, what it carries on and what it saw last are those of a stream that begins."""
    frames = torch.rand(64, 12, 2, 10, 10)
    snn = respike.from_torch(cnn(), respike.Encoded(respike.Frames(frames), encoder), 12, schedule=schedule)
    first, other = frames[:3], frames[3:6]
    run, anew = snn.stream(3), snn.stream(3)
    for t in range(5):
        run(first[:, t])
    run.reset([1])
    for t in range(7):
        given = torch.stack([first[0, 5 + t], other[1, t], first[2, 5 + t]])
        y, wanted = run(given), anew(other[:, t])
        assert torch.equal(y[1], wanted[1])
        if t == 3:
            run.save(tmp_path / "state.safetensors")
            run = snn.stream(3)
            run.load(tmp_path / "state.safetensors")
    whole = snn.stream(3)
    assert torch.equal(y[[0, 2]], [whole(frame) for frame in first.unbind(1)][-1][[0, 2]])
    with pytest.raises(ConversionError, match="another network"):
        snn.encoded(replace(snn.graph.encodings["input"], seed=1)).stream(3).load(tmp_path / "state.safetensors")

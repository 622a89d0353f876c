"""Networks to write as ONNX files, and what onnxruntime and the engine make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from exported import CODES as CODES
from exported import converted as converted
from torch import Tensor, nn

from respike.convert import SpikingNetwork


def small(**options: Any) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )
    x = torch.rand(16, 1, 10, 10)
    return converted(model.eval(), x, **options), x


def opened(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path))


def fed(session: Any, snn: SpikingNetwork, x: tuple[Any, ...]) -> dict[str, Any]:
    """The network's inputs, but for those that no output needs."""
    named = dict(zip(snn.graph.inputs, snn.graph.flatten(x), strict=True))
    return {value.name: named[value.name].numpy() for value in session.get_inputs() if value.name in named}


def looped(snn: SpikingNetwork, path: Path, x: tuple[Any, ...], steps: list[int]) -> list[list[Any]]:
    """The outputs after each of these numbers of steps."""
    snn.to_onnx(path, "loop")
    session = opened(path)
    feed = fed(session, snn, x)
    return [session.run(None, {**feed, "timesteps": np.array(t)}) for t in steps]


def zeros(session: Any, batch: int) -> dict[str, Any]:
    """The states before the first step."""
    return {
        value.name: np.zeros(
            [n if isinstance(n, int) else batch if n == "batch" else 1 for n in value.shape], "float32"
        )
        for value in session.get_inputs()
        if value.name.startswith("state.")
    }


def stepped(snn: SpikingNetwork, path: Path, x: tuple[Any, ...], steps: int) -> list[list[Any]]:
    """The outputs after each of so many steps, as a user of the file takes them."""
    snn.to_onnx(path, "step")
    session = opened(path)
    feed = fed(session, snn, x)
    batch = len(x[0])
    states = {
        value.name: np.zeros(
            [n if isinstance(n, int) else batch if n == "batch" else 1 for n in value.shape], "float32"
        )
        for value in session.get_inputs()
        if value.name.startswith("state.")
    }
    names = [value.name for value in session.get_outputs()]
    found = []
    for _ in range(steps):
        given = dict(zip(names, session.run(None, {**feed, **states}), strict=True))
        states = {name: given[f"next_{name}"] for name in states}
        found.append([given[name] for name in names if not name.startswith("next_state.")])
    return found


def wanted(snn: SpikingNetwork, x: tuple[Any, ...], steps: int) -> list[list[Any]]:
    """The engine's outputs after each step."""
    blocks = list(snn.blocks(snn.graph.flatten(x), timesteps=steps, length=1))
    return [[value[0].numpy() for value in block if isinstance(value, Tensor)] for block in blocks]


def compare(found: list[list[Any]], engine: list[list[Any]], tolerance: float = 0) -> None:
    for ours, theirs in zip(found, engine, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            if tolerance:
                np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))
            else:
                np.testing.assert_array_equal(a, b)

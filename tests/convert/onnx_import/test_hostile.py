"""No file may do more than be refused: no other exception, no crash, no hang, no memory, no code of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hostile import HOSTILE, NAMES, expected
from hostile_build import mlp, write
from hostile_sandbox import Sandbox
from samples import one_in, slow

import respike

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

# A message is for the user: no Python of ours, no addresses, no memory that a smaller limit would have saved.
NOISE = (
    r'Traceback|File "|\.py\b|line \d+, in|0x[0-9a-f]{6,}|<class |object at |google\.|numpy\.'
    r"|MemoryError|([Uu]nable|not enough memory|can't|cannot) (to )?allocate|DefaultCPUAllocator"
)


QUICK = [name for name, file in HOSTILE.items() if not file.slow]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield made
    made.close()


def one(sandbox: Sandbox, path: Path, then: str = "load") -> dict[str, Any]:
    (found,) = sandbox([path], then)
    assert not list(sandbox.folder.iterdir())
    return found


@pytest.mark.parametrize("name", [*one_in(5, QUICK), *(slow(name) for name in HOSTILE if name not in QUICK)])
def test_what_cannot_be_is_refused_with_the_reason(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    file = HOSTILE[name]
    found = one(sandbox, file.write(tmp_path), "run")
    if file.may_load and found["outcome"] == "loaded":
        return
    assert found["outcome"] == "refused" and (file.may_load or found["stage"] == "load"), found
    message = found["message"].replace(str(tmp_path), "")
    for wanted in file.says:
        assert re.search(wanted, message, re.IGNORECASE), f"no {wanted!r} in {message!r}"
    assert not re.search(NOISE, message), message
    assert len(message) < 2000, f"a message of {len(message)} characters"
    assert message.replace("\n", " ").isprintable(), f"a terminal would obey {message!r}"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_but_a_name(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    found = one(sandbox, write(NAMES[name], tmp_path), "convert")
    assert found["outcome"] == "loaded", found
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(found["y"], expected(x), rtol=1e-5)


def test_the_limits_are_real(sandbox: Sandbox, tmp_path: Path) -> None:
    """A valid file is far from all limits: what is refused above is refused for its own sake."""
    found = one(sandbox, write(mlp(), tmp_path), "convert")
    assert found["outcome"] == "loaded" and found["seconds"] < 2.5 and found["mib"] < 256, found


@pytest.mark.parametrize("outputs", [["nowhere"], [], ["x", "nowhere"], [""]])
def test_outputs_that_are_none_are_refused(outputs: list[str], tmp_path: Path) -> None:
    with pytest.raises(respike.ConversionError, match="output"):
        respike.convert.load_onnx(write(mlp(), tmp_path), outputs=outputs)


@pytest.mark.slow
def test_a_huge_valid_file_is_not_a_hostile_one(sandbox: Sandbox, tmp_path: Path) -> None:
    """Limits that would refuse what people have: a hundred layers, 100 MiB of weights."""
    w = onnx.numpy_helper.from_array(np.eye(512, dtype=np.float32))
    names = [f"v{i}" for i in range(100)]
    proto = mlp()
    graph = proto.graph
    graph.ClearField("node")
    graph.ClearField("initializer")
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = 512
    for i, (a, b) in enumerate(zip(["x", *names], [*names, "y"], strict=True)):
        graph.initializer.add().CopyFrom(w)
        graph.initializer[-1].name = f"w{i}"
        graph.node.add(op_type="MatMul", input=[a, f"w{i}"], output=[f"{b}m"])
        graph.node.add(op_type="Relu", input=[f"{b}m"], output=[b])
    found = one(sandbox, write(proto, tmp_path), "run")
    assert found["outcome"] == "loaded", found

"""The kernels for CUDA where there is no CUDA device: in Triton's interpreter, and compiled but not run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kernel_cases import RULES, per_channel, random, start
from torch import Tensor

from respike.layers.kernels import Drive, Rule, Send

pytest.importorskip("triton", reason="needs the package triton")

HERE = Path(__file__).parent
COMPARISONS = ("test_compiled_scan.py", "test_pooled_increments.py")
interpreted = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.mark.slow
@pytest.mark.skipif(interpreted, reason="is in the interpreter already")
def test_every_comparison_holds_in_the_interpreter() -> None:
    """In a process of its own: Triton looks at the variable when it is imported."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-rs", "-k", "triton"]
    done = subprocess.run(
        [*command, *(str(HERE / name) for name in COMPARISONS)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" not in done.stdout, done.stdout


class Launches:
    """Stands in for a kernel and keeps what it would be launched with."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.calls: list[tuple[Any, Any]] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *args, **options: self.calls.append((args, options))


def compiled(kernel: Any, args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """The kernel's instructions, PTX, for these arguments on an A100."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as build

    names = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.int8: "*i8", int: "i32", float: "fp32"}
    given = dict(zip(kernel.arg_names, args, strict=False)) | {k: options[k] for k in options if k in kernel.arg_names}
    fixed = {p.name for p in kernel.params if p.is_constexpr}
    fixed |= {k for k, v in given.items() if v is None or (isinstance(v, int) and v == 1)}
    kinds = {k: names[v.dtype if isinstance(v, Tensor) else type(v)] for k, v in given.items() if k not in fixed}
    source = ASTSource(kernel, {k: kinds.get(k, "constexpr") for k in given}, {k: given[k] for k in fixed})
    rest = {k: v for k, v in options.items() if k not in given}
    made = build(source, target=GPUTarget("cuda", 80, 32), options=rest)
    return str(made.asm["ptx"])


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Launches]:
    """Replaces a kernel of ``gpu.py`` by its name."""
    from respike.layers.kernels import gpu

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    def replace(name: str) -> Launches:
        made = Launches(getattr(gpu, name))
        monkeypatch.setattr(gpu, name, made)
        return made

    return replace


def assert_rounds_like_torch(instructions: str) -> None:
    """No product is added without rounding between, no quotient approximated."""
    assert ".visible .entry" in instructions
    for inexact in ("fma", "mad.f32", "div.full", "div.approx", "rcp"):
        assert inexact not in instructions


@pytest.mark.skipif(interpreted, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("few", [False, True], ids=["many parts", "few parts"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_scan_compiles_and_rounds_like_torch(launches: Callable[[str], Launches], rule: Rule, few: bool) -> None:
    """``few``: one step, sample and neuron, of which Triton makes constants."""
    from respike.layers.kernels import gpu

    kernel, theta = launches("_scan"), per_channel(4)
    values = random(6, 2, 4, 4, 4, dtype=torch.int8)
    drive, send = Drive(values, 6, theta, values.bfloat16(), theta, theta), Send(theta, torch.bfloat16)
    if few:
        theta, send = theta[:1], Send()
        drive = Drive(random(1, 1, 1, 1, 1), 1)
    gpu.scan(rule, drive, theta, start(rule, theta), send)
    ((args, options),) = kernel.calls
    instructions = compiled(kernel.kernel, args, options)
    assert_rounds_like_torch(instructions)
    assert ("div.rn.f32" in instructions) == (rule.most != 1 or rule.signed)


@pytest.mark.skipif(interpreted, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("size", [(6, 2, 32, 8, 8), (1, 1, 1, 2, 2)], ids=["many", "one"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_pools_compile(launches: Callable[[str], Launches], kernel: int, size: tuple[int, ...]) -> None:
    from respike.layers.kernels import gpu

    pool, add_up = launches("_pool"), launches("_add_up")
    geometry = ((kernel, kernel), (2, 2), (kernel - 2, kernel - 2), (1, 1))
    gpu.pooled_increments(random(*size, dtype=torch.bfloat16), torch.nn.Identity(), None, geometry)
    for part in (pool, add_up):
        ((args, options),) = part.calls
        assert_rounds_like_torch(compiled(part.kernel, args, options))

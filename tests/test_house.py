"""How the house is laid out: who imports whom, what is public, what importing costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import respike

ROOT = Path(respike.__file__).parent
MAY_IMPORT = {
    "layers": set(),
    "models": set(),
    "convert": {"layers", "files", "text"},
    "evaluation": {"layers", "convert", "files", "text"},
    "report": {"layers", "convert", "evaluation", "files", "text", "about"},
    "about": {"layers"},
    "files": {"text"},
    "text": set(),
}


def imported(file: Path) -> set[str]:
    """Parts of respike that a module imports when it is imported itself."""
    depth = len(file.relative_to(ROOT).parts)
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("respike."):
            found.add(node.module.split(".")[1])
    return found


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_each_part_imports_only_what_it_may(part: str) -> None:
    files = list((ROOT / part).rglob("*.py")) or [ROOT / f"{part}.py"]
    assert files
    for file in files:
        assert imported(file) <= MAY_IMPORT[part] | {part}, file


def test_all_is_what_is_imported() -> None:
    """What type checkers see is what there is, each from where it is said to be."""
    (checked,) = (n for n in ast.parse(Path(respike.__file__).read_text()).body if isinstance(n, ast.If))
    named = {alias.asname: node.module for node in checked.body for alias in node.names}  # type: ignore[attr-defined]
    assert set(respike.__all__) == set(named) <= set(dir(respike))
    for name, module in named.items():
        place = importlib.import_module(f"respike.{module or name}")
        assert getattr(respike, name) is (getattr(place, name) if module else place)
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        respike.lode  # noqa: B018


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_needs_no_optional_library() -> None:
    """Nor does conversion: with all of them missing, a network converts and runs."""
    run(
        "import sys\n"
        "for name in ('torchvision', 'matplotlib', 'onnx', 'click', 'numba', 'triton'):\n"
        "    sys.modules[name] = None\n"
        "import torch, respike\n"
        "net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))\n"
        "x = torch.rand(9, 3)\n"
        "snn = respike.from_torch(net, x, 4)\n"
        "respike.evaluate(snn, (x, torch.zeros(9)), ann=net)\n"
        "respike.models.load('mnist_cnn')\n"
    )


def test_importing_loads_no_optional_library() -> None:
    """What makes ``import respike`` quick; how quick, is for a stopwatch and not for a test."""
    names = "{'torchvision', 'matplotlib', 'onnx', 'click', 'numba', 'triton', 'altair', 'vl_convert'}"
    assert run(f"import sys, respike; print(sorted({names} & set(sys.modules)))") == "[]"

"""How the house is laid out: who imports whom, what is public, what importing costs."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import respike

ROOT = Path(respike.__file__).parent
PROJECT = Path(__file__).parents[1]


def rooms() -> list[str]:
    """The rooms in the order of CONTRIBUTING's table: each may import those before it."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [name.replace("/", ".") for name in re.findall(r"^\| `([a-z_/]+)` \|", text, re.MULTILINE)]


def modules(root: Path) -> dict[str, Path]:
    """The modules below a folder by their names in it; the folder itself is ``""``."""
    found = {}
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def arrows(root: Path, package: str) -> dict[str, set[str]]:
    """For each module the modules that it imports, at its top, in functions, or for type checkers."""
    known = modules(root)
    return {name: _imported(name, file, known, package) - {name} for name, file in known.items()}


def _imported(name: str, file: Path, known: dict[str, Path], package: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            here = name.split(".") if name else []
            up = node.level - (1 if file.name == "__init__.py" else 0)
            base = here[: len(here) - up] if node.level else None
            path = [*(base or []), *(node.module or "").split(".")] if node.module else base or []
            if base is None:
                if path[0] != package and package:
                    continue
                path = path[1:] if package else path
            for alias in node.names:
                whole = ".".join([*path, alias.name])
                found |= {module for module in (whole, ".".join(path)) if module in known and (module or package)}
                if whole in known:
                    found.discard(".".join(path))
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {".".join(parts[1:]) for parts in names if package and parts[0] == package}
            found |= {alias.name for alias in node.names if not package and alias.name in known}
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Modules that import each other, by whatever way around."""
    order = TopologicalSorter(graph)
    try:
        order.prepare()
    except CycleError as error:
        return [set(error.args[1])]
    return []


def room_of(module: str, order: list[str]) -> str:
    fitting = [room for room in order if module == room or module.startswith(f"{room}.")]
    return max(fitting, key=len, default="")


def against_the_order(graph: dict[str, set[str]], order: list[str]) -> list[str]:
    """Imports of a room that stands below, and of ``respike`` itself."""
    found = []
    for module in graph.keys() - {""}:
        for other in graph[module]:
            here, there = (room_of(name, order) for name in (module, other))
            if not there or (here != there and order.index(there) > order.index(here)):
                found.append(f"{module} imports {other or 'respike'}")
    return found


def test_each_file_has_a_room() -> None:
    order = rooms()
    assert len(order) == len(set(order)) > 30
    assert [name for name in modules(ROOT) if name and not room_of(name, order)] == []
    assert [room for room in order if room not in modules(ROOT)] == []


def test_rooms_import_what_stands_before_them() -> None:
    graph = arrows(ROOT, "respike")
    assert sum(map(len, graph.values())) > 500
    assert against_the_order(graph, rooms()) == []


@pytest.mark.parametrize("folder", ["respike", "scripts"])
def test_no_files_import_each_other(folder: str) -> None:
    graph = arrows(PROJECT / folder, "respike" if folder == "respike" else "")
    assert circles({name: others for name, others in graph.items() if name}) == []


def test_a_circle_through_a_function_is_found(tmp_path: Path) -> None:
    """Planted in a copy, so that the tests above can fail."""
    shutil.copytree(ROOT, tmp_path / "respike", ignore=shutil.ignore_patterns("*.safetensors", "*.npz", "__pycache__"))
    place = tmp_path / "respike" / "convert" / "run" / "time_varying.py"
    place.write_text(place.read_text() + "\n\ndef late() -> None:\n    from .simulator import Simulator as S  # noqa\n")
    graph = arrows(tmp_path / "respike", "respike")
    assert "convert.run.time_varying" in circles(graph)[0]
    place = tmp_path / "respike" / "convert" / "errors.py"
    place.write_text(place.read_text() + "\nif TYPE_CHECKING:\n    from ..cli.values import Spelled\n")
    found = against_the_order(arrows(tmp_path / "respike", "respike"), rooms())
    assert found == ["convert.errors imports cli.values"]


@pytest.mark.parametrize("folder", ["respike", "scripts"])
def test_folders_can_be_looked_over(folder: str) -> None:
    """At most 20 files of its own in each."""
    places = [place for place in [PROJECT / folder, *(PROJECT / folder).rglob("*")] if place.is_dir()]
    assert [str(place) for place in places if len(list(place.glob("*.py"))) > 20] == []


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


@pytest.mark.slow
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


def test_help_does_not_wait_for_torch() -> None:
    """Nor does the parsing of a command, so that respike demo can say at once that it loads it."""
    code = """
import contextlib, io, sys
from respike.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
for name in main.commands:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([name, "--help"])
print("torch" in sys.modules)
"""
    assert run(code) == "False"

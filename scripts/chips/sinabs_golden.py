"""What Sinabs says of networks on Speck: the memory of each layer, the cores that hold it, whether there is a mapping.

    pip install sinabs && python scripts/chips/sinabs_golden.py tests/hardware/golden_speck.json
    python scripts/chips/sinabs_golden.py tests/hardware/golden_speck.json --check

In an environment of its own. Sinabs' backend for chips imports samna, the driver, which is not always to be had; its
files on layers, mapping and constraints are used without the rest of it, as they are.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
import types
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

BACKEND = "sinabs.backend.dynapcnn"
# Input (channels, height, width); then layers: output channels, kernel (None: a linear layer), stride, padding, pool.
NETWORKS: dict[str, tuple[tuple[int, int, int], list[tuple[int, int | None, int, int, int]]]] = {
    "small": (
        (1, 28, 28),
        [(8, 5, 1, 2, 2), (16, 3, 1, 0, 2), (40, 3, 2, 1, 1), (20, None, 1, 0, 1), (10, None, 1, 0, 1)],
    ),
    "too large a layer": ((2, 34, 34), [(20, 3, 1, 1, 2), (33, 3, 1, 1, 1), (300, None, 1, 0, 1)]),
    "no mapping": (
        (4, 16, 16),
        [(64, 3, 1, 1, 1), (60, 3, 1, 1, 1), (64, 3, 1, 1, 2), (50, 3, 1, 1, 2), (10, None, 1, 0, 1)],
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    args = parser.parse_args()
    found = {"sinabs": version("sinabs"), "networks": [judged(name) for name in NETWORKS]}
    if args.check:
        wanted = json.loads(args.file.read_text(encoding="utf-8"))
        if found["networks"] != wanted["networks"]:
            sys.exit(f"Sinabs {found['sinabs']} says something else than {wanted['sinabs']} did: {found}")
    else:
        args.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def judged(name: str) -> dict[str, Any]:
    """One of ``NETWORKS``, and what Sinabs says of it."""
    mapping, layer_file = backend("mapping"), backend("dynapcnn_layer")
    limits = constraints(mapping)
    layers_, shape = {}, NETWORKS[name][0]
    for index, (outputs, kernel, stride, padding, pool) in enumerate(NETWORKS[name][1]):
        made = layer_of(layer_file, shape, outputs, kernel, stride, padding, pool)
        layers_[index] = made
        channels, height, width = made.get_neuron_shape()
        shape = (channels, height // pool, width // pool)
    return {
        "name": name,
        "input": list(NETWORKS[name][0]),
        "layers": [list(layer) for layer in NETWORKS[name][1]],
        "memory": [{key: int(words) for key, words in layer.memory_summary().items()} for layer in layers_.values()],
        "cores": [mapping.find_chip_layers(layer, limits) for layer in layers_.values()],
        "fits": fits(mapping, layers_, limits),
    }


def fits(mapping: Any, layers: dict[int, Any], limits: list[Any]) -> bool:
    """Whether Sinabs finds a core for each layer."""
    try:
        mapping.get_valid_mapping(layers, limits)
    except ValueError as error:
        if "No valid mapping" not in str(error):
            raise
        return False
    return True


def layer_of(
    file: Any, shape: tuple[int, int, int], outputs: int, kernel: int | None, stride: int, padding: int, pool: int
) -> Any:
    """A layer of a chip with biases."""
    neurons = importlib.import_module("sinabs.layers").IAFSqueeze(batch_size=1)
    weights: nn.Module
    if kernel is None:
        weights = nn.Linear(shape[0] * shape[1] * shape[2], outputs)
    else:
        weights = nn.Conv2d(shape[0], outputs, kernel, stride, padding)
    return file.DynapcnnLayer(weights, neurons, shape, [(pool, pool)], discretize=False)


def backend(name: str) -> Any:
    """A file of Sinabs' backend, without what imports samna."""
    if BACKEND not in sys.modules:
        spec = find_spec("sinabs.backend")
        assert spec is not None and spec.submodule_search_locations
        package = types.ModuleType(BACKEND)
        package.__path__ = [str(Path(next(iter(spec.submodule_search_locations))) / "dynapcnn")]
        sys.modules[BACKEND] = package
    return importlib.import_module(f"{BACKEND}.{name}")


def constraints(mapping: Any) -> list[Any]:
    """What ``get_constraints`` of Sinabs gives, whose file imports samna."""
    path = (Path(sys.modules[BACKEND].__path__[0]) / "chips" / "dynapcnn").with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "get_constraints")
    found.decorator_list = []
    found.returns = None
    names: dict[str, Any] = {"LayerConstraints": mapping.LayerConstraints}
    exec(compile(ast.Module([found], []), str(path), "exec"), names)
    limits: list[Any] = names["get_constraints"](None)
    return limits


if __name__ == "__main__":
    main()

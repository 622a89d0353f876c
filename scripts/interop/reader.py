"""Runs in a reader's environment, without respike: load NIR files by a recipe and count the spikes that differ.

``python reader.py RECIPE FOLDER NAME...``: the recipe's code; a folder with NAME.nir and NAME.npz for each network, the
latter with the inputs, respike's spikes of each IF node (T, N, ...), and its decoded output. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor


@torch.no_grad()
def compared(recipe: dict[str, Any], path: Path) -> dict[str, Any]:
    """How many spikes of the network in a file are not respike's."""
    wanted = np.load(path.with_suffix(".npz"))
    inputs = torch.from_numpy(wanted["inputs"])
    net, steps = recipe["load"](str(path), len(inputs))
    names = [name for name, node in nir.read(str(path)).nodes.items() if isinstance(node, nir.IF)]
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    for name in names:

        def note(module: Any, given: Any, sent: Any, name: str = name) -> None:
            seen[name].append(sent[0] if isinstance(sent, tuple) else sent)

        net.get_submodule(name).register_forward_hook(note)
    output = recipe["outputs"](net, inputs, steps).mean(0).numpy()
    different, total = 0, 0
    for name, found in seen.items():
        spikes = wanted[f"spikes/{name}"]
        if len(found) == 1 and steps > 1:  # all steps at once, (N * T, ...)
            found = list(found[0].unflatten(0, (len(inputs), steps)).transpose(0, 1))
        different += int((torch.stack(found).numpy() != spikes).sum())
        total += spikes.size
    error = float(np.abs(output - wanted["output"]).max() / np.abs(wanted["output"]).max())
    return {"different": different, "spikes": total, "output error": error}


def main() -> None:
    code, folder, *names = sys.argv[1:]
    recipe: dict[str, Any] = {}
    exec(compile(Path(code).read_text("utf-8"), code, "exec"), recipe)
    results = {}
    for name in names:
        try:
            results[name] = compared(recipe, Path(folder) / f"{name}.nir")
        except Exception as error:  # of the reader; the others go on
            results[name] = {"failed": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()

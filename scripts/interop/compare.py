"""Compare the spikes of NIR files in Sinabs, SpikingJelly and snnTorch with respike's, as docs/interop.md loads them.

Each reader gets an environment of its own in the folder ``--envs``, with pinned versions; torch and numpy are those of
this environment. It is made once, which needs a package index.

    python scripts/interop/compare.py --envs interop-envs
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes import READERS, Reader

import respike
from respike.convert import ConversionWarning
from respike.text import table

NETWORKS = ("mnist_mlp", "fashion_resnet", "fashion_mobilenet")
CHILD = Path(__file__).with_name("reader.py")


def environment(folder: Path, name: str, reader: Reader) -> Path:
    """The Python of a reader's environment, which is made if it is not there."""
    home = folder / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = home / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *reader.packages]
        subprocess.run(install, check=True, env={**os.environ, "PYTHONPATH": ""})
        asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        own = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        # Behind its own packages, so that these come first.
        (Path(own) / "torch_of_respike.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        ready.touch()
    return python


def write(folder: Path, name: str, images: int) -> None:
    """A reference network as NAME.nir, and what it sends as NAME.npz."""
    x = (respike.models.datasets.calibration() * 256).round() / 256
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        snn = respike.from_torch(respike.models.load(name), x[-64:], 8, correction="bias").quantised(8)
    snn.to_nir(folder / f"{name}.nir")
    inputs = x[:images]
    seen: dict[str, list[torch.Tensor]] = {}
    for _ in snn.blocks([inputs], recorder=lambda node, events, sent: seen.setdefault(node.name, []).append(events)):
        pass
    import nir

    nodes = nir.read(folder / f"{name}.nir").nodes
    names = [key for key, node in nodes.items() if isinstance(node, nir.IF)]  # in the order in which they run
    arrays: dict[str, Any] = {
        f"spikes/{key}": torch.cat(sent).to(torch.uint8).numpy() for key, sent in zip(names, seen.values(), strict=True)
    }
    np.savez_compressed(folder / f"{name}.npz", inputs=inputs.numpy(), output=snn(inputs).numpy(), **arrays)


def run(python: str | Path, reader: Reader, folder: Path, names: tuple[str, ...], **env: str) -> dict[str, Any]:
    """What a reader says of each of the networks in a folder."""
    recipe = folder / f"{reader.module}.recipe"
    recipe.write_text(reader.recipe, encoding="utf-8")
    command = [str(python), "-W", "ignore", str(CHILD), str(recipe), str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)
    if done.returncode:
        raise RuntimeError(f"{reader.heading} does not run:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, required=True, help="folder of the environments; made if it is missing")
    parser.add_argument("--reader", choices=READERS, nargs="*", default=list(READERS), help="all by default")
    parser.add_argument("--images", type=int, default=16, help="MNIST images; 16 by default")
    args = parser.parse_args()
    rows, failed = [["reader", *NETWORKS]], False
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in NETWORKS:
            write(folder, name, args.images)
        for name in args.reader:
            reader = READERS[name]
            found = run(environment(args.envs, name, reader), reader, folder, NETWORKS, PYTHONPATH="")
            cells = [
                found[network].get("failed") or f"{found[network]['different']:,} of {found[network]['spikes']:,}"
                for network in NETWORKS
            ]
            failed = failed or any(found[network].get("different") != 0 for network in NETWORKS)
            rows.append([f"{reader.heading} ({', '.join(reader.packages[:3])})", *cells])
    print("spikes that differ:")
    print("\n".join(table(rows, "<>")))
    sys.exit(failed)


if __name__ == "__main__":
    main()

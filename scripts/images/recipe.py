"""The recipe for ImageNet, convert -> evaluate, on made-up photos and weights: the memory and disk that it takes.

    python scripts/images/recipe.py resnet18 resnet50 mobilenet_v2
    python scripts/images/recipe.py resnet18 --samples 512 --workers 2 --correction ridge

JPEGs of 500x375 pixels and weights are made in a temporary folder, where torchvision finds the weights, and both
commands run in processes of their own. Their results mean nothing, as the weights are random.

alone    peak of the command's own memory, in MiB, weights and libraries included
workers  the same of all processes that decode images, beside it; what processes share is divided among them
file     size of what convert wrote, in MiB; for evaluate, of the weights
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torchvision import models


def photos(folder: Path, count: int, seed: int) -> None:
    """So many JPEGs of the usual size, in ten classes."""
    chance = np.random.default_rng(seed)
    for number in range(count):
        coarse = Image.fromarray(chance.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        place = folder / f"n{number % 10:08d}"
        place.mkdir(parents=True, exist_ok=True)
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(place / f"{number:06d}.jpg", quality=90)


def weights(name: str, home: Path, images: torch.Tensor) -> Path:
    """Random weights where torchvision looks for its own, with batch norms that have seen a few images."""
    found = models.get_model_weights(name).IMAGENET1K_V1
    torch.manual_seed(0)
    model = models.get_model(name)
    with torch.no_grad():
        for _ in range(20):
            model(images)
    path = home / "hub" / "checkpoints" / str(found.url).rpartition("/")[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)
    return path


def memory(process: psutil.Process) -> float:
    """MiB of a process; what several of them share counts once where the system says so."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(found, "pss", found.rss)) / 2**20


def measured(command: list[str], home: Path) -> tuple[float, float]:
    """Peaks of a command's own memory and that of its children."""
    started = subprocess.Popen(
        [sys.executable, "-m", "respike", *command],
        cwd=home,
        env={**os.environ, "TORCH_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    process, alone, beside = psutil.Process(started.pid), 0.0, 0.0
    while started.poll() is None:
        try:
            children = process.children(recursive=True)
        except psutil.Error:
            break
        alone, beside = max(alone, memory(process)), max(beside, sum(map(memory, children)))
        time.sleep(0.2)
    if started.wait():
        raise SystemExit(f"respike {' '.join(command)} failed")
    return alone, beside


def main() -> None:
    """Measure the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["resnet18", "resnet50", "mobilenet_v2"])
    parser.add_argument("-T", "--timesteps", type=int, default=4)
    parser.add_argument("--samples", type=int, default=512, help="images that calibrate, with those that are held back")
    parser.add_argument("--images", type=int, default=64, help="images to evaluate")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--correction", default="bias")
    options = parser.parse_args()
    table = Table("network", "command", "alone", "workers", "file")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        photos(home / "train", options.samples + options.samples // 4, 0)
        photos(home / "val", options.images, 1)
        for name in options.networks:
            state = weights(name, home, torch.randn(8, 3, 224, 224))
            model, made = f"torchvision:{name}:IMAGENET1K_V1", home / f"{name}.respike"
            code = ["-T", str(options.timesteps), "--neuron", "signed", "--max-spikes", "16"]
            read = ["--workers", str(options.workers)]
            calibrate = [*code, "--samples", str(options.samples), "--correction", options.correction]
            judge = ["--ann", model, "--data", "folder:val", "--batch-size", str(options.batch_size)]
            for command, file in (
                (["convert", model, "--calibration", "folder:train", *calibrate, *read, "-o", str(made)], made),
                (["evaluate", str(made), *judge, *read], state),
            ):
                alone, beside = measured(command, home)
                size = file.stat().st_size / 2**20
                table.add_row(name, command[0], f"{alone:,.0f}", f"{beside:,.0f}", f"{size:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()

"""What whole numbers with one scale a layer, few bits of biases and a floor cost, in points of accuracy.

    python scripts/chips/loss.py mnist_cnn mnist_mlp
    python scripts/chips/loss.py fashion_resnet --data-dir data -T 8

Networks are converted with 512 unlabelled training images and binary neurons, and judged on test images. Prints the
table of docs/hardware.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import respike
from respike.models import REGISTRY, datasets

CALIBRATION = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=["mnist_cnn", "mnist_mlp"], help="reference networks")
    parser.add_argument("-T", "--timesteps", type=int, default=8)
    parser.add_argument("--samples", type=int, default=1000, help="test images used")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--data-dir", type=Path, help="directory for torchvision's data sets")
    args = parser.parse_args()
    variants = ("ANN", "float", "channel", "layer", "layer, biases", "floor", "layer, biases, floor")
    print(f"| network, T = {args.timesteps} | {' | '.join(variants)} |")
    print("|---" * (len(variants) + 1) + "|")
    for name in args.names:
        found = accuracies(name, args.timesteps, args.bits, args.samples, args.data_dir)
        print(f"| `{name}` | {' | '.join(f'{100 * value:.1f}' for value in found)} |", flush=True)


def accuracies(name: str, timesteps: int, bits: int, samples: int, data_dir: Path | None) -> list[float]:
    """That of the ANN, then of the spiking network as it is and in each variant."""
    source, model = REGISTRY[name].dataset, respike.models.load(name)
    images, labels = (
        t[:samples] for t in datasets.load(source, data_dir=None if source in datasets.SHIPPED else data_dir).tensors
    )
    snn = respike.from_torch(model, calibration(source, data_dir), timesteps)
    whole = snn.quantised(bits, scale="layer", bias_bits=bits)
    variants = (
        snn,
        snn.quantised(bits),
        snn.quantised(bits, scale="layer"),
        whole,
        snn.with_floor(-1),
        whole.with_floor(-1),
    )
    results = [respike.evaluate(variant, (images, labels), ann=model) for variant in variants]
    first = results[0].ann_accuracy
    assert first is not None
    return [first, *(float(result.accuracy[-1]) for result in results)]


def calibration(source: str, data_dir: Path | None) -> Tensor:
    """Training images; those that ship, of MNIST."""
    if source in datasets.SHIPPED:
        return datasets.calibration(source)
    images = datasets.load(source, train=True, data_dir=data_dir).tensors[0]
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:CALIBRATION]]


if __name__ == "__main__":
    main()

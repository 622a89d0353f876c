"""Train a reference network and write its weights as safetensors.

    python scripts/train.py mnist_cnn --data-dir data

MNIST is downloaded by torchvision into ``--data-dir`` unless it is there already. All 60,000
training images are used, randomly shifted, turned, scaled and sheared; the test images are looked at
once, after the last epoch, to print the accuracy.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from respike.models import REGISTRY, datasets


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random affine map per image: +-2 pixels, +-12 degrees, +-12 % scale, shear 0.15."""
    n = len(x)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * limit

    angle, scale, shear = uniform(0.21), 1 + uniform(0.12), uniform(0.15)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = [uniform(2 * 2 / 28) for _ in range(2)]
    rows = [
        torch.stack([cos, -sin + shear, shift[0]], 1),
        torch.stack([sin, cos, shift[1]], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    hits = [(model(a).argmax(1) == b).sum() for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.stack(hits).sum()) / len(x)


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, batch: int, seed: int) -> nn.Module:
    """AdamW, one-cycle learning rate, label smoothing 0.1; returns the moving average of the weights."""
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (len(x) // batch)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    average = copy.deepcopy(model)
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(x), generator=generator)
        for index in track(order.split(batch)[: len(x) // batch], f"epoch {epoch + 1}/{epochs}"):
            loss = F.cross_entropy(model(augment(x[index], generator)), y[index], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                    if a.is_floating_point():
                        a.lerp_(b, 0.005)
                    else:
                        a.copy_(b)
        print(f"epoch {epoch + 1}: last loss {float(loss.detach()):.4f}", flush=True)
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=sorted(REGISTRY), help="the network to train")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where the data set lies or goes")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="default: MODEL.safetensors in this folder")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    entry = REGISTRY[args.model]
    x, y = datasets.load(entry.dataset, train=True, data_dir=args.data_dir).tensors
    model = train(entry.build(), x, y, args.epochs, args.batch, args.seed)
    output = args.output or Path(f"{args.model}.safetensors")
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(weights, output, metadata={"model": args.model, "epochs": str(args.epochs), "seed": str(args.seed)})
    test_x, test_y = datasets.load(entry.dataset, train=False, data_dir=args.data_dir).tensors
    print(f"{output}: {100 * accuracy(model, test_x, test_y):.2f} % on {len(test_x)} test images")


if __name__ == "__main__":
    main()

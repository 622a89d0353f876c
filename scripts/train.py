"""Train a reference network and write its weights as safetensors.

    python scripts/train.py mnist_cnn --data-dir data
    python scripts/train.py fashion_resnet --data-dir data
    python scripts/train.py mnist_events --data-dir data

The data set is downloaded by torchvision into ``--data-dir`` unless it is there already. MNIST's 60,000
training images are all used, randomly shifted, turned, scaled and sheared; Fashion-MNIST's are shifted
and mirrored, but for the last 5,000, which are held out to watch the accuracy by. ``fashion_vit`` learns
from the labels and from what ``fashion_resnet`` says of the images. Weights are written after every epoch;
the test images are looked at once, after the last one, with the weights as they are written.

``mnist_events`` learns from the digits as an event camera sees them: from the events accumulated over the first 50,
100, ... or all 300 ms, so that it knows a digit before the recording ends.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from respike.files import written_whole
from respike.models import REGISTRY, datasets, load
from respike.progress import Bar, Progress


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


def until_some_moment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Events accumulated from the start of each recording to a random moment, as a mean for each 10 ms.

    Args:
        x: Events in each of so many equal parts of the 300 ms, ``(N, parts, 2, H, W)``.
        generator: What draws.
    """
    n, parts = x.shape[:2]
    until = torch.randint(1, parts + 1, (n,), generator=generator)
    chosen = torch.arange(parts) < until[:, None]
    events = (x * chosen[:, :, None, None, None]).sum(1, dtype=torch.float32)
    return events * (parts / 30 / until)[:, None, None, None]


def shift_and_mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random crop of the image with a black border of 2 pixels, and every second image mirrored."""
    n, _, height, width = x.shape
    top, left = (torch.randint(5, (n, 1), generator=generator) for _ in range(2))
    rows, columns = top + torch.arange(height), left + torch.arange(width)
    columns = torch.where(torch.rand(n, 1, generator=generator) < 0.5, columns, columns.flip(1))
    padded, image = F.pad(x, (2, 2, 2, 2)), torch.arange(n)
    return padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


@torch.no_grad()
def taught(x: Tensor, y: Tensor, teacher: nn.Module) -> Tensor:
    """For each image the mean of its label and of a teacher's probabilities, ``(N, classes)``.

    Distillation: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015. With a convolutional teacher a
    transformer learns in fewer epochs: Touvron et al., "Training Data-Efficient Image Transformers", ICML 2021.
    """
    found = torch.cat([teacher(part).softmax(1) for part in x.split(500)])
    return (found + F.one_hot(y, found.shape[1])) / 2


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, and in which precision."""

    augment: Callable[[Tensor, torch.Generator], Tensor] = augment
    epochs: int = 25
    batch: int = 250
    rate: float = 4e-3
    warm_up: float = 0.3  # share of the steps
    decay: float = 0.02
    smoothing: float = 0.1  # of labels
    held_out: int = 0
    bfloat16: bool = False  # autocast: where a processor has it, twice as quick; strided depthwise is slower
    teacher: str | None = None  # a reference network, see ``taught``
    half: bool = False  # ship weights rounded to float16; what belongs to a channel stays float32


FASHION = Recipe(
    shift_and_mirror, batch=125, rate=3e-3, decay=0.05, smoothing=0.0, held_out=5000, bfloat16=True, half=True
)
RECIPES = {
    "fashion_resnet": replace(FASHION, epochs=14),
    "fashion_vgg": replace(FASHION, epochs=8, rate=1e-3, smoothing=0.1),  # half a point worse without
    "fashion_mobilenet": replace(FASHION, epochs=8, bfloat16=False),
    "fashion_mobilenet_v3": replace(FASHION, epochs=10, bfloat16=False),
    "fashion_vit": replace(FASHION, epochs=14, batch=100, warm_up=0.15, bfloat16=False, teacher="fashion_resnet"),
    "mnist_events": Recipe(until_some_moment, epochs=14, rate=6e-3, half=True),
}
PARTS = 6
"""In which recordings are learned from."""


def training_data(dataset: str, data_dir: Path) -> tuple[Tensor, Tensor]:
    """Inputs and labels to learn from; of recordings the events of each part, as bytes."""
    if dataset != "mnist_events":
        x, y = datasets.load(dataset, train=True, data_dir=data_dir).tensors
        return x, y
    recordings = datasets.load(dataset, train=True, data_dir=data_dir, timesteps=PARTS)
    filmed = [recordings[start : start + 500] for start in range(0, len(recordings), 500)]
    return torch.cat([x.byte() for x, _ in filmed]), torch.cat([y for _, y in filmed])


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    hits = [(model(a).argmax(1) == b).sum() for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.stack(hits).sum()) / len(x)


def train(model: nn.Module, x: Tensor, y: Tensor, recipe: Recipe, seed: int, progress: Progress) -> Iterator[nn.Module]:
    """AdamW and a one-cycle learning rate; yields the moving average of the weights after each epoch."""
    generator = torch.Generator().manual_seed(seed)
    epochs, batch = recipe.epochs, recipe.batch
    (x, held_x), (y, held_y) = (t.tensor_split([len(t) - recipe.held_out]) for t in (x, y))
    if recipe.teacher:
        y = taught(x, y, load(recipe.teacher))
    steps = epochs * (len(x) // batch)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.rate, total_steps=steps, pct_start=recipe.warm_up
    )
    average = copy.deepcopy(model)
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(x), generator=generator)
        batches = order.split(batch)[: len(x) // batch]
        for number, index in enumerate(batches):
            progress.report(f"epoch {epoch + 1} of {epochs}", number, len(batches))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
                logits = model(recipe.augment(x[index], generator))
            loss = F.cross_entropy(logits.float(), y[index], label_smoothing=recipe.smoothing)
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
        held_out = f", {100 * accuracy(average, held_x, held_y):.2f} % of those held out" if len(held_x) else ""
        print(f"epoch {epoch + 1}: last loss {float(loss.detach()):.4f}{held_out}", flush=True)
        yield average


def written(model: nn.Module, output: Path, metadata: dict[str, str], half: bool) -> nn.Module:
    """Writes the weights; returns the network as it will be read, rounded where the file is."""
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    if half:
        weights = {k: v.half() if v.dim() > 1 else v for k, v in weights.items()}
    with written_whole(output) as temporary:
        temporary.write_bytes(save(weights, metadata))
    as_read = copy.deepcopy(model)
    as_read.load_state_dict(weights)
    return as_read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=sorted(REGISTRY), help="the network to train")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where the data set lies or goes")
    parser.add_argument("--epochs", type=int, help="default: what the shipped weights were trained for")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="default: MODEL.safetensors in this folder")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    entry = REGISTRY[args.model]
    recipe = RECIPES.get(args.model, Recipe())
    recipe = replace(recipe, epochs=args.epochs or recipe.epochs, batch=args.batch or recipe.batch)
    x, y = training_data(entry.dataset, args.data_dir)
    network = entry.build().to(memory_format=torch.channels_last)
    output = args.output or Path(f"{args.model}.safetensors")
    metadata = {"model": args.model, "epochs": str(recipe.epochs), "seed": str(args.seed)}
    with Bar() as bar:
        for average in train(network, x, y, recipe, args.seed, bar):
            model = written(average, output, metadata, recipe.half)
    test_x, test_y = datasets.load(entry.dataset, train=False, data_dir=args.data_dir).tensors
    print(f"{output}: {100 * accuracy(model, test_x, test_y):.2f} % on {len(test_x)} test images")


if __name__ == "__main__":
    main()

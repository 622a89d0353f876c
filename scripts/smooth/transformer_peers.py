"""SpikingJelly's recipes for transformers on the reference ViT, to stand beside respike in ``benchmark.py smooth``.

Both leave softmax, norms, GELU and the products inside of attention as functions of real numbers, by the differences
of f(sum) that ``docs/conversion.md`` describes:

- ``TransformerTDEquivalentRecipe`` ("TD") and ``STATransformerRecipe(mode="equivalent")`` have no spikes at all, and
  give the ANN's output after any number of steps.
- ``STATransformerRecipe(mode="spiking_encoder")`` ("STA") has neurons behind each layer norm, GELU and attention. The
  image comes in the first step and nothing after it; a neuron sends as many spikes a step as it holds thresholds, which
  are the T-th part of a range. So the answer is there after one step, and T is the number of values that a neuron has.
- ``STATransformerRecipe(mode="spiking_affine")`` is refused by SpikingJelly itself.

The recipes convert ``nn.MultiheadAttention``, and no batch norm, so the ViT's weights are put into one, and its batch
norms into the convolutions before them; what comes out is checked to compute the same. SpikingJelly is needed for this
alone: ``pip install -e '.[peers]'``.
"""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from peers import Converted, Peer, RefusedError, refusing
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BATCH = 64
"""Calibration images at a time, as in SpikingJelly's example; its thresholds are moving averages over batches."""


class Block(nn.Module):
    """A block of the ViT, with attention as an ``nn.MultiheadAttention``.

    Shape:
        Input and output ``(N, tokens, width)``.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm, own = block.attention
        self.attention = nn.MultiheadAttention(own.query.in_features, own.heads, batch_first=True)
        self.mlp = block.mlp
        parts = own.query, own.key, own.value
        with torch.no_grad():
            self.attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            self.attention.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            self.attention.out_proj.load_state_dict(own.out.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        mixed, _ = self.attention(y, y, y, need_weights=False)
        x = x + mixed
        out: Tensor = x + self.mlp(x)
        return out


class PackedViT(nn.Module):
    """The reference ViT with packed attention.

    Shape:
        As ``FashionViT``.
    """

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.patches, self.norm, self.head = _without_batch_norm(vit.patches), vit.norm, vit.head
        self.positions = nn.Parameter(vit.positions[None])  # as torchvision's ViT has them: time comes in front
        self.blocks = nn.Sequential(*(Block(block) for block in vit.blocks))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


def _without_batch_norm(layers: nn.Sequential) -> nn.Sequential:
    found: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and isinstance(found[-1], nn.Conv2d):
            found[-1] = fuse_conv_bn_eval(found[-1], layer)
        else:
            found.append(layer)
    return nn.Sequential(*found)


@torch.no_grad()
def packed(ann: nn.Module, images: Tensor) -> PackedViT:
    """The ViT as the recipes want it.

    Raises:
        RefusedError: it is another network, or does not compute the same.
    """
    try:
        made = PackedViT(ann).eval()
    except AttributeError as error:
        raise RefusedError("not the reference ViT") from error
    if not torch.allclose(made(images), ann(images), atol=1e-4):
        raise RefusedError("with nn.MultiheadAttention it computes something else")
    return made


def recipe(name: str, calibrated: bool = False, spread: bool = False, **options: Any) -> Peer:
    """A peer from SpikingJelly's recipes for transformers.

    Args:
        name: Class of the recipe.
        calibrated: Whether it takes calibration images.
        spread: Whether positions have to be divided by T, as the recipe adds them in every step.
        options: Further arguments.
    """

    def convert(ann: nn.Module, calibration: Tensor, timesteps: int) -> Converted:
        source = copy.deepcopy(packed(ann, calibration[:BATCH]))
        if spread:
            source.positions.data /= timesteps
        given = {"dataloader": list(calibration.split(BATCH))} if calibrated else {}
        with refusing():
            ann2snn = importlib.import_module("spikingjelly.activation_based.ann2snn")
            functional = importlib.import_module("spikingjelly.activation_based.functional")
            made = getattr(ann2snn, name)(time_steps=timesteps, **given, **options)
            snn: nn.Module = ann2snn.Converter(recipe=made).convert(source).eval()
            functional.set_step_mode(snn, "m")

        def outputs(images: Tensor) -> Tensor:
            functional.reset_net(snn)
            frames = images.new_zeros(timesteps, *images.shape)
            frames[0] = images
            with refusing():
                found: Tensor = snn(frames)
            return found * timesteps  # the answer is their sum, and what reads it takes the mean

        return Converted(snn, outputs)

    return convert


STA = "STATransformerRecipe"
TRANSFORMER_PEERS: dict[str, Peer] = {
    "SpikingJelly TD": recipe("TransformerTDEquivalentRecipe", spread=True),
    "SpikingJelly STA": recipe(STA, calibrated=True, mode="spiking_encoder"),
    "SpikingJelly STA, θ/2": recipe(STA, calibrated=True, mode="spiking_encoder", threshold_scale=0.5),
    "SpikingJelly STA, affine": recipe(STA, calibrated=True, mode="spiking_affine"),
}
"""By their name in the table: no spikes; neurons with the recipe's thresholds; with half of them, as in its example."""

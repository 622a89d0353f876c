"""How far the rates of hidden layers are from the ANN's activations, as a number with gradients.

The outputs alone tell a layer at the front little of what it should send: their gradient reaches it through the
surrogates of all layers behind, each of which is only roughly right. What the ANN has in its place says it directly
(Romero et al., "FitNets: hints for thin deep nets", ICLR 2015; for spiking networks Xu et al., "Constructing deep
spiking neural networks from artificial neural networks with knowledge distillation", CVPR 2023).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..convert.export.module import ORIGIN
from ..convert.output_judging import CONSTANT


class HiddenLayers:
    """Listens to the neurons of a module while it runs.

    Args:
        module: From ``to_module``.
    """

    def __init__(self, module: nn.Module) -> None:
        self.means: dict[str, Tensor] = {}
        self.seen: dict[str, tuple[Tensor, int]] = {}
        for name, path in module.meta[ORIGIN]["neurons"].items():  # type: ignore[index, union-attr]
            module.get_submodule(path).register_forward_hook(self._listener(name))

    def _listener(self, name: str) -> Any:
        def heard(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            self.means[name] = output.mean(1)

        return heard

    def measure(self, wanted: dict[str, Tensor]) -> None:
        """Add to what is known of how much each layer of the ANN varies, in the units of which errors are told."""
        for name, values in wanted.items():
            about = (values - values.mean()).square().sum(dtype=torch.float64)
            here = torch.stack([about, values.square().sum(dtype=torch.float64)]).cpu()
            total, count = self.seen.get(name, (torch.zeros(2, dtype=torch.float64), 0))
            self.seen[name] = total + here, count + values.numel()

    def variance(self, name: str) -> float:
        """Of the activations of a layer; 0 if they are all the same."""
        (about, size), count = self.seen[name]
        return float(about) / count if about > CONSTANT * size else 0.0

    def __call__(self, wanted: dict[str, Tensor]) -> Tensor:
        """Squared error of the rates in the last run against the ANN's activations, in units of how much those vary.

        A mean over layers, a scalar; layers whose activations are all the same are left out.
        """
        apart = [
            (self.means[name] - values).square().mean() / variance
            for name, values in wanted.items()
            if name in self.means and (variance := self.variance(name))
        ]
        return torch.stack(apart).mean() if apart else torch.zeros(())

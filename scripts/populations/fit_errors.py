"""The error of smooth activations as sums of k ReLUs, in percent of the activation's own root mean square.

    python scripts/populations/fit_errors.py -k 1,2,4,8,16,32

The inputs have the standard normal distribution, as behind batch norm; in a network the calibration samples say what
they are, and ``snn.summary()`` has the errors there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from respike.convert.populations import fitted

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "GELU": F.gelu,
    "SiLU": F.silu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ELU": F.elu,
    "SELU": F.selu,
    "Softplus": F.softplus,
    "Mish": F.mish,
    "square": torch.square,
}


def errors(counts: list[int]) -> dict[str, list[float]]:
    """By the function's name, the relative error for each k, in percent."""
    x = np.linspace(-5, 5, 1001)
    weight = np.exp(-(x**2) / 2)
    values = {name: function(torch.from_numpy(x)).numpy() for name, function in FUNCTIONS.items()}
    return {name: [100 * fitted(x, y, weight, k).error for k in counts] for name, y in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", default="1,2,4,8,16,32", help="numbers of ReLUs, with commas between them")
    counts = [int(k) for k in parser.parse_args().k.split(",")]
    print(f"| function | {' | '.join(f'k = {k}' for k in counts)} |")
    print(f"|---|{'---|' * len(counts)}")
    for name, found in errors(counts).items():
        print(f"| {name} | {' | '.join('0' if error < 1e-6 else f'{error:.2g}' for error in found)} |")


if __name__ == "__main__":
    main()

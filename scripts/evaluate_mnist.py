"""Accuracy of the MNIST networks on all 10,000 test images, one conversion for each T, with the gap to the ANN.

    python scripts/evaluate_mnist.py
    python scripts/evaluate_mnist.py mnist_mlp -T 1,2,4,8,16,32 --threshold percentile

Thresholds come from 512 unlabelled training images; everything needed ships in the package.
"""

from __future__ import annotations

import argparse

import respike
from respike.evaluation import comparison
from respike.models import REGISTRY, datasets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = sorted(name for name, reference in REGISTRY.items() if reference.dataset == "mnist")
    parser.add_argument("model", nargs="?", default="mnist_cnn", choices=names)
    parser.add_argument("-T", "--timesteps", default="4,8,16", help="comma-separated")
    parser.add_argument("--threshold", choices=["mse", "max", "percentile"], default="mse")
    parser.add_argument("--correction", choices=["none", "bias", "ridge"], default="ridge")
    parser.add_argument("--schedule", choices=["synchronous", "layerwise", "pipelined"], default="synchronous")
    parser.add_argument("--delay", type=int, default=1, help="for --schedule pipelined")
    args = parser.parse_args()

    ann, test = respike.models.load(args.model), datasets.load("mnist")
    results = []
    for t in map(int, args.timesteps.split(",")):
        snn = respike.from_torch(
            ann,
            datasets.calibration(),
            t,
            threshold=args.threshold,
            correction=args.correction,
            schedule=respike.Pipelined(args.delay) if args.schedule == "pipelined" else args.schedule,
        )
        results.append(respike.evaluate(snn, test, ann=ann))
    print(comparison(results))
    for result in results:
        assert result.ann_accuracy is not None
        print(f"T = {result.timesteps}: {100 * (result.ann_accuracy - result.accuracy[-1]):+.2f} points below the ANN")


if __name__ == "__main__":
    main()

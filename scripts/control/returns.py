"""Spiking policies on Gymnasium's classic control tasks: mean returns with carried potentials, with resets, of the ANN.

    python scripts/control/returns.py
    python scripts/control/returns.py Pendulum-v1 -T 2 4

Each T is a conversion of its own, calibrated on observations of the ANN's own episodes. How much is carried is chosen
by the mean return at T = 4 on episodes of other seeds. Then 20 environments, one for each seed, play 10 episodes each:
no network and no setting has seen them. Needs `pip install 'respike[control]'`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import respike
from respike.models import policies
from respike.text import table

JUDGED_FROM = 1_000_000
"""The first seed of the environments that judge; those that train, calibrate or choose have lower ones."""
SEEDS = range(JUDGED_FROM, JUDGED_FROM + 20)
CALIBRATE = range(500_000, 500_010)
CHOOSE = range(600_000, 600_020)
SHARES = (0.25, 0.5, 0.75, 1.0)

Decide = Callable[[Tensor], Tensor]


class Played(NamedTuple):
    """Episodes that were played.

    Attributes:
        returns: Mean return of each environment's episodes, ``(seeds,)``.
        seen: All observations, ``(M, ...)``.
    """

    returns: np.ndarray
    seen: Tensor

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    def __str__(self) -> str:
        """The mean and its standard error, from the spread over the seeds."""
        return f"{self.mean:.1f} ± {self.returns.std(ddof=1) / len(self.returns) ** 0.5:.1f}"


def actions_of(task: str, outputs: Tensor) -> list[Any]:
    """Each environment's action, of drawn actions or of what a policy gives."""
    scale = policies.POLICIES[task].scale
    if scale is None:
        return [int(a) for a in (outputs if outputs.dim() == 1 else outputs.argmax(1))]
    return list((outputs * scale).clamp(-scale, scale).numpy())


@torch.no_grad()
def episodes(
    task: str, decide: Decide, seeds: Sequence[int], each: int = 1, reset: Callable[[Tensor], None] | None = None
) -> Played:
    """Play ``each`` episodes in one environment for each seed, all of them as one batch.

    Args:
        task: The environment's name.
        decide: From observations ``(N, ...)`` to the policy's outputs ``(N, K)``.
        seeds: Of the environments.
        each: Episodes in each of them.
        reset: Is told with a mask ``(N,)`` which environments begin an episode anew.
    """
    import gymnasium

    worlds = [gymnasium.make(task) for _ in seeds]
    states = np.stack([world.reset(seed=seed)[0] for world, seed in zip(worlds, seeds, strict=True)])
    left, sums = np.full(len(worlds), each), np.zeros(len(worlds))
    seen = []
    while left.any():
        outputs = decide(torch.from_numpy(states.copy()))
        seen.append(torch.from_numpy(states[left > 0].copy()))
        ends = torch.zeros(len(worlds), dtype=torch.bool)
        for i, action in enumerate(actions_of(task, outputs)):
            if not left[i]:
                continue
            states[i], reward, done, cut, _ = worlds[i].step(action)
            sums[i] += float(reward)
            if done or cut:
                left[i], ends[i] = left[i] - 1, True
                states[i] = worlds[i].reset()[0]
        if reset is not None and bool(ends.any()):
            reset(ends)
    return Played(sums / each, torch.cat(seen))


def spiking(task: str, snn: respike.SpikingNetwork, carry: float, seeds: Sequence[int], each: int) -> Played:
    """Episodes of a spiking policy; what is carried is forgotten where one ends."""
    controller = respike.Controller(snn, carry)
    return episodes(task, controller, seeds, each, controller.reset)


def judged(task: str, steps: Sequence[int], each: int) -> list[list[str]]:
    """A row for each T: mean returns carried, reset and of the ANN, and how far the first is from the last."""
    policy: nn.Module = policies.load(task)
    data = episodes(task, policy, CALIBRATE).seen
    at = {t: respike.from_torch(policy, data, timesteps=t) for t in dict.fromkeys((4, *steps))}
    tried = {share: spiking(task, at[4], share, CHOOSE, each).mean for share in SHARES}
    carry = max(SHARES, key=lambda share: (tried[share], share == 0.5))
    ann, rows = episodes(task, policy, SEEDS, each), []
    for t in steps:
        carried, reset = (spiking(task, at[t], share, SEEDS, each) for share in (carry, 0.0))
        gap = 100 * (carried.mean - ann.mean) / abs(ann.mean)
        rows.append([task, str(t), f"{carry:g}", str(carried), str(reset), str(ann), f"{gap:+.1f} %"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=sorted(policies.POLICIES), help="all by default")
    parser.add_argument("-T", "--timesteps", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--episodes", type=int, default=10, help="of each of the 20 seeds")
    args = parser.parse_args()
    head = ["task", "T", "β", "carried", "reset", "ANN", "carried against the ANN"]
    rows = [row for task in args.tasks for row in judged(task, args.timesteps, args.episodes)]
    print("\n".join(table([head, *rows], "<>")))


if __name__ == "__main__":
    main()

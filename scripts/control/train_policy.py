"""Train a ReLU policy for one of Gymnasium's classic control tasks and write its weights as safetensors.

    python scripts/control/train_policy.py CartPole-v1
    python scripts/control/train_policy.py Pendulum-v1 -o respike/models/policies/Pendulum-v1.safetensors

Proximal policy optimisation (Schulman et al., arXiv:1707.06347, 2017) in 16 environments at once, a few minutes on one
core. The policy that is kept is the one with the highest mean return in 20 episodes of its own, of environments that
are neither those that train nor those that judge (`returns.py`). Needs `pip install 'respike[control]'`.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from returns import JUDGED_FROM, actions_of, episodes
from safetensors.torch import save
from torch import Tensor, nn

from respike.files import written_whole
from respike.models.policies import POLICIES, Policy
from respike.progress import Bar

ENVIRONMENTS = 16


@dataclass(frozen=True)
class Recipe:
    """How long, and with what discount: the rest is the same for all tasks."""

    updates: int
    steps: int = 128
    gamma: float = 0.99
    rate: float = 1e-3
    epochs: int = 10
    entropy: float = 0.0
    scale: float = 1.0  # of rewards


RECIPES = {
    "Acrobot-v1": Recipe(100, entropy=0.01, scale=0.1),
    "CartPole-v1": Recipe(100, scale=0.1),
    "Pendulum-v1": Recipe(300, steps=200, gamma=0.97, rate=3e-4, scale=0.1),
}


class Actor(nn.Module):
    """The policy with what training needs besides: a value of each state, and a spread of continuous actions."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.about, self.policy = policy, policy.build()
        self.value = Policy(policy.observations, 1).build()
        self.log_spread = nn.Parameter(torch.zeros(policy.outputs) - 0.5)
        last = self.policy[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, 0.01)
        nn.init.zeros_(last.bias)

    def chosen(self, x: Tensor) -> Any:
        """The distribution that actions are drawn from."""
        out = self.policy(x)
        if self.about.scale is None:
            return torch.distributions.Categorical(logits=out)
        return torch.distributions.Independent(torch.distributions.Normal(out, self.log_spread.exp()), 1)


class Collector:
    """Environments that go on from one update to the next.

    Attributes:
        states: What each of them is in.
    """

    def __init__(self, task: str, seed: int) -> None:
        import gymnasium

        self.task = task
        self.all = [gymnasium.make(task) for _ in range(ENVIRONMENTS)]
        self.states = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(self.all)])

    def step(self, actions: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rewards, whether each ended by itself, whether it was cut off, and the states that it came to."""
        rewards, ended, cut = (np.zeros(len(self.all), np.float32) for _ in range(3))
        came = np.empty_like(self.states)
        for i, (env, action) in enumerate(zip(self.all, actions_of(self.task, actions), strict=True)):
            came[i], reward, done, truncated, _ = env.step(action)
            rewards[i], ended[i], cut[i] = float(reward), done, truncated
            self.states[i] = env.reset()[0] if done or truncated else came[i]
        return rewards, ended, cut, came


@torch.no_grad()
def collect(actor: Actor, world: Collector, recipe: Recipe) -> tuple[Tensor, ...]:
    """States, actions, their log probabilities, advantages and values to learn, of so many steps."""
    found: list[list[Tensor]] = [[] for _ in range(7)]
    for _ in range(recipe.steps):
        x = torch.from_numpy(world.states.copy())
        chosen = actor.chosen(x)
        action = chosen.sample()
        rewards, ended, cut, came = map(torch.from_numpy, world.step(action))
        last = actor.value(came).squeeze(1) * (1 - ended)  # what comes behind a cut counts, behind an end does not
        row = (x, action, chosen.log_prob(action), actor.value(x).squeeze(1), rewards * recipe.scale, last)
        for kept, value in zip(found, (*row, torch.maximum(ended, cut)), strict=True):
            kept.append(value)
    x, action, logp, value, reward, last, stop = (torch.stack(kept) for kept in found)
    advantage, carried = torch.zeros_like(reward), torch.zeros(reward.shape[1])
    for t in reversed(range(recipe.steps)):
        carried = reward[t] + recipe.gamma * last[t] - value[t] + recipe.gamma * 0.95 * (1 - stop[t]) * carried
        advantage[t] = carried
    return tuple(v.flatten(0, 1) for v in (x, action, logp, advantage, advantage + value))


def improve(actor: Actor, optimiser: torch.optim.Optimizer, data: tuple[Tensor, ...], recipe: Recipe) -> None:
    """Some epochs of the clipped objective on one collection."""
    x, action, logp, advantage, value = data
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    for _ in range(recipe.epochs):
        for part in torch.randperm(len(x)).split(256):
            chosen = actor.chosen(x[part])
            ratio = (chosen.log_prob(action[part]) - logp[part]).exp()
            gain = torch.minimum(ratio * advantage[part], ratio.clamp(0.8, 1.2) * advantage[part]).mean()
            miss = (actor.value(x[part]).squeeze(1) - value[part]).square().mean()
            loss = -gain + 0.5 * miss - recipe.entropy * chosen.entropy().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
            optimiser.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task", choices=sorted(POLICIES), help="the environment")
    parser.add_argument("--updates", type=int, help="default: what the shipped weights were trained for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="default: TASK.safetensors in this folder")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    recipe, actor = RECIPES[args.task], Actor(POLICIES[args.task])
    updates = args.updates or recipe.updates
    optimiser = torch.optim.Adam(actor.parameters(), lr=recipe.rate)
    world, best, kept = Collector(args.task, 1000 * args.seed), -float("inf"), actor.policy
    with Bar() as bar:
        for update in range(1, updates + 1):
            bar.report(f"update {update} of {updates}", update, updates)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * (1 - (update - 1) / updates)
            improve(actor, optimiser, collect(actor, world, recipe), recipe)
            if update % 10 == 0 or update == updates:
                score = episodes(args.task, actor.policy, [JUDGED_FROM - 20 + k for k in range(20)]).mean
                if score > best:
                    best, kept = score, copy.deepcopy(actor.policy)
                print(f"update {update}: mean return {score:.1f}, best {best:.1f}", flush=True)
    output = args.output or Path(f"{args.task}.safetensors")
    metadata = {"task": args.task, "updates": str(updates), "seed": str(args.seed)}
    with written_whole(output) as temporary:
        temporary.write_bytes(save({k: v.contiguous() for k, v in kept.state_dict().items()}, metadata))
    print(f"{output}: mean return {best:.1f} in 20 episodes")


if __name__ == "__main__":
    main()

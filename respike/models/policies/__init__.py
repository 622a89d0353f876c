"""Small ReLU policies for Gymnasium's classic control, trained by ``scripts/control/train_policy.py``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from torch import nn

from ...errors import InputError


@dataclass(frozen=True)
class Policy:
    """A task's policy: how many numbers it observes and gives, and what it was trained on.

    Attributes:
        observations: Numbers in an observation.
        outputs: A score for each action, the highest of which is taken; or the action itself, see ``scale``.
        hidden: Neurons in each of the two hidden layers.
        scale: What an output of 1 is in units of the action, which is clipped to the task's bounds; None where
            actions are chosen by their scores.
    """

    observations: int
    outputs: int
    hidden: int = 64
    scale: float | None = None

    def build(self) -> nn.Sequential:
        """The network, untrained: two hidden layers of ReLUs, ``(N, observations)`` to ``(N, outputs)``."""
        width = self.hidden
        return nn.Sequential(
            nn.Linear(self.observations, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, self.outputs),
        )


POLICIES = {
    "Acrobot-v1": Policy(6, 3),
    "CartPole-v1": Policy(4, 2),
    "Pendulum-v1": Policy(3, 1, scale=2.0),
}


def load(task: str) -> nn.Sequential:
    """The trained policy of a task, in eval mode: observations ``(N, ...)`` to scores of actions, or actions.

    >>> policy = respike.models.policies.load("CartPole-v1")
    >>> policy(torch.zeros(5, 4)).shape  # pushes to the left and to the right
    torch.Size([5, 2])

    Args:
        task: A key of ``POLICIES``, Gymnasium's name of the environment.

    Raises:
        ValueError: there is no policy for that task.
    """
    if not isinstance(task, str) or task not in POLICIES:
        raise InputError(f"there is no policy for {task!r}; there are {', '.join(sorted(POLICIES))}")
    from safetensors.torch import load as read_safetensors

    policy = POLICIES[task].build()
    policy.load_state_dict(read_safetensors((resources.files(__package__) / f"{task}.safetensors").read_bytes()))
    return policy.eval()

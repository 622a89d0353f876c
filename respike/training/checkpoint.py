"""How far training is, in a file to go on from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from ..ranks import here
from ..resume_file import ResumeFile

MOMENTS: Final = ("exp_avg", "exp_avg_sq")
"""What Adam keeps of each parameter."""


@dataclass
class State:
    """How far training is.

    Attributes:
        step: Steps that are done.
        loss: Of the best judgement so far.
        agreement: Of the same.
        reached: Lowest loss that training has reached, which may be above that of the first network; None before.
        idle: Judgements since then.
        best: The parameters that it judged.
    """

    step: int
    loss: float
    agreement: float | None
    reached: float | None
    idle: int
    best: dict[str, Tensor]


class Checkpoint:
    """The state of a training in its file.

    Args:
        file: Bound to all that the training depends on; None: nothing is kept.
        parameters: Of the module, by name; read and written in place.
        optimizer: Adam.
    """

    def __init__(self, file: ResumeFile | None, parameters: dict[str, Any], optimizer: torch.optim.Adam) -> None:
        self.file, self.parameters, self.optimizer = file, parameters, optimizer

    def write(self, state: State, finished: bool = False) -> None:
        """Note how far it is, if it is time or nothing is left to do.

        Raises:
            ResumeError: another run has taken the file.
            WriteError: the system does not let it be written.
        """
        if self.file is None or not (finished or here().once(self.file.due)):
            return
        tensors = {f"best.{name}": value for name, value in state.best.items()}
        for name, parameter in self.parameters.items():
            tensors[f"now.{name}"] = parameter
            for part in MOMENTS:
                held = self.optimizer.state.get(parameter, {}).get(part)
                tensors[f"{part}.{name}"] = torch.zeros_like(parameter) if held is None else held
        self.file.write({name: value for name, value in vars(state).items() if name != "best"}, tensors, finished)

    @torch.no_grad()
    def read(self) -> State | None:
        """What was noted, put back into parameters and optimizer; None if nothing was yet.

        Raises:
            ResumeError: a file of something else, of another training, or one that is damaged or in use.
            WriteError: the file cannot be written.
        """
        found = None if self.file is None else self.file.read()
        if found is None:
            return None
        numbers, tensors = found
        best = {name: tensors[f"best.{name}"].to(parameter) for name, parameter in self.parameters.items()}
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[f"now.{name}"])
            held = {part: tensors[f"{part}.{name}"].to(parameter) for part in MOMENTS}
            self.optimizer.state[parameter] = {"step": torch.tensor(float(numbers["step"])), **held}
        return State(**numbers, best=best)

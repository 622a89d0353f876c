"""How far training is, in a file to go on from."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..convert import checks
from ..convert.errors import FormatError
from ..files import check_writable, written_whole

FORMAT: Final = "respike fine-tuning 2"
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
    """A file for the state of a training, bound to the network, the ANN, the samples and the options by a digest.

    Args:
        path: It is written whole or not at all.
        parameters: Of the module, by name; read and written in place.
        optimizer: Adam.
        digest: Of all that the result depends on.

    Raises:
        FileNotFoundError: the folder does not exist.
        WriteError: something other than a regular file is there, or one that must not be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], parameters: dict[str, Any], optimizer: torch.optim.Adam, digest: str
    ) -> None:
        checks.path("resume", path)
        self.path, self.parameters, self.optimizer, self.digest = Path(path), parameters, optimizer, digest
        check_writable(path)

    def write(self, state: State) -> None:
        """Note how far it is."""
        tensors = {f"best.{name}": value for name, value in state.best.items()}
        for name, parameter in self.parameters.items():
            tensors[f"now.{name}"] = parameter.detach()
            for part in MOMENTS:
                held = self.optimizer.state.get(parameter, {}).get(part)
                tensors[f"{part}.{name}"] = torch.zeros_like(parameter) if held is None else held
        about = {"step": state.step, "loss": state.loss, "agreement": state.agreement, "reached": state.reached}
        about["idle"] = state.idle
        metadata = {"format": FORMAT, "digest": self.digest, "state": json.dumps(about)}
        found = {name: value.cpu().contiguous() for name, value in tensors.items()}
        with written_whole(self.path) as whole:
            whole.write_bytes(save(found, metadata))

    def read(self) -> State | None:
        """What was noted, put back into parameters and optimizer; None if there is no file yet.

        Raises:
            FormatError: a file of something else, or of another training.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise FormatError(f"{self.path} is not a file of finetune(resume=...); give another name")
                if metadata.get("digest") != self.digest:
                    raise FormatError(
                        f"{self.path} belongs to a training with another network, ANN, data or options; give another "
                        "name, or remove it to begin anew"
                    )
                about = json.loads(metadata["state"])
                state = State(**about, best={name: file.get_tensor(f"best.{name}") for name in self.parameters})
                with torch.no_grad():
                    for name, parameter in self.parameters.items():
                        parameter.copy_(file.get_tensor(f"now.{name}"))
                        held = {part: file.get_tensor(f"{part}.{name}").to(parameter) for part in MOMENTS}
                        self.optimizer.state[parameter] = {"step": torch.tensor(float(state.step)), **held}
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{self.path} is damaged ({error}); remove it to begin anew") from error
        state.best = {name: value.to(self.parameters[name].device) for name, value in state.best.items()}
        return state


def digest_of(options: dict[str, Any], parts: dict[str, Tensor]) -> str:
    """A digest of options and tensors, both by name."""
    found = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, value in parts.items():
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()

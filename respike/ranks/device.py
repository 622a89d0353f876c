"""Where a process computes."""

from __future__ import annotations

import os

import torch


def device_of_rank() -> torch.device:
    """Where this process computes: the CUDA device that ``LOCAL_RANK`` says, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())

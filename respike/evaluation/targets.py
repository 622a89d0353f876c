"""What targets say: classes or values, checked and brought into one form."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..convert.options import Judge
from ..convert.output_judging import decision, is_single_score, single
from ..errors import InputError

UNLABELLED = -100
"""The label of samples and positions that do not count, as in torch's losses."""
INSTEAD = "for anything else pass metric=f, a function of (output, target) that gives one score per sample"


class NotJudgedError(InputError):
    """Outputs or targets that neither accuracy nor errors can judge; the message advises ``metric`` in Python."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; {INSTEAD}")
        self.reason = reason

    @property
    def plain(self) -> str:
        """The message without the advice."""
        return self.reason


def kind_of(output: Any, target: Any, judge: Judge) -> Literal["decision", "error"]:
    """By what outputs are judged, found out from a first batch unless the user says it.

    Raises:
        ValueError: what cannot be judged, with the reason.
    """
    x = single(output)
    if x is None:
        raise NotJudgedError("accuracy needs a network with one output")
    decided = decision(x)
    if decided is None:
        raise NotJudgedError(f"accuracy needs an output that begins with the batch, got {_shape(x)}")
    target = _tensor(target)
    if not x.is_floating_point():
        if judge == "error":
            raise InputError(
                "judge='error' needs outputs of floating point numbers, but this network gives classes; "
                "give judge='decision'"
            )
        return "decision"
    if judge != "auto":
        return judge
    numbers = target.is_floating_point()
    if is_single_score(x):
        return "error" if numbers and not _binary(target) else "decision"
    if target.shape != x.shape:
        return "decision"
    return "decision" if _binary(target) else "error"


def labels_of(target: Any, output: Tensor, border: float = 0.0) -> Tensor:
    """Class numbers ``(N, ...)`` as int64, ``UNLABELLED`` where there is none.

    Args:
        target: Class numbers, of any type that holds them, ``(N, ...)`` or ``(N, 1, ...)``; or one-hot, as the output.
        output: What the network gives.
        border: As for ``decision``.

    Raises:
        ValueError: no class numbers, of another shape, or not among the network's classes.
    """
    decided = decision(output, border)
    assert decided is not None
    labels: Tensor = _tensor(target)
    wide = output.is_floating_point() and not is_single_score(output)
    if wide and labels.shape == output.shape:
        return _from_one_hot(labels)
    shape = decided.shape
    if labels.shape == (*shape[:1], 1, *shape[1:]):
        labels = labels.squeeze(1)
    if labels.shape != shape:
        raise NotJudgedError(
            f"accuracy needs class numbers of shape {tuple(shape)} as targets for an output of shape "
            f"{tuple(output.shape)}; got {_shape(labels)}"
        )
    if labels.is_floating_point() and not bool((labels == labels.round()).all()):
        odd = labels[labels != labels.round()]
        raise InputError(f"class numbers must be whole; got {float(odd[0]):g}. For a regression give judge='error'")
    found = labels.long()
    classes = None if not output.is_floating_point() else output.shape[1] if wide else 2
    wrong = (found < 0) & (found != UNLABELLED)
    if classes is not None:
        wrong = wrong | (found >= classes)
    if bool(wrong.any()):
        text = f"the labels 0 to {classes - 1}" if classes else "labels of 0 or more"
        hint = ", or values to compare with by judge='error'" if classes == 2 and not wide else ""
        raise InputError(
            f"an output of shape {tuple(output.shape)} needs {text} (or {UNLABELLED} for what does not count{hint}); "
            f"got {int(found[wrong][0])}"
        )
    return found


def values_of(target: Any, output: Tensor) -> Tensor:
    """Wanted values, of the output's shape.

    Raises:
        ValueError: of another shape.
    """
    values: Tensor = _tensor(target)
    if is_single_score(output) and values.shape[:1] == output.shape[:1] and values.numel() == output.numel():
        values = values.reshape(output.shape)
    if values.shape != output.shape:
        raise InputError(
            f"an error is measured between tensors of one shape; the output has {tuple(output.shape)} and the targets "
            f"{tuple(values.shape)}"
        )
    return values


def _from_one_hot(target: Tensor) -> Tensor:
    if not _binary(target) or bool((target.sum(1) != 1).any()):
        raise NotJudgedError(
            "targets of the output's shape must be one-hot, with one 1 per sample, to be classes; several classes per "
            "sample (multi-label) are not judged by accuracy. For a regression give judge='error'"
        )
    return target.long().argmax(1)


def _tensor(target: Any) -> Tensor:
    x = single(target)
    if x is None or x.is_complex():
        what = "complex numbers" if x is not None else type(target).__name__
        raise NotJudgedError(f"targets must be a tensor of classes or values, got {what}")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise InputError(f"targets must be finite; {int((~x.isfinite()).sum()):,} of {x.numel():,} are NaN or infinite")
    return x.long() if x.dtype in (torch.uint16, torch.uint32, torch.uint64) else x  # few operations know those


def _binary(target: Tensor) -> bool:
    return bool(((target == 0) | (target == 1)).all())


def _shape(x: Tensor) -> str:
    return f"the shape {tuple(x.shape)}"

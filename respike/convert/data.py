"""Calibration data in whatever form the user has it, as batches of positional arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from ..ranks import here
from .errors import ConversionError
from .graph import Graph
from .onnx_import.module import OnnxModule
from .rank_batches import shared

BATCH_SIZE = 64


@dataclass(frozen=True)
class Told:
    """Data, and what is said of them, see ``frames``. A network that is made already knows it by itself."""

    data: Any


def untold(data: Any) -> Any:
    """The data alone."""
    while isinstance(data, Told):
        data = data.data
    return data


Batch = TypeVar("Batch", tuple[Any, ...], list[Tensor])
"""Arguments as the user gives them, or the tensors among them."""


def tensors_in(tree: Any, what: str) -> Any:
    """The same with numpy's arrays as tensors.

    Raises:
        ConversionError: an array of something else than numbers, or a tensor that is not dense.
    """

    def made(x: Any) -> Any:
        if isinstance(x, Tensor) and (x.layout != torch.strided or x.is_meta):
            kind = "has no data (device 'meta')" if x.is_meta else "is sparse; give x.to_dense()"
            raise ConversionError(f"{what}: a tensor of shape {tuple(x.shape)} {kind}")
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        try:
            return torch.from_numpy(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
        except TypeError as error:
            raise ConversionError(f"{what}: an array of type {x.dtype} cannot become a tensor; give numbers") from error

    return pytree.tree_map(made, tree)


def argument_names(model: nn.Module) -> list[str]:
    """Names of the positional arguments of ``forward``."""
    if isinstance(model, OnnxModule):
        return [x.name for x in model.inputs]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(model.forward).parameters.values() if p.kind in kinds]


def arity(model: nn.Module) -> int:
    """How many positional arguments ``forward`` needs, at least 1."""
    if isinstance(model, OnnxModule):
        return len(model.inputs)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    needed = [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return max(1, len(needed))


def batches(calibration: Any, count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    """The inputs in batches, as positional arguments for ``forward``.

    A tensor or a Dataset is read in random order (``seed``), so that the first few samples stand for
    all; any other iterable is read as it comes. Labels and whatever else stands behind the inputs are
    not looked at.

    Several processes get the same batches: each reads its own and sends them to the others, see ``rank_batches``.

    Args:
        calibration: A tensor or array ``(N, ...)``; a Dataset; or an iterable of batches: tensors or arrays, or tuples
            or dicts that begin with the inputs.
        count: How many inputs the network takes.
        seed: Random seed for the order.

    Raises:
        ConversionError: something else, not a single sample, or one that holds NaN or infinity.
    """
    empty = True
    raw, order = raw_batches(calibration, count, seed)
    for args in checked(shared(raw, here()), order, count):
        yield args
        empty = False
    if empty:
        raise ConversionError("the calibration data is empty; give a few hundred samples of the training inputs")


def checked(raw: Iterable[Any], order: Tensor | None, count: int, seen: int = 0) -> Iterator[tuple[Any, ...]]:
    """The inputs of each batch that is not empty.

    Args:
        raw: Batches as the user gives them.
        order: Which sample each is, where they are read in another order than that of the data.
        count: How many inputs the network takes.
        seen: How many samples came before.

    Raises:
        ConversionError: batches of something else, or NaN or infinity.
    """
    for batch in raw:
        args = _arguments(batch, count)
        if rows(args):
            require_finite(args, seen, order)
            seen += rows(args)
            yield args


def picked_batches(data: Any, order: Tensor, size: int, count: int | None) -> DataLoader[Any]:
    """Some samples of a Dataset, in batches.

    Args:
        data: The Dataset.
        order: Numbers of the samples.
        size: Of a batch.
        count: How many inputs stand before the labels, which are not even put into a tensor; None: labels are wanted.
    """
    collate = partial(_collated, count=count)
    return DataLoader(Subset(data, order.tolist()), batch_size=size, collate_fn=collate)


class _Picked(Sequence[Tensor]):
    """Some samples of a tensor in each batch, copied when a batch is read."""

    def __init__(self, values: Tensor, batches: list[Tensor]) -> None:
        self.values, self.batches = values, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: Any) -> Any:
        return self.values[self.batches[number].to(self.values.device)]


def _collated(samples: list[Any], count: int | None) -> Any:
    try:
        return default_collate(samples if count is None else [inputs_of(sample, count) for sample in samples])
    except (RuntimeError, TypeError) as error:
        raise ConversionError(f"samples of the data set do not fit into one batch: {error}") from error


def is_dataset(data: Any) -> bool:
    """Whether these are samples with numbers: torch's Dataset, or what has its methods alone, as those of tonic."""
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (Iterable, nn.Module))
    return indexed or isinstance(data, Dataset)


def raw_batches(calibration: Any, count: int, seed: int) -> tuple[Iterable[Any], Tensor | None]:
    """Batches as they come, and in which order samples were taken, if that is ours to choose."""
    calibration = untold(calibration)
    generator = torch.Generator().manual_seed(seed)
    whole = isinstance(calibration, (Tensor, np.ndarray))
    calibration = tensors_in(calibration, "calibration") if whole else calibration
    if isinstance(calibration, Tensor):
        if not calibration.dim():
            raise ConversionError("calibration must be (N, ...), got a single number")
        order = torch.randperm(len(calibration), generator=generator)
        return _Picked(calibration, [i for i in order.split(BATCH_SIZE) if len(i)]), order
    if is_dataset(calibration) and hasattr(calibration, "__getitem__") and hasattr(calibration, "__len__"):
        if not len(calibration):
            return (), None
        order = torch.randperm(len(calibration), generator=generator)
        return picked_batches(calibration, order, BATCH_SIZE, count), order
    if isinstance(calibration, Dataset):
        return DataLoader(calibration, batch_size=BATCH_SIZE, collate_fn=partial(_collated, count=count)), None
    if isinstance(calibration, Iterable) and not isinstance(calibration, (str, bytes, Mapping)):
        return calibration, None
    hint = "; a single batch goes into a list" if isinstance(calibration, Mapping) else ""
    raise ConversionError(
        f"calibration must be a tensor, a Dataset or an iterable of batches, got {type(calibration).__name__}{hint}"
    )


def require_finite(args: Any, seen: int, order: Tensor | None) -> None:
    """Refuse a batch with NaN or infinity in it, by the place of the sample in the user's data."""
    tensors = [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]
    for number, x in enumerate(tensors, 1):
        if not x.dim() or not x.is_floating_point() or bool(x.isfinite().all()):
            continue
        row = seen + int(
            (~x.isfinite()).flatten(1).any(1).nonzero()[0] if x.dim() > 1 else (~x.isfinite()).nonzero()[0]
        )
        sample = row if order is None else int(order[row])
        which = f"input {number}" if len(tensors) > 1 else "the input"
        raise ConversionError(
            f"the calibration data holds NaN or infinity: {which} of sample {sample}, counted from 0; "
            "leave such samples out, or replace the values"
        )


def _several(item: Any) -> bool:
    return isinstance(item, (Mapping, Sequence)) and not isinstance(item, (str, bytes))


def inputs_of(sample: Any, count: int) -> Any:
    """What stands before the labels in a sample of a Dataset."""
    return _inputs(sample, count) if _several(sample) else sample


def _inputs(item: Any, count: int) -> tuple[Any, ...]:
    """The first ``count`` members, of the first member if that holds the inputs."""
    members = tuple(item.values() if isinstance(item, Mapping) else item)
    nested = count > 1 and len(members) and isinstance(members[0], (tuple, list))
    return tuple(members[0] if nested else members[:count])


def _arguments(batch: Any, count: int) -> tuple[Any, ...]:
    if not _several(batch):
        batch = (batch,)
    args = tensors_in(_inputs(batch, count), "a calibration batch")
    tensors = [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]
    if len(args) < count or not tensors:
        kinds = ", ".join(type(x).__name__ for x in args)
        raise ConversionError(
            f"the network takes {count} input{'s' if count > 1 else ''}; a calibration batch must be a tensor or begin "
            f"with the inputs, got {f'{len(args)} ({kinds})' if args else 'nothing'}"
        )
    return pytree.tree_map(lambda x: x.float() if isinstance(x, Tensor) and x.is_floating_point() else x, args)  # type: ignore[no-any-return]


def rows(args: Any) -> int:
    """How many samples a batch of arguments, or of inputs, holds."""
    tensors = [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]
    lengths = {len(x) for x in tensors if x.dim()}
    if len(lengths) > 1:
        raise ConversionError(f"the inputs of a batch have different lengths: {sorted(lengths)}")
    return lengths.pop() if lengths else 0


def first_rows(args: Batch, count: int) -> Batch:
    """The first samples of a batch, at most this many."""
    return pytree.tree_map(lambda x: x[:count] if isinstance(x, Tensor) and x.dim() else x, args)  # type: ignore[no-any-return]


def picked(inputs: list[Tensor], chosen: Tensor) -> list[Tensor]:
    """Some samples of a batch, copied.

    Args:
        inputs: Tensors ``(N, ...)``; numbers are left as they are.
        chosen: Which samples, a mask ``(N,)``.
    """
    return [x[chosen.to(x.device)] if x.dim() else x for x in inputs]


def first_batches(batches: Iterator[Batch], samples: int) -> Iterator[Batch]:
    """The first batches that hold so many samples, or all."""
    while samples > 0 and (args := next(batches, None)) is not None:
        yield args
        samples -= rows(args)


def example(args: Batch) -> Batch:
    """A few samples to trace with, on the CPU."""

    def few(x: Any) -> Any:
        return (x[:4] if x.dim() else x).cpu() if isinstance(x, Tensor) else x

    return pytree.tree_map(few, args)  # type: ignore[no-any-return]


def tensors_of(args: tuple[Any, ...], graph: Graph, device: torch.device, steps: int) -> list[Tensor]:
    """The tensors among the arguments, in the order of the graph's inputs; of those that move, ``steps`` frames.

    Raises:
        ConversionError: a batch of another structure or shape than the first, or with fewer frames.
    """
    try:
        given = graph.flatten(args)
    except ValueError as error:
        raise ConversionError(
            f"the calibration batches differ in type or shape: {error}. A tuple is read as several batches; instead of "
            "inputs and labels pass the inputs alone, or [(inputs, labels)]"
        ) from error
    try:
        return [x.to(device) for x in graph.first_frames(given, steps)]
    except ValueError as error:
        raise ConversionError(f"calibration: {error}") from error


def inputs(calibration: Any, graph: Graph, seed: int, device: torch.device, steps: int) -> Iterator[list[Tensor]]:
    """Batches as ``batches`` reads them, each as the list of tensors that the graph takes.

    Raises:
        ConversionError: as ``batches`` and ``tensors_of``.
    """
    return (tensors_of(args, graph, device, steps) for args in batches(calibration, graph.arity, seed))

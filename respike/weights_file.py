"""Weights from a file into a model: what training scripts and frameworks write, read as data only."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .source_names import SourceError, require

Weights = Mapping[str, Tensor]

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "ema.", "ema_model.")
"""What wrappers put before every name, or before those of one network among several."""
DEEPEST = 3
"""How deep in dicts a checkpoint may hold its weights."""
SHOWN = 5
"""How many names an error lists."""


def fill(model: nn.Module, path: Path, name: str) -> None:
    """Load a file of weights into a model.

    Of a checkpoint that holds several sets of weights (``model`` beside ``ema``) the first that fits is taken, and
    of names with a prefix those that fit without it.

    Args:
        model: Changed in place.
        path: A ``.safetensors`` file, or one of ``torch.save``: a state_dict, or a dict that holds one.
        name: Of the model, for messages.

    Raises:
        SourceError: no such file, one that is damaged or holds more than data, or weights that do not fit.
    """
    require(path, "weights file")
    held = read_weights(path)
    sets = list(_sets(held, ""))
    if not sets:
        kind = "a whole model" if isinstance(held, nn.Module) else f"no state_dict, but {_described(held)}"
        raise SourceError(f"{path} holds {kind}; save model.state_dict()")
    wanted = model.state_dict()
    for _, weights in sets:
        for spelled in _spellings(weights, wanted):
            if spelled.keys() == wanted.keys() and all(_alike(spelled[key], wanted[key]) for key in wanted):
                _load(model, spelled, path, name)
                return
    nearest = min((w for _, found in sets for w in _spellings(found, wanted)), key=lambda w: _distance(w, wanted))
    raise SourceError(f"the weights in {path} do not fit {name}: {_difference(nearest, wanted)}")


def read_weights(path: Path) -> Any:
    """What a file holds; nothing in it is run.

    Raises:
        SourceError: it is damaged, or holds more than data.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_data()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SourceError(f"cannot read weights from {path}: {(error.strerror or str(error)).lower()}") from error
    except pickle.UnpicklingError as error:
        raise SourceError(
            f"cannot read weights from {path}: it is damaged, or holds Python objects besides weights, which are never "
            "run. Save model.state_dict() alone, in the program that trained it"
        ) from error
    except Exception as error:  # a damaged file raises most things there are
        if not _is_known(path):
            raise SourceError(f"cannot read weights from {path}: it is not a PyTorch or safetensors file") from error
        raise SourceError(f"cannot read weights from {path}: {error}") from error


def _is_known(path: Path) -> bool:
    """Whether a file begins as ``torch.save`` or safetensors begin theirs."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[:2] in (b"PK", b"\x80\x02") or head[8:9] == b"{"


def _data() -> list[Any]:
    """What training scripts put beside weights and PyTorch does not know as data: numbers of NumPy and options."""
    import numpy as np

    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [np.float32, np.float64, np.int32, np.int64, np.bool_]
    types = [type(np.dtype(kind)) for kind in kinds]
    # Files say numpy.core or numpy._core, whichever wrote them.
    old = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    return [*old, np.dtype, *types, argparse.Namespace]


def _sets(held: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Weights]]:
    """All sets of weights in a checkpoint, those with the usual names first."""
    if not isinstance(held, Mapping) or depth > DEEPEST:
        return
    tensors = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    usual = ("state_dict", "model_state_dict", "model", "net", "module")
    inner = [(str(key), value) for key, value in held.items() if isinstance(value, Mapping)]
    for key, value in sorted(inner, key=lambda item: usual.index(item[0]) if item[0] in usual else len(usual)):
        yield from _sets(value, f"{place}.{key}" if place else key, depth + 1)


def _spellings(weights: Weights, wanted: Weights) -> Iterator[dict[str, Tensor]]:
    """The weights under the names they may have had before wrappers added theirs, the plainest first."""
    queue: list[dict[str, Tensor]] = [dict(weights)]
    seen: set[frozenset[str]] = set()
    while queue:
        found = queue.pop(0)
        if frozenset(found) in seen or len(seen) > 64:
            continue
        seen.add(frozenset(found))
        yield _without_bookkeeping(found, wanted)
        queue.append({key.replace("_orig_mod.", "").replace("module.", ""): value for key, value in found.items()})
        for prefix in dict.fromkeys((*PREFIXES, *(f"{key.partition('.')[0]}." for key in found if "." in key))):
            below = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
            if below:
                queue.append(below)


def _without_bookkeeping(found: dict[str, Tensor], wanted: Weights) -> dict[str, Tensor]:
    """Counters that a framework adds, or that an old file lacks, decide nothing."""
    counters = ("num_batches_tracked", "n_averaged")
    kept = {k: v for k, v in found.items() if k in wanted or not k.endswith(counters)}
    return {**{k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}, **kept}


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape or is_lazy(b)


def _load(model: nn.Module, weights: dict[str, Tensor], path: Path, name: str) -> None:
    try:
        model.load_state_dict(weights)
    except Exception as error:  # the model may have hooks of its own
        raise SourceError(f"the weights in {path} do not fit {name}: {error}") from error


def _distance(found: Weights, wanted: Weights) -> int:
    return len(found.keys() ^ wanted.keys())


def _difference(found: Weights, wanted: Weights) -> str:
    parts = []
    for what, names in (("missing", wanted.keys() - found.keys()), ("unexpected", found.keys() - wanted.keys())):
        if names:
            parts.append(f"{what} {_listed(sorted(names))}")
    shapes = [
        f"{key} has shape {tuple(found[key].shape)}, expected {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and not _alike(found[key], wanted[key])
    ]
    if shapes:
        parts.append(_listed(shapes))
    return "; ".join(parts)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _described(held: Any) -> str:
    if isinstance(held, Mapping):
        return f"a dict of {_listed([str(key) for key in held]) or 'nothing'}"
    return f"a {type(held).__name__}"

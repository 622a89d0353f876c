"""From what a user names to a spiking network, its ANN and its data."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from .. import convert as conversion
from .. import sources
from ..convert.data import arity, batches, example
from ..convert.options import NAMED, gathered
from ..convert.run.moving_inputs import means
from ..data_file import Arrays
from ..progress import Bar
from ..ranks import alone, device_of_rank, here
from ..source_names import SourceError, is_saved, require
from ..workers import first_samples
from .conversion_options import CONVERSION_NAMES
from .given import was_given
from .images import check_classes, reading
from .room import check_run, check_steps

Module = TypeVar("Module", bound=nn.Module)
OF_A_RUN = {"timesteps", "judge", "samples", "seed", "memory_budget"}
"""Conversion options that mean something for a network that is already converted."""


def network(options: dict[str, Any], resume: Path | None = None) -> tuple[nn.Module | None, conversion.SpikingNetwork]:
    """The ANN, if there is one, and the spiking network that was made from it or lies in a file.

    Of several processes, each has them on the device of its own.

    Args:
        options: Of the command.
        resume: The file that keeps how far a conversion is.

    Raises:
        ValueError: what the options name is not there or does not fit.
    """
    model = options["model"]
    check_steps(options["timesteps"])
    if is_saved(model):
        return _saved(options)
    if options.get("ann") is not None:
        raise SourceError(f"--ann is for a saved network; {model} is an ANN itself")
    _check_conversion(options)
    ann = _placed(sources.find_model(model, options["weights"], options["outputs"], options["verify"]))
    data, frames = calibration(options, ann), options.get("frames", False)
    encoding = _encoding(options)
    try:
        with Bar() as bar:
            given = conversion.Frames(data) if frames else data
            given = given if encoding is None else conversion.Encoded(given, encoding)
            made = conversion.from_torch(
                ann,
                given,
                progress=bar,
                resume=resume,
                **gathered({name: options[name] for name in CONVERSION_NAMES}),
            )
    except conversion.ConversionError as error:
        with alone():  # the other processes know nothing of it
            args = example(next(batches(first_samples(data), arity(ann), 0)))
        moving = conversion.Frames(data)
        shown = moving.shown(args, moving.moving(args, ann)) if frames else args
        _check_model(ann, model, shown, data_name(options, "calibration"), error)
        raise
    return ann, made


def beside(resume: Path | None, what: str = "conversion") -> Path | None:
    """The resume file of a part of the work: beside that of the whole, ``FILE.conversion``."""
    return None if resume is None else resume.with_name(f"{resume.name}.{what}")


def _encoding(options: dict[str, Any]) -> conversion.Encoding | None:
    """How inputs become events, if they do.

    Raises:
        SourceError: a scale without an encoder.
    """
    encoder, scale = options.get("encode"), options.get("scale")
    if encoder is None and scale is not None:
        raise SourceError("--scale has no effect without --encode")
    return None if encoder is None else conversion.Encoding(encoder, seed=options["seed"], scale=scale)


def _check_conversion(options: dict[str, Any]) -> None:
    """Raise for an option that the user gave and that belongs to a value that was not chosen."""
    for name, kinds in NAMED.items():
        parts = {kind: {part.name for part in fields(made)} for kind, made in kinds.items()}
        for part in sorted(set().union(*parts.values()) - parts.get(options[name], set()) - OF_A_RUN):
            if was_given(part):
                choices = " or ".join(f"--{name} {kind}" for kind in parts if part in parts[kind])
                raise SourceError(f"--{part.replace('_', '-')} has no effect without {choices}")


def calibration(options: dict[str, Any], network: nn.Module) -> Any:
    """The samples to calibrate with, as the network or the ANN takes them.

    Raises:
        SourceError: none were named, and the model has none of its own; or nothing has that name.
    """
    name = data_name(options, "calibration")
    return taken_by(network, sources.find_calibration(name, options["data_dir"], **reading(name, options)))


def taken_by(network: nn.Module, data: Any) -> Any:
    """Samples as whole numbers if the file has such, and the network takes them: it does not run on real ones."""
    if not isinstance(data, Arrays) or data.whole is None:
        return data
    if isinstance(network, conversion.SpikingNetwork):
        return data.whole if network.graph.integers else data
    device = next((x.device for x in network.parameters()), torch.device("cpu"))
    real, whole = (_misfit(network, (x.tensors[0][:2].to(device),)) for x in (data, data.whole))
    return data if real is None or whole is not None else data.whole


def find_test(options: dict[str, Any], labelled: bool = True) -> Any:
    """The samples to judge on.

    Raises:
        SourceError: as ``calibration``.
    """
    name = data_name(options, "data")
    return sources.find_test_data(name, options["data_dir"], labelled=labelled, **reading(name, options))


def data_name(options: dict[str, Any], which: str) -> str:
    """What ``--calibration`` or ``--data`` names, or else the data set of the reference network.

    That has as many frames as the other one of the two, or as ``--frames`` asks for.

    Raises:
        SourceError: neither.
    """
    own = sources.own_data(options["model"]) or sources.own_data(options.get("ann") or "")
    other = options.get("data" if which == "calibration" else "calibration") or ""
    if own is not None and other.startswith(f"{own}:"):
        own = other
    elif own in sources.OF_FRAMES and options.get("frames") and options["timesteps"] != "auto":
        own = f"{own}:{options['timesteps']}"
    name: str | None = options[which] or own
    if name is None:
        if not is_saved(options["model"]):  # a mistyped name is the first thing to say
            sources.find_model(options["model"], options["weights"], options["outputs"])
        say = "train.npz, or random:3x64x64 to see whether it converts" if which == "calibration" else "test.npz"
        raise SourceError(
            f"{options['model']} is not a reference network: name its data with --{which} {say} ({sources.DATA_HELP})"
        )
    return name


def checked(snn: conversion.SpikingNetwork, ann: nn.Module | None, data: Any, options: dict[str, Any]) -> Any:
    """The test samples, if they are what the network takes, and the ANN that a network from a file is compared with.

    Raises:
        SourceError: they are not; says which shapes it takes. Or a run of them does not fit into memory.
    """
    name, data = data_name(options, "data"), taken_by(snn, data)
    check_run(snn, len(data), options)
    few = first_samples(data)
    try:
        snn.graph.flatten(next(batches(few, snn.graph.arity, 0)))
    except SourceError:
        raise
    except ValueError as error:
        frames = f" (for {snn.timesteps} frames say {name}:{snn.timesteps})" if name in sources.OF_FRAMES else ""
        raise SourceError(f"the network cannot take the samples of {name}: {error}{frames}") from error
    check_classes(data, snn.graph, name)
    if ann is not None:
        inputs = snn.graph.flatten(example(next(batches(few, snn.graph.arity, 0))))
        shown = snn.graph.unflatten(means(snn.graph, inputs))
        _check_model(ann, options["ann"] or options["model"], shown, name)
    return data


def _check_model(ann: nn.Module, model: str, args: tuple[Any, ...], name: str, cause: Exception | None = None) -> None:
    """Whether a few samples are what the model takes; if not, says which of its layers takes others."""
    misfit = _misfit(ann, args)
    if misfit is not None:
        raise SourceError(f"{model} does not take the samples of {name}, {misfit}") from cause


def _saved(options: dict[str, Any]) -> tuple[nn.Module | None, conversion.SpikingNetwork]:
    model, ann = options["model"], options.get("ann")
    chosen = [*(name for name in CONVERSION_NAMES if name not in OF_A_RUN), "frames", "encode", "scale"]
    settled = [f"--{name.replace('_', '-')}" for name in chosen if was_given(name)]
    if settled:
        raise SourceError(
            f"{model} is already converted; {', '.join(settled)} cannot be changed: convert the ANN again "
            "with this option, or omit it"
        )
    stray = [f"--{name}" for name in ("weights", "outputs", "verify") if options[name]]
    if ann is None and stray:
        raise SourceError(
            f"{model} contains its own weights; {', '.join(stray)} only applies to the network named by --ann"
        )
    require(Path(model), "saved network")
    snn = _placed(conversion.load(model))
    snn.memory_budget = options.get("memory_budget")
    if was_given("timesteps"):
        if options["timesteps"] == "auto":
            raise SourceError(f"{model} is already converted; -T must be a number")
        snn.timesteps = options["timesteps"]
    if ann is None:
        return None, snn
    return _placed(sources.find_model(ann, options["weights"], options["outputs"], options["verify"])), snn


def _placed(model: Module) -> Module:
    return model if here().alone else model.to(device_of_rank())


def _misfit(ann: nn.Module, args: tuple[Any, ...]) -> str | None:
    """Where the model fails on these inputs, and how; None if it does not."""
    entered: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_pre_hook(lambda m, _, name=name: entered.append((name, m)))
        for name, module in ann.named_modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            ann(*args)
    except Exception as reason:  # user code
        shapes = ", ".join("x".join(map(str, x.shape[1:])) for x in args if isinstance(x, torch.Tensor))
        where = f"its layer {entered[-1][0] or 'itself'} ({entered[-1][1]})" if entered else "it"
        return f"of shape {shapes}: {where} fails with: {reason}"
    finally:
        for hook in hooks:
            hook.remove()
    return None

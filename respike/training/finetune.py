"""``respike.finetune``: what conversion could not do in closed form, by gradients through the spikes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..convert import checks
from ..convert.caller_state import undisturbed
from ..convert.data import rows
from ..convert.errors import ConversionError, warn
from ..convert.held_back import HeldBack, judged
from ..convert.identity import digest_of_network
from ..convert.network import SpikingNetwork
from ..convert.variants.origin import origin_of
from ..files import check_writable
from ..progress import Listener, listener
from ..resume_file import ResumeFile
from .options import HIDDEN, TrainingOptions
from .samples import Samples
from .trainer import Judgement, Trainer


def finetune(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None = None,
    *,
    steps: int = 1000,
    learning_rate: float | None = None,
    batch_size: int = 64,
    augment: Callable[[Tensor], Tensor] | None = None,
    labels: float = 0.0,
    hidden: float = HIDDEN,
    held_back: int = 512,
    seed: int = 0,
    resume: str | os.PathLike[str] | None = None,
    progress: bool | Listener | None = None,
) -> SpikingNetwork:
    """A network whose weights, thresholds, biases and potentials V_0 have learned to give the ANN's outputs.

    Gradients go through the spikes and through time, see ``respike.layers.RateNeuron``; the network learns at its own
    number of timesteps, and is best at that. No labels are needed: the ANN says what is wanted (``Distillation`` in
    ``respike/training/loss.py``). Adam, with a learning rate that rises for a short time and falls as a cosine.

    Some samples are held back. Twenty times on the way they judge the network; the best is returned, and training stops
    early if ten judgements in a row are no better than those before them. So by its loss on them the network is never
    worse than it was; if nothing was better, a ``ConversionWarning`` says so. The loss weighs all scores; on few
    samples, how many decisions agree may move either way.

    >>> model, calibration = respike.models.load("mnist_mlp"), respike.models.datasets.calibration()
    >>> snn = respike.from_torch(model, calibration, timesteps=1)
    >>> tuned = respike.finetune(snn, calibration, steps=400, augment=respike.training.Shifts(2))
    >>> tuned.closeness.error < snn.closeness.error
    True

    Args:
        snn: Of the schedule ``synchronous``. Not changed.
        data: Unlabelled inputs as for ``from_torch``, many times as many as calibrate if they are there: a tensor, a
            Dataset, or an iterable of batches that can be read again and again. With ``labels``, inputs and class
            numbers as for ``evaluate``.
        ann: The model that it was made from; not needed if the network has just been converted.
        steps: Batches that it learns from; the data are read as often as that takes.
        learning_rate: Of Adam, at its highest. None: 1e-3; 3e-4 with fewer than 4,096 samples beside those held back,
            which come again and again.
        batch_size: Samples in a batch; an iterable's batches are as they come.
        augment: Changes the inputs of each batch before both networks see them, ``respike.training.Shifts(2)`` for
            example. Called with the first input ``(N, ...)``; it draws from torch's random numbers.
        labels: Weight of the cross entropy with labels beside the distance from the ANN; 0: no labels are read.
        hidden: Weight of what the layers on the way send beside the outputs: the squared error of their rates against
            the ANN's activations, in units of how much those vary, a mean over layers; 0: only outputs are compared.
        held_back: Most samples that are held back, of at most one in eight; 2 or more.
        seed: Of the order of samples and of what ``augment`` draws.
        resume: A file in which it is noted how far it is, once a minute (or as many seconds as
            ``RESPIKE_INTERVAL`` says). If it is there, of the same network, data (told by those held back) and options,
            training goes on from it, to the same result; remove it when it is no longer needed.
        progress: As for ``evaluate``.

    Returns:
        The network, with the settings that ``snn`` has. Its ``closeness`` is that on the samples held back.

    Raises:
        ConversionError: a network without a module, see ``to_module``; no ANN; data or options that cannot be used;
            training that diverges.
        ResumeError: ``resume`` is a file of something else, of another training, damaged, or in use by another run.
        WriteError: ``resume`` cannot be written.
    """
    options = TrainingOptions(steps, learning_rate, batch_size, labels, held_back, seed, hidden)
    return tune(snn, data, ann, options, augment, resume, progress).network


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning made.

    Attributes:
        network: The network.
        before: What the samples held back said of the one that was given.
        after: What they say of this one.
        samples: How many there are.
    """

    network: SpikingNetwork
    before: Judgement
    after: Judgement
    samples: int


@undisturbed()
@torch.inference_mode(False)
@torch.enable_grad()
def tune(
    snn: SpikingNetwork,
    data: Any,
    ann: nn.Module | None,
    options: TrainingOptions,
    augment: Callable[[Tensor], Tensor] | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: bool | Listener | None = None,
) -> Tuned:
    """``finetune``, which also says what the samples held back said."""
    checks.instance("snn", snn, SpikingNetwork, "a SpikingNetwork")
    checks.instance("ann", ann, nn.Module, "a torch.nn.Module", optional=True)
    if resume is not None:
        checks.path("resume", resume)
        check_writable(resume)
    if augment is not None and not callable(augment):
        raise ConversionError(f"augment must be a function of a batch of inputs, got {type(augment).__name__}")
    module = snn.to_module()
    device = next(snn.buffers()).device
    with listener(progress, default=True) as told:
        told.report("reading the data")
        samples = Samples(
            *(data, snn.graph, snn.timesteps, device),
            *(options.batch_size, options.held_back, bool(options.labels), options.seed),
        )
        origin = origin_of(snn, ann, samples.held[0][0])
        trainer = Trainer(module, snn.timesteps, origin, samples, options, augment)
        if resume is None:
            before, after = trainer.run(None, told)
        else:
            bound = {"network": digest_of_network(snn), **trainer.bound()}
            with ResumeFile(resume, "fine-tuning", bound) as file:
                before, after = trainer.run(file, told)
        if not after.loss < before.loss:
            warn(
                "fine-tuning found nothing better on the samples held back, and the network is as it was: give more "
                "inputs, shifted images, more steps or another learning rate"
            )
        made = snn.with_module(module)
        held = HeldBack(origin)
        held.batches = [inputs for inputs, _ in samples.held]
        made.origin, made.closeness = snn.origin, judged(made, origin, held, told)
    return Tuned(made, before, after, sum(rows(inputs) for inputs in held.batches))

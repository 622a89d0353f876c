"""The loop: a module learns to give the ANN's outputs, is judged on the way, and keeps the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..convert.checks import SEEDS
from ..convert.data import rows
from ..convert.errors import ConversionError
from ..convert.graph import Graph
from ..convert.held_back import OutputTally
from ..convert.identity import digest_of_graph
from ..convert.run.analog import Activations, Analog, all_outputs
from ..convert.run.execution_plan import Plan
from ..convert.run.moving_inputs import over_time
from ..errors import RespikeError
from ..layers import RateNeuron, reset_states
from ..progress import Progress
from ..resume_file import ResumeFile
from ..sealed_file import digest
from .checkpoint import Checkpoint, State
from .hidden_layers import HiddenLayers
from .loss import Distillation
from .options import TrainingOptions
from .samples import Batch, Samples

JUDGED = 20
"""How often the module is judged on the way."""
PATIENCE = 10
"""After so many judgements in a row that are no better than those before, training ends."""
WARM_UP = 0.02
"""Share of the steps in which the learning rate rises."""
LOWEST = 0.05
"""Share of its first value below which no threshold falls."""


@dataclass(frozen=True)
class Judgement:
    """What held-back samples say: the loss, and the share of decisions that are the ANN's, None without decisions."""

    loss: float
    agreement: float | None

    def __str__(self) -> str:
        agreed = "" if self.agreement is None else f", decides as the ANN on {100 * self.agreement:.1f} %"
        return f"loss {self.loss:.4g}{agreed}"


class Trainer:
    """Trains a module.

    Args:
        module: From ``to_module``; it learns in place.
        timesteps: T.
        origin: The ANN's graph.
        samples: To train with, and to judge.
        options: How.
        augment: Of ``finetune``.
    """

    def __init__(
        self,
        module: nn.Module,
        timesteps: int,
        origin: Graph,
        samples: Samples,
        options: TrainingOptions,
        augment: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self.module, self.timesteps, self.origin, self.samples = module, timesteps, origin, samples
        self.options, self.augment = options, augment
        self.parameters = dict(module.named_parameters())
        self.lowest = {
            layer.spike_threshold: layer.spike_threshold.detach() * LOWEST
            for layer in module.modules()
            if isinstance(layer, RateNeuron)
        }
        self.last_use = Plan(origin).last_use_of_all
        self.hidden = HiddenLayers(module) if options.hidden else None
        self.wanted = []
        for inputs, _ in samples.held:
            outputs, activations = self.of_ann(inputs)
            self.wanted.append(outputs)
            if self.hidden is not None:
                self.hidden.measure(activations)
        self.loss = Distillation(origin, self.wanted, options.labels > 0)
        self.learning_rate = options.rate(samples.count)
        self.optimizer = torch.optim.Adam(self.parameters.values(), self.learning_rate)

    def run(self, file: ResumeFile | None, progress: Progress) -> tuple[Judgement, Judgement]:
        """Train; in the end the module has the best parameters that there were. The first judgement, and the best.

        Raises:
            ConversionError: the loss is not finite any more.
            ResumeError: the file to go on from is no such file.
        """
        total, every = self.options.steps, max(1, self.options.steps // JUDGED)
        shown = max(1, total // 200)
        first = self.judged()
        kept = Checkpoint(file, self.parameters, self.optimizer)
        state = kept.read() or State(0, first.loss, first.agreement, None, 0, self.copied())
        now = f"loss {state.loss:.4g}"
        batches = self.batches(state.step)
        while state.step < total and state.idle < PATIENCE:
            if state.step % shown == 0:
                progress.report(f"fine-tuning, {now}", state.step, total)
            self.step(next(batches), state.step)
            state.step += 1
            if state.step % every == 0 or state.step == total:
                found = self.judged()
                now = str(found)
                # A high learning rate first makes it worse than it was; what counts is whether it gets better again.
                goes_on = state.reached is None or found.loss < state.reached
                state.idle = 0 if goes_on else state.idle + 1
                if goes_on:
                    state.reached = found.loss
                if found.loss < state.loss:
                    state.loss, state.agreement, state.best = found.loss, found.agreement, self.copied()
            kept.write(state)
        kept.write(state, finished=True)
        early = (
            ""
            if state.step == total
            else f" ended after {state.step:,} steps, as {PATIENCE} judgements brought nothing"
        )
        progress.report(f"fine-tuning{early}, best loss {state.loss:.4g} for {first.loss:.4g}", total, total)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state.best[name])
        return first, Judgement(state.loss, state.agreement)

    def bound(self) -> dict[str, Any]:
        """What the result depends on beside the network: ANN, samples, options; of ``augment`` its name."""
        return {
            "ann": digest_of_graph(self.origin),
            "data": digest(self.samples.held, self.samples.steps),
            **asdict(self.options),
            "learning_rate": self.learning_rate,
            "augment": getattr(self.augment, "__qualname__", repr(self.augment)),
        }

    def batches(self, step: int) -> Iterator[Batch]:
        """All batches from a step on."""
        while True:
            epoch, skipped = divmod(step, self.samples.steps)
            read = 0
            for batch in self.samples.epoch(epoch):
                read += 1
                if read > skipped:
                    yield batch
            if not read:
                raise ConversionError(
                    "the data gave no batch when they were read again; give a tensor, a Dataset, or an iterable that "
                    "can be read again and again"
                )
            step = (epoch + 1) * self.samples.steps

    def step(self, batch: Batch, step: int) -> None:
        """Learn from a batch."""
        inputs, target = batch
        if self.augment is not None:
            # The same wherever training went on from.
            torch.manual_seed((self.options.seed * 1_000_003 + step) % SEEDS)
            inputs = self.fitting([self.augment(inputs[0]), *inputs[1:]])
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * self.rate(step)
        self.optimizer.zero_grad()
        found = self.found(inputs)
        wanted, activations = self.of_ann(inputs)
        loss = self.loss(found, wanted)
        if self.hidden is not None:
            loss = loss + self.options.hidden * self.hidden(activations)
        if self.options.labels:
            loss = loss + self.options.labels * self.loss.of_labels(found, target)
        if not bool(loss.isfinite()):
            raise ConversionError(
                f"training diverged: the loss of step {step + 1} is not finite; use a smaller learning_rate than "
                f"{self.learning_rate:g}"
            )
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for threshold, lowest in self.lowest.items():
                threshold.clamp_(min=lowest)

    def fitting(self, inputs: list[Tensor]) -> list[Tensor]:
        """What ``augment`` made of a batch, as the network takes it."""
        graph = self.samples.graph
        try:
            made = graph.flatten(graph.unflatten(inputs))
            rows(made)
        except RespikeError as error:
            raise ConversionError(f"what augment gives is no input of the network: {error}") from error
        return made

    def rate(self, step: int) -> float:
        """The learning rate of a step as a share of the highest: a short rise, then half a cosine."""
        total = self.options.steps
        return min(1.0, (step + 1) / max(1.0, WARM_UP * total)) * 0.5 * (1 + math.cos(math.pi * step / total))

    def found(self, inputs: list[Tensor]) -> list[Any]:
        """What the module gives after all its steps."""
        reset_states(self.module)
        outputs = pytree.tree_leaves(self.module(*over_time(self.samples.graph, inputs, self.timesteps)))
        return [x[:, -1] if isinstance(x, Tensor) else x for x in outputs]

    @torch.no_grad()
    def of_ann(self, inputs: list[Tensor]) -> tuple[list[Any], dict[str, Tensor]]:
        """What the ANN gives, and what its hidden layers send, if anybody asks."""
        mode = Analog() if self.hidden is None else Activations()
        outputs = all_outputs(self.origin, inputs, self.last_use, mode)
        return outputs, mode.sent if isinstance(mode, Activations) else {}

    @torch.no_grad()
    def judged(self) -> Judgement:
        """How the module does on the samples held back."""
        tallies = {i: OutputTally(self.origin) for i in self.loss.scores}
        loss, count = 0.0, 0
        for (inputs, target), wanted in zip(self.samples.held, self.wanted, strict=True):
            found, size = self.found(inputs), rows(inputs)
            each = self.loss(found, wanted)
            if self.options.labels:
                each = each + self.options.labels * self.loss.of_labels(found, target)
            loss, count = loss + float(each) * size, count + size
            for i, tally in tallies.items():
                tally.add(found[i], wanted[i])
        agreed = [tally.decided.agreement or 0.0 for tally in tallies.values()]
        return Judgement(loss / count, sum(agreed) / len(agreed) if agreed else None)

    def copied(self) -> dict[str, Tensor]:
        """The parameters as they are now."""
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

"""Find the cheapest T and code whose network does as the ANN does, without labels.

T is doubled, or taken four times where a target is missed by far, for all codes side by side, so that a slow code is
dropped before its long runs once another is cheaper; bisection then narrows T down. What counts is decisions or errors,
see ``judging``. Closeness and synaptic operations grow with T nearly, not strictly: what is found is a T that reaches
the target while T − 1 does not; that no smaller one does is likely, not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, get_args

from ...layers import SpikingLayer
from ...progress import SILENT, Progress
from .. import checks
from ..calibrate.checkpoint import NOTHING, Checkpoint
from ..errors import ConversionError, Refusal
from ..graph import RELU, Graph
from ..graph.rules import ACTIVATIONS, Role, short
from ..options import LIF, MultiThreshold, NeuronName, NeuronOptions, Preference
from .choice import Choice, Trial, goal, table
from .layer_as_neuron import stand_in
from .two_fold import Halves

LIMIT = 64
"""The largest T that is tried."""
TRIALS = "trials"
"""The name under which a checkpoint keeps what was tried."""
_SIGNED = "take neuron='multi_threshold' or neuron='signed'"
_OR_SUMS = f"{_SIGNED}, or population=8: smooth activations as sums of ReLUs, which spikes of one sign can stand for"
_NO_SUMS = f"{_SIGNED}: no sum of ReLUs stands for norms, attention and gates, whatever the population"
FAR = 16
"""A code that misses so many times what may be missing is not tried at twice as many steps, but at four times."""


def candidates(neuron: Any, max_spikes: int) -> list[NeuronOptions]:
    """The codes to try, the plainest first: all, or the one that the user named or showed.

    Raises:
        ConversionError: none of what ``from_torch`` takes.
    """
    max_spikes = checks.whole("max_spikes", max_spikes, 1, checks.STEPS)
    if isinstance(neuron, SpikingLayer):
        if max_spikes != 1:
            raise ConversionError("a neuron given as a layer has its own max_spikes; set it on the layer")
        return [stand_in(neuron)]
    if isinstance(neuron, (LIF, MultiThreshold)):
        name: Any = neuron.name
        return [NeuronOptions(name, max_spikes, **asdict(neuron))]
    if not isinstance(neuron, str):
        raise ConversionError(
            f"neuron must be one of {', '.join(('auto', *get_args(NeuronName)))}, respike.LIF(...), "
            f"respike.MultiThreshold(...) or a layer of respike.layers; got {checks.shown(neuron)}"
        )
    checks.one_of("neuron", neuron, ("auto", *get_args(NeuronName)))
    codes: list[tuple[NeuronName, int]] = [("iaf" if neuron == "auto" else neuron, max_spikes)]  # type: ignore[list-item]
    if neuron == "auto" and max_spikes == 1:
        codes += [("signed", 1), ("iaf", 2), ("iaf", 4), ("multi_threshold", 1), ("signed", 16)]
    return [NeuronOptions(name, most) for name, most in codes]


def of_either_sign(kinds: list[NeuronOptions], graph: Graph, free: bool) -> list[NeuronOptions]:
    """Those of the codes that a network with functions or products of signals can have: spikes of either sign.

    Args:
        kinds: To choose from.
        graph: With roles.
        free: Whether the user leaves the choice to us.

    Raises:
        ConversionError: the user named a code that has spikes of one sign; what needs others is listed.
    """
    wanting = [node for node in graph.nodes if node.kwargs.get("two_sided") and node.op == RELU]
    if not wanting:
        return kinds
    found = [kind for kind in kinds if kind.takes_back]
    if free:
        return sorted(found, key=lambda kind: kind.neuron != "multi_threshold") or [NeuronOptions("multi_threshold")]
    if found:
        return found
    others = {node.role for node in graph.nodes if short(node.op) not in ACTIVATIONS} & {Role.FUNCTION, Role.PRODUCT}
    todo = _NO_SUMS if graph.populations else _SIGNED if others else _OR_SUMS
    places = [Refusal(node.where, "sends numbers of either sign", todo) for node in wanting]
    raise ConversionError(f"{kinds[0].neuron} neurons have spikes of one sign, and this network needs both:", places)


def choose(
    halves: Halves, kinds: Sequence[NeuronOptions], progress: Progress = SILENT, kept: Checkpoint = NOTHING
) -> tuple[Choice, NeuronOptions]:
    """The cheapest of these codes, at its T.

    Raises:
        ConversionError: none is close enough to the ANN.
    """
    done, _ = kept.of(TRIALS) or ([], {})
    known = [Trial(**trial) for trial in done]

    def judge(kind: NeuronOptions, timesteps: int) -> Trial:
        wanted = (timesteps, kind.neuron, kind.max_spikes)
        found = [trial for trial in known if (trial.timesteps, trial.neuron, trial.max_spikes) == wanted]
        trial = found[0] if found else halves.judge(kind, timesteps, progress)
        progress.report(f"tried {trial}")
        if not found:
            known.append(trial)
            kept.note(TRIALS, [asdict(trial) for trial in known], now=kept.due())
        return trial

    options, wanted, within = halves.options, halves.wanted, halves.yardstick.within
    trials = Search(judge, wanted.prefer, within / 100).run(kinds)
    best = _cheapest(trials, wanted.prefer)
    if best is None:
        codes = dict.fromkeys(t.code for t in trials)
        most = [min((t for t in trials if t.code == code), key=lambda t: t.missing) for code in codes]
        repair = "" if options.correction == "ridge" else "correction='ridge', "
        raise ConversionError(
            f"no network of up to {LIMIT} timesteps {goal(most[0], within, 's')} {halves.samples:,} "
            f"calibration samples{_doubt(halves)}. Try {repair}a larger within or more samples, or give timesteps "
            f"as a number. The best of each code:\n{table(most)}"
        )
    kind = next(k for k in kinds if (k.neuron, k.max_spikes) == (best.neuron, best.max_spikes))
    return Choice(best, within, wanted.prefer, halves.samples, tuple(trials)), kind


def _doubt(halves: Halves) -> str:
    """What to say if it was found out that errors count."""
    if halves.wanted.judge != "auto" or halves.yardstick.by != "error":
        return ""
    return (
        " (the outputs were taken for numbers and not for class scores, as decisions say nothing here; if they are "
        "class scores, or the logit of one class, give respike.Auto(judge='decision'))"
    )


class Search:
    """The order in which candidates are tried.

    Args:
        judge: Tries one code at one T.
        prefer: What is to be small.
        allowed: The relative error, or share of samples decided otherwise, that may be missing.
    """

    def __init__(self, judge: Callable[[NeuronOptions, int], Trial], prefer: Preference, allowed: float = 1.0) -> None:
        self.judge, self.prefer, self.allowed = judge, prefer, allowed
        self.trials: list[Trial] = []

    def run(self, kinds: Sequence[NeuronOptions]) -> list[Trial]:
        """All trials, in order."""
        missed: dict[NeuronOptions, Trial | None] = dict.fromkeys(kinds)
        while missed:
            kind = min(missed, key=lambda k: self._next(missed[k]))
            before, steps = missed[kind], self._next(missed[kind])
            if steps > LIMIT:
                break
            trial = self._try(kind, steps)
            if not trial.reached:
                missed[kind] = trial
                continue
            del missed[kind]
            if before is not None:
                self._narrow(kind, before, trial)
        return self.trials

    def _next(self, missed: Trial | None) -> int:
        """The T to try after one that misses the target; above the limit if none can be cheaper than the best so far.

        It is twice the last one, four times if that misses by ``FAR``, or the largest that can still be cheaper if
        costs grow in proportion: they grow more slowly, so a code may stay in the race, and then goes on by an eighth
        at least.
        """
        if missed is None:
            return 1
        best, t = _cheapest(self.trials, self.prefer), missed.timesteps
        following = (4 if missed.missing > FAR * self.allowed else 2) * t
        most = following
        if best is not None and self.prefer == "latency":
            most = best.timesteps
        elif best is not None and missed.synops >= best.synops:
            most = t
        elif best is not None and missed.synops:
            most = max(t + max(1, t // 8), int(t * best.synops / missed.synops))
        return min(following, most, LIMIT) if t < min(most, LIMIT) else LIMIT + 1

    def _narrow(self, kind: NeuronOptions, missed: Trial, reached: Trial) -> None:
        """Bisect between a T that misses the target and one that reaches it, as long as it can pay."""
        while reached.timesteps - missed.timesteps > 1 and self._next(missed) <= LIMIT:
            trial = self._try(kind, (missed.timesteps + reached.timesteps) // 2)
            if trial.reached:
                reached = trial
            else:
                missed = trial

    def _try(self, kind: NeuronOptions, timesteps: int) -> Trial:
        self.trials.append(self.judge(kind, timesteps))
        return self.trials[-1]


def _cheapest(trials: Sequence[Trial], prefer: Preference) -> Trial | None:
    return min((t for t in trials if t.reached), key=lambda t: t.cost(prefer), default=None)

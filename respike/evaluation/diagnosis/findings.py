"""From numbers to causes and to what helps.

A layer is called broken by what it does alone, with exact and even input (``Trial``): there no other layer's fault
shows, and what it could do at best with this T is known. Which of its parts is at fault is told by the one whose
change makes it better. What is left over when no layer is broken is the price of T and of the code. A remedy is
suggested only if it was tried and helps, see ``Remedies``; and weights and biases of which none helps are not broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .remedies import Remedies
from .result import Cause, Finding, LayerDiagnosis, Trial

RATIO = 2.5
"""Times its least error from which on a layer is broken; sound ones have up to about 1.6, "max" thresholds 2.3."""
EXCESS = 0.2
"""And by so much of the ANN's root mean square."""
DEAD = 0.99
"""Share of the ANN's output that a dead layer loses."""
FAR = 30.0
"""From so many times the best threshold on, a silent layer is called dead and not too slow."""
EVENLY = 0.85
"""Share of a change of the current that is the same within a channel, from which on it is a shifted bias."""
COARSE = 0.2
"""Error of the output from which on T is called too small."""
FINE = 0.07
"""Error of a layer alone, on average, that a suggested T is to bring."""
ROUNDING = 1e-5
"""Error of a layer up to which it is rounding."""
NOTHING = "The usual remedy was tried on these samples and does not reduce the output's error."
MADE_UP: frozenset[Cause] = frozenset({"weights changed", "bias shifted"})
"""What calibration may have done on purpose, to make up for what really arrives, which is neither exact nor even: if to
undo it does not help, it is no fault."""
BEYOND = 0.1
"""Share of the ANN's squared output beyond what calibration saw, from which on that can be the cause."""
EXPLAINED = 0.5
"""Times the threshold that calibration would choose, from which on a threshold is not too low."""
LARGEST = 256
"""Largest T that is suggested."""


def findings(
    layers: Sequence[LayerDiagnosis],
    timesteps: int,
    calibrated: int,
    schedule: str,
    output_error: float,
    propagated: float,
    alone: Callable[[int], float],
    remedies: Remedies,
) -> tuple[Finding, ...]:
    """What is broken, or else what dominates.

    Args:
        layers: The layers, in the order of the network.
        timesteps: T of the runs.
        calibrated: T that the network was calibrated for.
        schedule: The network's schedule.
        output_error: See ``Diagnosis``.
        propagated: Likewise.
        alone: The error that layers have alone at another T, with thresholds for it; the mean over all layers.
        remedies: Tries what is to be suggested.
    """
    labels = _labels(layers)
    harmed = [x for x in layers if _is_broken(x)]
    beyond = [x for x in harmed if _is_beyond(x)]
    broken = [x for x in harmed if x not in beyond]
    found = _mended(broken, labels, calibrated, remedies)
    if output_error > RATIO * propagated and output_error > propagated + EXCESS:
        text = (
            f"The readout is broken: the output is off by {_percent(output_error)} of its standard deviation, and with "
            f"the ANN's own weights behind the last neurons by {_percent(propagated)}."
        )
        found.append(_anew("readout changed", text, calibrated, remedies))
    if beyond:
        reach = max(x.trial.reach for x in beyond if x.trial)
        text = (
            f"These samples exceed the calibration data: {', '.join(x.where for x in beyond)} "
            f"{'has' if len(beyond) == 1 else 'have'} up to {reach:.1f} times the "
            "largest output in the ANN that was seen there. Calibrate again with samples such as these among the "
            "calibration data, or scale them to its range."
        )
        found.append(_anew("beyond calibration", text, calibrated, remedies))
    silent = [_never_active(layer) for layer in layers if layer.trial is None]
    if found or len(silent) == len(layers):
        return (*found, *silent)
    if output_error > COARSE:
        return (_too_few(timesteps, calibrated, output_error, alone, remedies), *silent)
    return (_dominant(layers, timesteps, schedule, alone, remedies), *silent)


def _mended(
    broken: Sequence[LayerDiagnosis], labels: dict[str, str], calibrated: int, remedies: Remedies
) -> list[Finding]:
    """A finding for each broken layer; what is suggested is what lessens the output's error."""
    helps = bool(broken) and remedies.recalibrating([x.name for x in broken])
    again = remedies.call(calibrated) if broken and not helps and remedies.anew(calibrated) else ""
    found = []
    for layer in broken:
        assert layer.trial is not None
        suggestion = f'snn = snn.recalibrated(calibration, "{labels[layer.name]}")' if helps else again
        one = _broken(layer, layer.trial, suggestion)
        if suggestion:
            found.append(one)
        elif one.cause not in MADE_UP:
            found.append(replace(one, text=f"{one.text} {NOTHING}"))
    return found


def _anew(cause: Cause, text: str, calibrated: int, remedies: Remedies) -> Finding:
    helps = remedies.anew(calibrated)
    suggestion = remedies.call(calibrated) if helps else ""
    return Finding(cause, True, None, text if helps else f"{text} {NOTHING}", suggestion)


def _never_active(layer: LayerDiagnosis) -> Finding:
    start = f"{layer.where} is never active in the ANN on these samples"
    if layer.silent < 1:
        return Finding("never active", True, layer.name, f"{start}, and {_percent(1 - layer.silent)} of it fires.", "")
    return Finding("never active", False, layer.name, f"{start}, so it never fires; no conversion can change that.", "")


def _is_broken(layer: LayerDiagnosis) -> bool:
    trial = layer.trial
    return trial is not None and trial.now > RATIO * trial.best and trial.now > trial.best + EXCESS


def _is_beyond(layer: LayerDiagnosis) -> bool:
    """Whether outputs beyond what calibration saw explain the fault: a threshold that was right for what it saw."""
    trial = layer.trial
    return trial is not None and trial.beyond > BEYOND and trial.factor * trial.reach > EXPLAINED


def _broken(layer: LayerDiagnosis, trial: Trial, suggestion: str) -> Finding:
    cause, why = _cause(trial)
    text = (
        f"{layer.where} is broken: {why}. Given exactly what the ANN sends, it is off by {_percent(trial.now)} of the "
        f"ANN's output, and by {_percent(trial.best)} once calibrated again."
    )
    return Finding(cause, True, layer.name, text, suggestion)


def _cause(trial: Trial) -> tuple[Cause, str]:
    high = trial.factor > 1
    times = trial.factor if high else 1 / trial.factor
    by_threshold = trial.threshold < trial.correction
    if by_threshold:
        why = f"its threshold is {times:,.1f} times too {'high' if high else 'low'}"
    elif trial.evenly > EVENLY:
        sign = "up" if trial.shift > 0 else "down"
        why = f"its bias is shifted {sign} by {abs(trial.shift):,.2g} times the mean active output"
    else:
        why = "its weights are not the ANN's any more"
    if trial.lost >= DEAD and not (by_threshold and high and times < FAR):
        return "dead", f"it is dead: no neuron fires where the ANN's are active, for {why}"
    if by_threshold:
        lost = f", and {_percent(trial.lost)} of the ANN's output is lost on silent neurons" if high else ""
        return ("threshold too high" if high else "threshold too low"), why + lost
    return ("bias shifted" if trial.evenly > EVENLY else "weights changed"), why


def _too_few(
    timesteps: int, calibrated: int, output_error: float, alone: Callable[[int], float], remedies: Remedies
) -> Finding:
    enough, error = 2 * timesteps, alone(2 * timesteps)
    while error > FINE and 2 * enough <= LARGEST:
        enough, error = 2 * enough, alone(2 * enough)
    text = (
        f"No layer is broken, but T = {timesteps} is too small: the output is off by {_percent(output_error)} of its "
        f"standard deviation. With exact input a layer is off by {_percent(alone(timesteps))} on average at this T, "
        f"and by {_percent(error)} at T = {enough}."
    )
    if timesteps < calibrated:
        text += f" The network was calibrated for T = {calibrated}."
    return _anew("timesteps too few", text, enough, remedies)


def _dominant(
    layers: Sequence[LayerDiagnosis],
    timesteps: int,
    schedule: str,
    alone: Callable[[int], float],
    remedies: Remedies,
) -> Finding:
    made: dict[Cause, float] = {}
    for name in ("clipping", "quantisation", "unevenness"):
        # Each layer counts by its error relative to the ANN's output, whatever its size.
        made[name] = sum(max(x.parts[name].share, 0) * x.relative**2 for x in layers)
    total = sum(made.values())
    if total <= ROUNDING**2:
        return Finding("quantisation", False, None, "No layer is broken, and none makes an error.", "")
    cause = max(made, key=lambda name: made[name])
    text = (
        f"No layer is broken. Most of the error that layers make themselves is {cause} "
        f"({100 * made[cause] / total:.0f} %)"
    )
    takes_back = any(layer.neuron in ("signed", "multi_threshold") for layer in layers)
    even: dict[str, Any] = {"schedule": "pipelined"} if takes_back else {"neuron": "signed"}
    tries: list[tuple[str, int, dict[str, Any]]] = []
    if cause == "unevenness" and schedule == "synchronous":
        waits = "with schedule='pipelined' or schedule='layerwise' each layer waits for more input, at more latency"
        text += ": spikes that come before charge that would have prevented them. "
        text += f"W{waits[1:]}" if takes_back else f"Signed neurons take them back, and {waits}"
        tries.append(("", timesteps, even))
    now, twice = _percent(alone(timesteps)), _percent(alone(2 * timesteps))
    more = f"With exact input a layer is off by {twice} on average at T = {2 * timesteps} instead of {now}."
    tries.append((more, 2 * timesteps, {}))
    for told, steps, changes in tries:
        if remedies.instead(steps, **changes):
            return Finding(cause, False, None, f"{text}. {told}".strip(), remedies.call(steps, **changes))
    return Finding(cause, False, None, f"{text}. {NOTHING}", "")


def _labels(layers: Sequence[LayerDiagnosis]) -> dict[str, str]:
    """What to call each layer by: its place, or its node where several have the same place."""
    places = [layer.where for layer in layers]
    return {x.name: x.where if places.count(x.where) == 1 else x.name for x in layers}


def _percent(value: float) -> str:
    return f"{100 * value:,.1f} %"

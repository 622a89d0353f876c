"""What a check of a network against a chip found."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..convert.network import SpikingNetwork
from ..text import printable
from .functions import function_place

LINE = 120
"""Characters of a line of what to change."""
PLACES = 4
"""Most places that a line names."""


@dataclass(frozen=True)
class Rule:
    """One limit of a chip, held against one layer or the whole network.

    Attributes:
        name: Of the rule.
        layer: The layer's place in the user's model; ``""`` for the whole network.
        found: What the network has.
        limit: What the chip takes.
        passed: Whether that fits; None if it is not known without calibration data.
        remedy: What to change; ``""`` if it passed.
        source: The document or code that the limit is from; ``""`` if it follows from how cores work.
    """

    name: str
    layer: str
    found: str
    limit: str
    passed: bool | None
    remedy: str = ""
    source: str = ""


@dataclass(frozen=True)
class CoreUse:
    """What a layer takes in a core.

    Attributes:
        layer: Its place in the user's model.
        kernel: Words of kernel memory.
        neurons: Words of neuron memory.
        biases: Words of bias memory.
        core: That it was given; None if none is left that holds it.
    """

    layer: str
    kernel: int
    neurons: int
    biases: int
    core: int | None


@dataclass(frozen=True)
class Check:
    """What ``respike.check`` found. ``str`` of it is a table.

    Attributes:
        target: Name of the chip's table.
        title: Of the chip.
        rules: Each limit for each layer that it concerns.
        cores: What each layer takes in a core.
        network: The network in whole numbers, as it was checked.
        quantised: Whether it was made so by the check.
        agreement: Share of samples in which it decides as the network that was given, or None: nothing to compare.
        samples: How many samples ran.
    """

    target: str
    title: str
    rules: tuple[Rule, ...]
    cores: tuple[CoreUse, ...]
    network: SpikingNetwork
    quantised: bool
    agreement: float | None
    samples: int

    @property
    def passed(self) -> bool:
        """Whether no rule failed; some may be open without calibration data."""
        return not self.failed

    @property
    def failed(self) -> tuple[Rule, ...]:
        """The rules that failed."""
        return tuple(rule for rule in self.rules if rule.passed is False)

    @property
    def open(self) -> tuple[Rule, ...]:
        """The rules that need calibration data."""
        return tuple(rule for rule in self.rules if rule.passed is None)

    def as_dict(self) -> dict[str, Any]:
        """All of it but the network, for JSON."""
        return {
            "target": self.target,
            "title": self.title,
            "passed": self.passed,
            "quantised": self.quantised,
            "agreement": self.agreement,
            "samples": self.samples,
            "rules": [asdict(rule) for rule in self.rules],
            "cores": [asdict(use) for use in self.cores],
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The memory of each layer beside that of the cores, as a figure of matplotlib.

        Args:
            path: Where to write it; None for nowhere.

        Raises:
            ValueError: an ending that matplotlib cannot write.
        """
        from ..figures.core_memory import core_memory_figure
        from ..figures.style import save
        from .targets import target_named

        figure = core_memory_figure(self.cores, target_named(self.target), self.title)
        if path is not None:
            save(figure, path)
        return figure

    def __str__(self) -> str:
        failed, names = self.failed, list(dict.fromkeys(rule.name for rule in self.rules))
        broken = len({rule.name for rule in failed})
        verdict = "the network fits" if not failed else f"the network does not fit: {broken} of {len(names)} rules fail"
        lines = [f"{self.title}: {verdict}", *self._notes(), ""]
        width = max(map(len, names))
        by_name = [[rule for rule in self.rules if rule.name == name] for name in names]
        for rules in sorted(by_name, key=_mildness):
            lines += _lines(rules, width)
        return printable("\n".join(lines), keep="\n")

    def _notes(self) -> list[str]:
        found = []
        if self.quantised:
            found.append("checked in whole numbers, as snn.quantised makes them (found.network); it had none")
        if self.agreement is not None:
            found.append(
                f"decides as the network that was given on {100 * self.agreement:.1f} % of {self.samples} samples"
            )
        if self.open:
            names = ", ".join(dict.fromkeys(rule.name for rule in self.open))
            found.append(f"open without samples to run: {names}")
        return found


def _mildness(rules: list[Rule]) -> int:
    """What failed comes first, then what is open: 0, 1, and 2 for what passes everywhere."""
    return min({False: 0, None: 1, True: 2}[rule.passed] for rule in rules)


def _lines(rules: list[Rule], width: int) -> list[str]:
    """A line for all layers if a rule passes; if not, each thing found, once with all its places, and what to do."""
    lines, name = [], rules[0].name
    passed = [rule for rule in rules if rule.passed]
    if passed and len(passed) == len(rules):
        values = list(dict.fromkeys(rule.found for rule in passed))
        shown = "; ".join(values if len(values) <= 3 else [values[0], "...", values[-1]])
        limit = f"  (limit: {passed[0].limit})" if passed[0].limit else ""
        lines.append(f"  ok      {name:<{width}}  {shown}{limit}")
    for remedy, alike in _alike(rules).items():
        for rule, places in alike.items():
            mark = "FAILED" if rule.passed is False else "open  "
            limit = f"  (limit: {rule.limit})" if rule.limit else ""
            lines.append(f"  {mark}  {name:<{width}}  {_at(places)}{rule.found}{limit}")
        lines += textwrap.wrap(
            f"-> {remedy}",
            LINE,
            initial_indent=" " * (width + 12),
            subsequent_indent=" " * (width + 15),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _alike(rules: list[Rule]) -> dict[str, dict[Rule, Counter[str]]]:
    """What did not pass: by what to change, what was found, and how often at each place."""
    found: dict[str, dict[Rule, Counter[str]]] = {}
    for rule in rules:
        if not rule.passed:
            same = found.setdefault(rule.remedy, {}).setdefault(replace(rule, layer=""), Counter())
            same[function_place(rule.layer)] += 1
    return found


def _at(places: Counter[str]) -> str:
    """Where something was found, and at how many nodes if the places do not tell."""
    named = [place for place in places if place]
    if not named:
        return ""
    shown = named if len(named) <= PLACES else [*named[: PLACES - 1], f"{len(named) - PLACES + 1} more"]
    total = places.total()
    count = f" [{total} nodes]" if total > len(named) else ""
    return f"{', '.join(shown)}{count}: "

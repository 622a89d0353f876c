"""A report: everything that is known of one network, in what JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...evaluation import Evaluation
from ...evaluation.formatting import as_json
from ...text import printable
from .spreadsheets import tables, write

FORMAT = "respike report 1"
Section = Mapping[str, Any]
"""Numbers and words by name."""

NEEDED: dict[str, Sequence[str]] = {
    "evaluation": (
        "samples schedule accuracy ann_accuracy agreement spikes synops macs ann_macs neurons latency layers metric"
    ).split(),
    "network": "schedule timesteps precision latency layers".split(),
    "cost": "model energy parts baselines verdict".split(),
    "early_exit": "samples timesteps score accuracy fixed_accuracy latency percentiles stopped curve".split(),
    "diagnosis": "samples timesteps output_error layers findings".split(),
    "activations": "samples timesteps layers".split(),
    "decisions": "samples timesteps classes confusion differing".split(),
    "sample": "index timesteps scores layers".split(),
    "run": (),
}
"""What the pages and charts read of each section."""


@dataclass(frozen=True)
class Report:
    """All results about one network; parts other than ``name`` and ``evaluation`` may be missing.

    Attributes:
        name: What the network is called on the page.
        evaluation: ``Evaluation.as_dict()``.
        network: ``SpikingNetwork.as_dict()``.
        cost: ``Cost.as_dict()``.
        early_exit: ``ExitEvaluation.as_dict()``.
        diagnosis: ``Diagnosis.as_dict()``.
        activations: Of each layer, the ANN's values and the rates that stand for them; see ``activations``.
        decisions: Which class was taken for which, and where SNN and ANN differ; see ``decisions``.
        sample: Spikes and membrane potentials of one sample; see ``sample``.
        run: How it came about: data, seed, versions and the command, as far as known.
    """

    name: str
    evaluation: Section
    network: Section | None = None
    cost: Section | None = None
    early_exit: Section | None = None
    diagnosis: Section | None = None
    activations: Section | None = None
    decisions: Section | None = None
    sample: Section | None = None
    run: Section = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in fields(self):
            object.__setattr__(self, part.name, _printable(getattr(self, part.name)))

    @classmethod
    def of(cls, result: Evaluation, name: str = "network", **sections: Section | None) -> Report:
        """What an evaluation alone knows, its cost included, and other sections that are at hand."""
        evaluation = {key: value for key, value in result.as_dict().items() if key != "sums"}
        return cls(name, evaluation, **{"cost": result.cost().as_dict(), **sections})  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, Any]:
        """Everything, in lists and numbers."""
        return {"format": FORMAT, **asdict(self)}

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """The report as JSON text, also written to ``path`` if given."""
        return as_json(self.as_dict(), path, indent=None)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> Report:
        """A report that ``to_json`` wrote, or an evaluation (``respike evaluate --json``), which is named by its file.

        Raises:
            ValueError: the file is no JSON, or none of the two, or something is missing in it.
            FileNotFoundError: it is not there.
        """
        place = Path(path)
        try:
            found = json.loads(place.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:  # of JSON or of Unicode
            raise InputError(f"{place} is not a JSON file: {error}") from error
        kind = found.get("format") if isinstance(found, dict) else None
        if kind == "respike evaluation 1":
            found = {"name": place.stem, "evaluation": found, "early_exit": found.get("early_exit")}
        elif kind != FORMAT:
            raise InputError(
                f"{place} is not a report: it says {kind!r} where {FORMAT!r} is expected; "
                "write one with respike report MODEL -o FILE.json"
            )
        known = {f.name: found[f.name] for f in fields(cls) if f.name in found}
        _check(known, place)
        try:
            return cls(**known)
        except RecursionError as error:
            raise InputError(f"{place} is a damaged report: it is nested too deep") from error

    def to_csv(self, folder: str | PathLike[str]) -> list[Path]:
        """Tables, one file each: ``timesteps.csv``, ``layers.csv`` and, as far as known, others.

        Args:
            folder: Made if it is not there; its own folder must be.

        Returns:
            The files written.
        """
        return write(tables(self), folder)


def _printable(value: Any) -> Any:
    """The same without control characters: names come from networks and files, and go to pages and terminals."""
    if isinstance(value, str):
        return printable(value, keep="\n")
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, (list, tuple)) else value


def _check(sections: Mapping[str, Any], place: Path) -> None:
    if not isinstance(sections.get("name"), str):
        raise InputError(f"{place} is a damaged report: it has no name")
    for name, needed in NEEDED.items():
        section = sections.get(name)
        if section is None and name != "evaluation":
            continue
        if not isinstance(section, dict):
            raise InputError(f"{place} is a damaged report: its part {name!r} is missing or no object")
        missing = [key for key in needed if key not in section]
        if missing:
            raise InputError(f"{place} is a damaged report: {name} has no {', '.join(missing)}")

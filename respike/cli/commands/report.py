"""``respike report``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ...errors import RespikeError
from ...source_names import SourceError, ending, is_saved, require
from ..command import Command, echo, option, say_json
from ..conversion_options import CONVERSION
from ..given import command_line, given
from ..options import ANN_ON, BATCH_SIZE, DATA_ARE, ENERGY, ENERGY_NAMES, JSON, MODEL_AND_DATA, MODELS_ARE, RESUME, TEST
from ..values import Choice, ModelName, Names, Output

WRITING = {"model", "output", "csv", "charts", "format", "json", "name"}
"""Options that mean something for reports that are there already."""


def _files(models: tuple[str, ...]) -> list[str]:
    """Reports in files, if that is what is named; else there is one model.

    Raises:
        ValueError: a mixture, or several models.
    """
    files = [name for name in models if ending(name) == ".json"]
    if files and len(files) < len(models):
        other = next(name for name in models if name not in files)
        raise SourceError(
            f"reports are compared with reports: first write one of {other}, respike report {other} -o NAME.json"
        )
    if not files and len(models) > 1:
        raise SourceError(
            f"a report describes one model, got {', '.join(models)}; to compare several, write a report of each "
            "(-o NAME.json), then a report of these files"
        )
    return files


def _read(files: list[str], name: str | None) -> list[Any]:
    """Reports from files."""
    from ...report import Report

    stray = [f"--{key.replace('_', '-')}" for key in given() if key not in WRITING]
    if stray:
        raise SourceError(f"{files[0]} is already a report; {', '.join(stray)} cannot be changed")
    if name is not None and len(files) > 1:
        raise SourceError("--name needs a single report; several reports keep the names in their files")
    for file in files:
        require(Path(file), "report")
    reports = [Report.from_json(file) for file in files]
    return reports if name is None else [replace(reports[0], name=name)]


def _gather(options: dict[str, Any]) -> Any:
    """The report of a model."""
    from ... import evaluation
    from ...report import gather
    from ..images import class_names
    from ..network import beside, checked, data_name, find_test, network

    test = find_test(options)
    ann, snn = network(options, beside(options["resume"]))
    test = checked(snn, ann, test, options)
    names = {key: options[key] for key in ("model", "weights", "ann")} | {"data": data_name(options, "data")}
    return gather(
        snn,
        test,
        ann,
        name=options["name"] or options["model"],
        calibration=_calibration(options, snn),
        classes=options["classes"] or class_names(options),
        sample=options["sample"],
        judge=options["judge"],
        ann_on=options["ann_on"],
        agreement=options["early_exit"],
        energy=getattr(evaluation, ENERGY_NAMES[options["energy"]]),
        batch_size=options["batch_size"],
        resume=options["resume"],
        seed=options["seed"],
        command=command_line(),
        run={key: str(value) for key, value in names.items() if value is not None},
    )


def _calibration(options: dict[str, Any], snn: Any) -> Any:
    """The samples to choose the early exit on; None for a network from a file, if none are at hand.

    Raises:
        SourceError: those that were named are not there.
    """
    from ...sources import own_data
    from ..network import calibration

    if not is_saved(options["model"]) or options["calibration"] is not None:
        return calibration(options, snn)
    if own_data(options["ann"] or "") is not None:
        try:
            return calibration(options, snn)
        except SourceError:
            if options["data_dir"] is not None:
                raise
    echo("the page has no early exit, as that needs calibration samples: name them with --calibration", err=True)
    return None


def _write(reports: list[Any], output: Path, options: dict[str, Any]) -> list[str]:
    """Everything that was asked for; what was written, in words."""
    from ...report import write_charts, write_page

    report, alone = reports[0], len(reports) == 1
    asked = [f"--{key}" for key in ("csv", "charts") if options[key] is not None]
    asked += [f"--output {output}"] if ending(output) == ".json" else []
    if not alone and asked:
        raise SourceError(f"{', '.join(asked)} needs a single report; several reports go on one page")
    if ending(output) == ".json":
        report.to_json(output)
    else:
        write_page(reports, output)
    told = [f"{'report' if ending(output) == '.json' else 'page'}: {output}"]
    if options["csv"] is not None:
        told.append(f"tables: {', '.join(map(str, report.to_csv(options['csv'])))}")
    if options["charts"] is not None:
        told.append(f"charts: {len(write_charts(report, options['charts'], options['format']))} in {options['charts']}")
    return told


@click.command(
    cls=Command,
    short_help="Write a page about a network, or compare several.",
    epilog=f"""{MODELS_ARE} REPORT.json is what -o REPORT.json or respike evaluate --json wrote.

{DATA_ARE}

\b
Examples:
  respike report mnist_cnn -T 8 -o mnist.html
  respike report mnist_cnn -T 4 -o four.json
  respike report four.json eight.json -o comparison.html
  respike report four.json -o four.html --csv tables --charts figures --format png""",
)
@click.argument("model", type=ModelName(), nargs=-1, required=True, metavar="MODEL | REPORT.json ...")
@MODEL_AND_DATA
@TEST
@ANN_ON
@BATCH_SIZE
@option("--name", part="Report", help="Name of the network in the report; by default MODEL.")
@option("--classes", type=Names(), metavar="NAME,NAME,...", part="Report", help="Names of the classes.")
@option("--sample", default=0, part="Report", help="Index of the test sample whose spikes are shown.")
@option(
    "--early-exit",
    type=float,
    default=99.9,
    metavar="PERCENT",
    part="Report",
    help="Agreement that early exit must reach.",
)
@ENERGY
@option(
    "-o",
    "--output",
    type=Output(["html", "htm", "json"]),
    metavar="FILE",
    default="respike-report.html",
    part="Report",
    help="Write the page to this file; .json keeps the data, to make pages from later.",
)
@option("--csv", type=Output(folder=True), metavar="FOLDER", part="Report", help="Also write tables to this folder.")
@option(
    "--charts", type=Output(folder=True), metavar="FOLDER", part="Report", help="Also write each chart to this folder."
)
@RESUME
@option("--format", type=Choice(["svg", "png"]), default="svg", part="Report", help="File format of --charts.")
@CONVERSION
@JSON
def report(model: tuple[str, ...], output: Path | None, as_json: bool, **options: Any) -> None:
    """Convert MODEL and write one page about it, or compare reports from files.

    Accuracy against timesteps, cost beside three ANNs, early exit, each layer's errors, spikes of a sample, and where
    the network and its ANN differ: one HTML file that works offline. Charts need respike[report].
    """
    files = _files(model)
    found = _read(files, options["name"]) if files else [_gather({**options, "model": model[0]})]
    if output is None:  # another process writes it
        return
    try:
        written = _write(found, output, options)
    except (RespikeError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        if not files:
            raise
        # A file may hold values of any type. In a report that was made just now, they would be a bug.
        reason = f"{type(error).__name__}: {error}"
        raise SourceError(f"{', '.join(files)}: a damaged report ({reason}); write it again") from error
    if as_json:
        told = [one.as_dict() for one in found]
        say_json(told[0] if len(told) == 1 else told)
    echo("\n".join(written), err=True)

"""The command line: arguments in, one call each, a table or JSON out."""

from __future__ import annotations

import json
import sys
from functools import wraps
from pathlib import Path
from typing import Any

import click

from .cli_options import CONVERSION, CONVERSION_NAMES, JSON, MODEL, ONNX, OUT, shape, steps

FOUR_WAYS = "Models are named mnist_cnn, torchvision:resnet18, net.onnx, or package.module:callable."


def _guarded(fn: Any) -> Any:
    """Errors a user can mend become one message and exit code 1, Ctrl-C becomes 130; others keep their traceback."""

    @wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except (ValueError, FileNotFoundError) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted; nothing was half-written", err=True)
            sys.exit(130)

    return run


def _say(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line} ...", nl=False, err=True)


def _said() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _convert(model: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """The network a name stands for, and the spiking network made from it."""
    from . import sources
    from .convert import from_torch

    ann = sources.find_model(model, options["weights"], options["outputs"], options["verify"])
    calibration = sources.find_calibration(options["calibration"], options["data_dir"], options["image_size"])
    snn = from_torch(ann, calibration, progress=_say, **{name: options[name] for name in CONVERSION_NAMES})
    _said()
    return ann, snn


def _found(snn: Any) -> dict[str, Any]:
    """What conversion chose by itself, and why."""
    found = {"choice": snn.choice, "allocation": snn.allocation, "precision_choice": snn.precision_choice}
    return {name: value for name, value in found.items() if value is not None}


def _early(snn: Any, test: Any, agreement: float, batch_size: int, options: dict[str, Any]) -> Any:
    """How the network does if its samples stop early."""
    from . import sources
    from .convert import EarlyExit
    from .evaluation import evaluate_exit

    calibration = sources.find_calibration(options["calibration"], options["data_dir"], options["image_size"])
    early = EarlyExit(snn, calibration, agreement=agreement, samples=options["samples"], seed=options["seed"])
    return evaluate_exit(early, test, batch_size=batch_size)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="respike")
def main() -> None:
    """Turn a trained ReLU network into a spiking network that does the same job.

    Start with `respike demo`: it converts a trained MNIST network and shows its accuracy growing with the
    number of timesteps. Then `respike evaluate` does the same for yours.
    """


@main.command()
@click.option(
    "-T",
    "--timesteps",
    callback=steps,
    metavar="T,T,...",
    default="2,4,8,16",
    show_default=True,
    help="One network for each.",
)
@click.option("--samples", default=10_000, show_default=True, type=click.IntRange(1, 10_000), help="Test images used.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="respike-demo.png", show_default=True
)
@JSON
@_guarded
def demo(timesteps: list[int], samples: int, output: Path, as_json: bool) -> None:
    """Convert the MNIST CNN that ships with respike and judge it on the test images.

    For each T a network is calibrated on 512 unlabelled training images, then run on the 10,000 test images.
    Takes a few minutes on two cores; --samples 1000 is a quick look.
    """
    from torch.utils.data import Subset

    from . import from_torch, models
    from .evaluation import comparison, evaluate
    from .report import accuracy_figure, save

    ann = models.load("mnist_cnn")
    calibration = models.datasets.calibration()
    test = Subset(models.datasets.load("mnist"), range(samples))
    results = {}
    for t in timesteps:
        snn = from_torch(ann, calibration, t, progress=_say)
        _said()
        results[f"T = {t}"] = evaluate(snn, test, ann=ann)
    if as_json:
        click.echo(json.dumps({name: result.as_dict() for name, result in results.items()}))
    else:
        click.echo("MNIST CNN, four layers of integrate-and-fire neurons, one network calibrated for each T\n")
        click.echo(comparison(list(results.values())))
    save(accuracy_figure(results, "MNIST CNN as a spiking network"), output)
    click.echo(f"figure: {output}", err=as_json)


@main.command(epilog=FOUR_WAYS)
@MODEL
@CONVERSION
@JSON
@_guarded
def convert(model: str, as_json: bool, **options: Any) -> None:
    """Convert MODEL and show each spiking layer: neuron, size, thresholds, fan-out.

    A network that cannot become spiking is refused with a list of the nodes in the way.
    --calibration random:3x64x64 is enough to see whether a network converts at all.
    """
    _, snn = _convert(model, options)
    for told in _found(snn).values():
        if not as_json:
            click.echo(f"{told}\n")
    click.echo(json.dumps(snn.as_dict()) if as_json else snn.summary())


@main.command(epilog=FOUR_WAYS)
@MODEL
@click.option("--data", default="mnist", show_default=True, help="Labelled test data, named as for --calibration.")
@click.option("--batch-size", default=100, show_default=True)
@click.option("--against-float32", is_flag=True, help="Run in float32 too, and print how often decisions are the same.")
@click.option(
    "--early-exit",
    type=float,
    metavar="PERCENT",
    help="Stop each image as soon as its answer is clear, so that so many keep the answer of all T steps; 99.9, say.",
)
@CONVERSION
@OUT
@JSON
@_guarded
def evaluate(
    model: str,
    data: str,
    batch_size: int,
    against_float32: bool,
    early_exit: float | None,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert MODEL and print accuracy, agreement, spikes and SynOps against timesteps.

    Data sets are named mnist, fashion_mnist, folder:DIR, FILE.npz or FILE.safetensors (arrays x and y).
    """
    from . import sources
    from .evaluation import evaluate as judge
    from .report import save

    test = sources.find_test_data(data, options["data_dir"], options["image_size"])
    ann, snn = _convert(model, options)
    try:
        result = judge(snn, test, ann=ann, batch_size=batch_size, against_float32=against_float32)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    found = _found(snn)
    after = {} if early_exit is None else {"early_exit": _early(snn, test, early_exit, batch_size, options)}
    if as_json:
        told = {name: value.as_dict() for name, value in (found | after).items()}
        click.echo(json.dumps({**result.as_dict(), **told}, indent=1, allow_nan=False))
    else:
        click.echo("\n\n".join(str(x) for x in (*found.values(), result, *after.values())))
    if output is not None:
        save(result.plot(), output)
        click.echo(f"figure: {output}", err=as_json)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@ONNX
@click.option(
    "--input", "shape", callback=shape, metavar="CxHxW", help="Shape of a sample, if the file leaves it open."
)
@JSON
@_guarded
def inspect(file: Path, outputs: list[str] | None, verify: bool, shape: list[int] | None, as_json: bool) -> None:
    """Look into an ONNX FILE: inputs, outputs, operators, and what each node would become.

    Nothing is calibrated, so no data is needed. The exit code is 1 if the network cannot be converted as it is.
    """
    from . import sources
    from .convert import inspect_onnx

    found = inspect_onnx(file, outputs=outputs, shape=shape)
    click.echo(json.dumps(found.as_dict()) if as_json else str(found))
    if verify:
        sources.find_model(str(file), None, found.judged, verify)
    if found.problem:
        sys.exit(1)


@main.command()
@click.option(
    "-T",
    "--timesteps",
    callback=steps,
    metavar="T,T,...",
    default="4,16,64",
    show_default=True,
    help="For IAF; all others take the largest.",
)
@click.option(
    "--tau",
    "taus",
    type=float,
    multiple=True,
    default=(5.0, 20.0),
    show_default=True,
    help="Of LIF, in timesteps; with --neuron the first.",
)
@click.option(
    "--neuron", metavar="NAME|all", help="A neuron by its class, say Leaky, or all, beside closed form and rheobase."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="curves.png", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print the curves as JSON too.")
@_guarded
def curve(timesteps: list[int], taus: tuple[float, ...], neuron: str | None, output: Path, as_json: bool) -> None:
    """Draw the transfer curves of neurons beside the ReLU they stand in for.

    The firing rate of each neuron against a constant current; below, what is left between it and the
    clipped ReLU. With --neuron, any or all of the models, each beside its closed form.
    """
    from .report import NEURONS, curve_figure, curves, neuron_curves, neuron_figure, save

    if min(taus) <= 0:
        raise click.BadParameter("time constants must be positive", param_hint="--tau")
    found: dict[str, Any]
    if neuron is None:
        current, panels = curves(timesteps, taus)
        figure = curve_figure(current, panels)
        rates = {title: {name: rate.tolist() for name, rate in lines.items()} for title, lines in panels.items()}
        found = {"current": current.tolist(), "rates": rates}
    else:
        drawn = neuron_curves(list(NEURONS) if neuron == "all" else [neuron], max(timesteps), taus[0])
        figure = neuron_figure(drawn, max(timesteps), taus[0])
        found = {name: one.as_dict() for name, one in drawn.items()}
    save(figure, output)
    if as_json:
        click.echo(json.dumps(found))
    click.echo(f"figure: {output}", err=as_json)


@main.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="playground.html", show_default=True
)
@_guarded
def playground(output: Path) -> None:
    """Write a page to play with neurons: one HTML file for any browser, which needs no network.

    A bucket that leaks and fires; a bench where each neuron's parameters and input can be dragged; and the
    activation curve beside the ReLU, against the number of timesteps. It computes what respike.layers computes.
    """
    from .files import written_whole
    from .report.playground import playground_page

    with written_whole(output) as temporary:
        temporary.write_text(playground_page(), encoding="utf-8")
    click.echo(f"page: {output}")


@main.command()
@JSON
@_guarded
def info(as_json: bool) -> None:
    """Say which versions, kernels and number formats run on this machine.

    RESPIKE_KERNELS=eager|numba|triton in the environment chooses other kernels.
    """
    from .about import about

    found = about()
    if as_json:
        click.echo(json.dumps(found))
    else:
        width = max(map(len, found))
        click.echo("\n".join(f"{name:{width}}  {value}" for name, value in found.items()))

"""``respike``: all commands."""

from __future__ import annotations

import click

from .completion import completion
from .convert import convert
from .curve import curve
from .demo import demo
from .diagnose import diagnose
from .evaluate import evaluate
from .info import info
from .inspect import inspect
from .playground import playground
from .report import report


class InOrder(click.Group):
    """Lists its commands in the order in which one gets to know them, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  respike demo --samples 1000
  respike convert mnist_cnn -T 8 -o mnist.respike
  respike evaluate mnist.respike --ann mnist_cnn
  respike evaluate mypackage.models:Net --weights net.safetensors --calibration train.npz --data test.npz""",
)
@click.version_option(package_name="respike")
def main() -> None:
    """Turn a trained ReLU network into a spiking network that does the same job.

    Start with `respike demo`: it converts a trained MNIST network and shows its accuracy growing with the
    number of timesteps. Then `respike evaluate` does the same for yours. Each command has its own --help.
    """


for command in (demo, inspect, convert, evaluate, diagnose, report, curve, playground, info, completion):
    main.add_command(command)

"""``respike``: all commands."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from .guard import in_words
from .processes import one_voice

NAMES = (
    "demo",
    "inspect",
    "convert",
    "evaluate",
    "merge",
    "diagnose",
    "finetune",
    "check",
    "report",
    "export",
    "curve",
    "playground",
    "info",
    "completion",
)
"""In the order in which one gets to know them."""


@cache
def _command(name: str) -> click.Command:
    found: click.Command = getattr(import_module(f".commands.{name}", __package__), name)
    return found


class Commands(click.Group):
    """Imports a command when it is asked for, and each command imports torch when it runs: help comes at once."""

    @property
    def commands(self) -> MutableMapping[str, click.Command]:
        """By name."""
        return {name: _command(name) for name in NAMES}

    @commands.setter
    def commands(self, none: MutableMapping[str, click.Command]) -> None:
        """Click sets its own, which are none."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None if there is none of this name."""
        return _command(cmd_name) if cmd_name in NAMES else None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In order, not by the alphabet."""
        return list(NAMES)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, with a way to print any character on any terminal; of several processes, the first one prints."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        with one_voice():
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Options before the command, --help among them."""
        with in_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """A command, from its options to its end."""
        with in_words():
            return super().invoke(ctx)


@click.group(
    cls=Commands,
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
    """Turn a trained network into a spiking network that does the same job.

    Start with `respike demo`: it converts a trained MNIST network and shows its accuracy growing with the
    number of timesteps. Then `respike evaluate` does the same for yours. Each command has its own --help.
    """

"""What a command is here."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..text import printable
from . import config, equivalent
from .values import Output


class Option(click.Option):
    """An option that stands in a part of the help of its own.

    Args:
        part: Its headline.
    """

    def __init__(self, *args: Any, part: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **{"show_default": True, **kwargs})
        self.part = part


option = partial(click.option, cls=Option)


class Command(click.Command):
    """A command whose options may stand in a TOML file, and which can print what it would do.

    Args:
        python: The Python program that does the same, from the values of the options.
    """

    def __init__(self, *args: Any, python: Callable[[dict[str, Any]], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.python = python
        self.params += [
            Option(
                ["--config"],
                type=click.Path(path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=config.read,
                metavar="FILE",
                help=f"TOML file of options, in a table [{self.name}] or [respike]; those given here win.",
            ),
            Option(
                ["--show"],
                is_flag=True,
                help="Only print this run as a command line, as a TOML file and as Python; with --json as JSON.",
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run, or print what would run."""
        if ctx.params.pop("show"):
            return self._show(ctx)
        for param in self.params:
            if isinstance(param.type, Output) and ctx.params[str(param.name)] is not None:
                param.type.check(ctx.params[str(param.name)])
        return super().invoke(ctx)

    def _show(self, ctx: click.Context) -> None:
        as_json = ctx.params.pop("as_json", False)
        told = equivalent.equivalents(ctx, self.python(ctx.params))
        if as_json:
            say_json(told)
        else:
            heads = {
                "command": "on the command line",
                "toml": f"as a file, for respike {self.name} --config FILE",
                "python": "in Python",
            }
            echo("\n\n".join(f"# {heads[kind]}\n{text}" for kind, text in told.items()))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under their headlines, in the order in which these first occur; the general ones last."""
        parts: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record is not None:
                parts.setdefault(getattr(param, "part", "Options"), []).append(record)
        general = parts.pop("Options")
        for part, records in {**parts, "Options": general}.items():
            with formatter.section(part):
                formatter.write_dl(records)


def echo(text: str, err: bool = False) -> None:
    """A result on stdout, or what was done with it on stderr, whatever names are in it."""
    click.echo(printable(text, keep="\n"), err=err)


def say_json(value: Any) -> None:
    """JSON on stdout, which holds nothing else."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))

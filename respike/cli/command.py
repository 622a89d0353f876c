"""What a command is here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..text import printable
from . import config
from .processes import is_first, together
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
    """A command whose options may also be set in a TOML file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            Option(
                ["--config"],
                type=click.Path(path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=config.read,
                metavar="FILE",
                help=f"TOML file with options in a table [{self.name}] or [respike]; the command line overrides it.",
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run, once it is clear that the files to write can be written; of several processes, the first one writes."""
        with together(str(self.name)):
            for param in self.params:
                if isinstance(param.type, Output) and ctx.params[str(param.name)] is not None:
                    if is_first():
                        param.type.check(ctx.params[str(param.name)])
                    else:
                        ctx.params[str(param.name)] = None
            return super().invoke(ctx)

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

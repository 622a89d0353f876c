"""Options from a TOML file: a table for each command, and a table ``[respike]`` for all that have the option."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..text import did_you_mean
from .values import Several

COMMON = "respike"
NOT_IN_FILES = {"config", "help"}


def read(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Make the file's values the defaults of the command's options; a callback of ``--config``.

    The whole file is checked, including the tables of other commands.

    Raises:
        click.BadParameter: the file does not exist, is not TOML, or has an unknown table, option or value; the message
            names it.
    """
    if path is None:
        return
    root, name = ctx.find_root().command, str(ctx.command.name)
    commands = {**(root.commands if isinstance(root, click.Group) else {}), name: ctx.command}
    known = {name: options for name, command in commands.items() if (options := settable(command))}
    known[COMMON] = {key: option for options in [*known.values(), known[name]] for key, option in options.items()}
    found: dict[str, dict[str, Any]] = {}
    for table, values in _document(path).items():
        if table not in known:
            raise click.BadParameter(f"{path}: unknown table [{table}]{did_you_mean(table, known)}")
        if not isinstance(values, Mapping):
            raise click.BadParameter(f"{path}: {table} must be a table of options, [{table}]")
        for key, value in values.items():
            if key not in known[table]:
                hint = did_you_mean(key, known[table])
                raise click.BadParameter(f"{path}: unknown option {key!r} in [{table}]{hint}")
            found.setdefault(table, {})[key] = _value(ctx, known[table][key], value, f"{path}: [{table}] {key}")
    mine = {**found.get(COMMON, {}), **found.get(name, {})}
    ctx.default_map = {str(known[name][key].name): value for key, value in mine.items() if key in known[name]}


def settable(command: click.Command) -> dict[str, click.Parameter]:
    """The options and arguments that a file may set, by their names there, which are those in Python.

    There are none for a command without ``--config``.
    """
    named = {max(p.opts, key=len).lstrip("-").replace("-", "_"): p for p in command.params}
    return {key: p for key, p in named.items() if key not in NOT_IN_FILES} if "config" in named else {}


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise click.BadParameter(f"there is no file {path} (looked for in {Path.cwd()})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot read {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise click.BadParameter(f"{path} is not a TOML file: {error}") from None
    except RecursionError:
        raise click.BadParameter(f"{path}: lists or tables are nested too deeply") from None


def _value(ctx: click.Context, param: click.Parameter, value: Any, place: str) -> Any:
    """The value as the option reads it. Numbers are read from text, so that 6.5 or true is not taken for an integer."""
    several = param.multiple or param.nargs == -1
    if isinstance(value, dict) or (isinstance(value, list) and not (several or isinstance(param.type, Several))):
        raise click.BadParameter(f"{place} must be a single value, got {value!r}")
    parts = value if isinstance(value, list) else [value]
    if any("\0" in str(part) for part in parts):
        raise click.BadParameter(f"{place} must not contain a null character, got {value!r}")
    flag = isinstance(param, click.Option) and param.is_flag
    if flag and not isinstance(value, bool):
        raise click.BadParameter(f"{place} must be true or false, got {value!r}")
    typed = value if flag else [str(part) for part in parts] if several or isinstance(value, list) else str(value)
    try:
        return param.type_cast_value(ctx, typed)
    except click.BadParameter as error:
        raise click.BadParameter(f"{place}: {error.message}") from None

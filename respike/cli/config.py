"""Options from a TOML file: a table for each command, and a table ``[respike]`` for all that have the option."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..sources import did_you_mean
from .values import Names, Spelled

COMMON = "respike"
NOT_IN_FILES = {"config", "show", "help"}


def read(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Let the file's values be the defaults of the command's options; a callback of ``--config``.

    The whole file is checked, tables of other commands too.

    Raises:
        click.BadParameter: there is no such file, it is no TOML, or it holds a table, an option or a value that there
            cannot be; the message names it.
    """
    if path is None:
        return
    from .program import main

    known = {name: settable(command) for name, command in main.commands.items() if settable(command)}
    name = str(ctx.command.name)
    mine = known[name]
    every = {key: param for params in [*known.values(), mine] for key, param in params.items()}
    found: dict[str, dict[str, Any]] = {}
    for table, values in _document(path).items():
        if table not in known and table != COMMON:
            hint = did_you_mean(table, [*known, COMMON])
            raise click.BadParameter(f"{path}: there is no command for the table [{table}]{hint}")
        if not isinstance(values, Mapping):
            raise click.BadParameter(f"{path}: {table} must be a table of options, [{table}], and is a value")
        for key, value in values.items():
            options = every if table == COMMON else known[table]
            if key not in options:
                hint = did_you_mean(key, options)
                raise click.BadParameter(f"{path}: [{table}] has an option {key!r} that there is not{hint}")
            found.setdefault(table, {})[key] = _value(ctx, options[key], value, f"{path}: [{table}] {key}")
    common = {key: value for key, value in found.get(COMMON, {}).items() if key in mine}
    ctx.default_map = {str(mine[k].name): value for k, value in {**common, **found.get(name, {})}.items()}


def settable(command: click.Command) -> dict[str, click.Parameter]:
    """The options and arguments that a file may set, by their names there: those of Python."""
    return {key_of(p): p for p in command.params if hasattr(command, "python") and key_of(p) not in NOT_IN_FILES}


def key_of(param: click.Parameter) -> str:
    """``max_spikes`` for ``--max-spikes``."""
    return max(param.opts, key=len).lstrip("-").replace("-", "_")


def _document(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise click.BadParameter(f"there is no file {path} (looked for in {Path.cwd()})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot read {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise click.BadParameter(f"{path} is no TOML: {error}") from None
    except RecursionError:
        raise click.BadParameter(f"{path}: its lists or tables are nested too deep") from None
    return found


def _value(ctx: click.Context, param: click.Parameter, value: Any, place: str) -> Any:
    """The value as the option has it."""
    kinds, words = _kinds(param)
    value = [value] if param.nargs == -1 and isinstance(value, str) else value  # one model is as good as a list of one
    several = _several(param) or isinstance(param.type, Names)
    parts = value if several and isinstance(value, list) else [value]
    if (several and not isinstance(value, list)) or not all(_is(part, kinds) for part in parts):
        raise click.BadParameter(f"{place} must be {words}, got {value!r}")
    if any(isinstance(part, str) and "\0" in part for part in (value if isinstance(value, list) else [value])):
        raise click.BadParameter(f"{place} must not hold a null character, got {value!r}")
    try:
        return param.type_cast_value(ctx, value)
    except click.BadParameter as error:
        raise click.BadParameter(f"{place}: {error.message}") from None


def _kinds(param: click.Parameter) -> tuple[tuple[type, ...], str]:
    """Python types of what a file may hold for an option, for each value if it takes several, and in words."""
    if isinstance(param, click.Option) and param.is_flag:
        return (bool,), "true or false"
    if isinstance(param.type, Names):
        return (str,), param.type.toml_words
    if isinstance(param.type, Spelled):
        kinds, words = param.type.toml, param.type.toml_words
    elif isinstance(param.type, click.types.IntParamType):
        kinds, words = (int,), "a whole number"
    elif isinstance(param.type, click.types.FloatParamType):
        kinds, words = (int, float), "a number"
    else:
        kinds, words = (str,), "a string"
    return (kinds, words.replace("a ", "a list of ", 1) + "s") if _several(param) else (kinds, words)


def _several(param: click.Parameter) -> bool:
    return param.multiple or param.nargs == -1


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)

"""A run as a command line, as a TOML file and as Python, each of which can be run as it stands."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..about import version
from .config import settable
from .values import Spelled

WIDTH = 100


def equivalents(ctx: click.Context, python: str) -> dict[str, str]:
    """The three, by the names ``command``, ``toml`` and ``python``. What the user left at its default is left out."""
    values = given(ctx)
    return {"command": command_line(ctx, values), "toml": toml(ctx, values), "python": python}


def given(ctx: click.Context) -> dict[str, Any]:
    """Values that the user gave, on the command line or in a file, by their names in files."""
    return {
        key: ctx.params[str(param.name)]
        for key, param in settable(ctx.command).items()
        if param.name in ctx.params and ctx.get_parameter_source(str(param.name)) != ParameterSource.DEFAULT
    }


def command_line(ctx: click.Context, values: dict[str, Any]) -> str:
    """What to type in a shell."""
    words, behind = ["respike", str(ctx.command.name)], []
    for key, value in values.items():
        param = settable(ctx.command)[key]
        spell = param.type.spell if isinstance(param.type, Spelled) else str
        several = param.multiple or param.nargs == -1
        spelled = [spell(part) for part in (value if several else [value])]
        name = max(param.opts, key=len)
        if isinstance(param, click.Argument):
            behind += spelled
        elif isinstance(param, click.Option) and param.is_flag:
            words += [name] if value else []
        else:
            # What begins with a dash would be taken for an option.
            words += [w for s in spelled for w in ([f"{name}={s}"] if s.startswith("-") else [name, s])]
    dashed = any(word.startswith("-") for word in behind)
    return shlex.join([*words[:2], *([] if dashed else behind), *words[2:], *(["--", *behind] if dashed else [])])


def toml(ctx: click.Context, values: dict[str, Any]) -> str:
    """A file for ``--config``."""
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    return "\n".join([f"# respike {version('respike')}", f"[{ctx.command.name}]", *lines])


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings are TOML's, but for one character that TOML wants escaped.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False).replace("\x7f", "\\u007f")


def literal(value: Any) -> str:
    """The value in Python."""
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(str(value), ensure_ascii=False) if isinstance(value, (str, Path)) else repr(value)


def call(name: str, function: Callable[..., Any], /, *args: str, **options: Any) -> str:
    """A call of a function in Python, of which what is at its default is left out.

    Args:
        name: How the function is called there.
        function: For its defaults.
        args: Python for the positional arguments.
        options: Values of the others.
    """
    defaults = {key: p.default for key, p in inspect.signature(function).parameters.items()}
    given = [f"{k}={literal(v)}" for k, v in options.items() if v != defaults.get(k, inspect.Parameter.empty)]
    line = f"{name}({', '.join([*args, *given])})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in [*args, *given]), ")"])

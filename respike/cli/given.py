"""Which options the user gave, and the command line that gives them."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.core import ParameterSource

from .config import settable
from .values import Several


def was_given(name: str) -> bool:
    """Whether the user gave this option, on the command line or in a file."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source != ParameterSource.DEFAULT


def given() -> dict[str, Any]:
    """Values of the options that the user gave, by their names in files."""
    params = click.get_current_context().params
    return {
        key: params[str(param.name)]
        for key, param in settable(click.get_current_context().command).items()
        if param.name in params and was_given(str(param.name))
    }


def command_line() -> str:
    """The command that runs, as text for a shell; options that were left at their default are left out."""
    command = click.get_current_context().command
    words, arguments = ["respike", str(command.name)], []
    for key, value in given().items():
        param = settable(command)[key]
        spell = param.type.spell if isinstance(param.type, Several) else str
        spelled = [spell(part) for part in (value if param.multiple or param.nargs == -1 else [value])]
        name = max(param.opts, key=len)
        if isinstance(param, click.Argument):
            arguments += spelled
        elif isinstance(param, click.Option) and param.is_flag:
            words += [name] if value else []
        else:  # a value that begins with a dash would be taken for an option
            words += [w for text in spelled for w in ([f"{name}={text}"] if text.startswith("-") else [name, text])]
    if any(word.startswith("-") for word in arguments):
        return shlex.join([*words, "--", *arguments])
    return shlex.join([*words[:2], *arguments, *words[2:]])

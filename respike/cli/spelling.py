"""Options in messages of the library, as they are typed on the command line."""

from __future__ import annotations

import re

import click

_OPTION = re.compile(
    r"""(?P<code>\bsnn\ =\ .*)                                             # a line of Python
    | (?P<anew>convert\ with(?:out)?\ )?(?:                              # of another command than the running one
      (?:timesteps=)?respike\.Auto\((?P<part>\w+)='(?P<value>\w+)'\)     # respike.Auto(judge='error')
    | \b(?P<name>\w+)='(?P<word>\w+)'                                    # correction='ridge'
    | (?<!\()\b(?P<count>\w+)=(?P<number>\d+(?!\.)|\.\.\.)                # population=8
    | \b(?P<several>\w+)=\['(?P<member>\w+)',\ \.\.\.\]                   # analog=['NAME', ...]
    )""",
    re.VERBOSE,
)
_CALL = re.compile(r"snn = respike\.from_torch\(model, calibration, (?P<options>\w+=[\w\"]+(?:, \w+=[\w\"]+)*)\)")
"""A call without options that are values of classes, as these have other names in the shell."""


def as_typed(message: str) -> str:
    """The message with the options of the running command as a user types them, ``--judge error`` for example.

    Behind "convert with" they are those of ``respike convert``, and a call of ``from_torch`` becomes that command.
    Anything that is not an option stays as it is.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return message
    own, converting = _flags(_running(context)), _flags(_convert(context))

    def typed(found: re.Match[str]) -> str:
        if found["code"]:
            return _command(found["code"], converting)
        flag = (converting if found["anew"] else own).get(_first(found, "part", "name", "count", "several"))
        if flag is None:
            return found[0]
        return f"{found['anew'] or ''}{flag} {_first(found, 'value', 'word', 'number', 'member')}"

    return _OPTION.sub(typed, message)


def _first(found: re.Match[str], *groups: str) -> str:
    """What was found by whichever of these groups has found something."""
    return next((found[group] for group in groups if found[group]), "")


def _command(code: str, flags: dict[str, str]) -> str:
    """What a call of ``from_torch`` is in the shell; code that no command is stays as it is."""
    call = _CALL.fullmatch(code)
    given = [] if call is None else [option.split("=") for option in call["options"].split(", ")]
    if not given or any(name not in flags for name, _ in given):
        return code
    options = "".join(f" {flags[name]} {word.strip(chr(34))}" for name, word in given)
    return f"respike convert MODEL{options} -o net.respike"


def _running(context: click.Context) -> click.Command:
    command = context.command
    if isinstance(command, click.Group):  # its command has ended with an error
        command = command.get_command(context, context.invoked_subcommand or "") or command
    return command


def _convert(context: click.Context) -> click.Command | None:
    group = context.find_root().command
    return group.get_command(context, "convert") if isinstance(group, click.Group) else None


def _flags(command: click.Command | None) -> dict[str, str]:
    """The options of a command, by the name of the argument."""
    params = [] if command is None else command.params
    return {str(param.name): param.opts[0] for param in params if isinstance(param, click.Option)}

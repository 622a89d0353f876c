"""Options in messages of the library, as they are typed on the command line."""

from __future__ import annotations

import re

import click

_OPTION = re.compile(
    r"""(?:timesteps=)?respike\.Auto\((?P<part>\w+)='(?P<value>\w+)'\)  # respike.Auto(judge='error')
    | \b(?P<name>\w+)='(?P<word>\w+)'                                   # correction='ridge'
    | \b(?P<steps>timesteps)=(?P<number>\d+)
    """,
    re.VERBOSE,
)


def as_typed(message: str) -> str:
    """The message with the options of the running command as a user types them, ``--judge error`` for example.

    Anything that is not an option of this command stays as it is.
    """
    flags = {param.name: param.opts[0] for param in _params() if isinstance(param, click.Option)}

    def typed(found: re.Match[str]) -> str:
        flag = flags.get(found["part"] or found["name"] or found["steps"])
        return found[0] if flag is None else f"{flag} {found['value'] or found['word'] or found['number']}"

    return _OPTION.sub(typed, message)


def _params() -> list[click.Parameter]:
    context = click.get_current_context(silent=True)
    if context is None:
        return []
    command = context.command
    if isinstance(command, click.Group):  # its command has ended with an error
        command = command.get_command(context, context.invoked_subcommand or "") or command
    return command.params

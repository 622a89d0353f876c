"""``respike completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..values import Choice

COLONS = "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}  # or bash would cut torchvision:resnet18 in two\n"


@click.command(
    short_help="Set up shell completion.",
    epilog="""\b
To install it, once:
  bash: respike completion bash > ~/.respike-complete.bash
        echo 'source ~/.respike-complete.bash' >> ~/.bashrc
  zsh:  respike completion zsh > ~/.respike-complete.zsh
        echo 'source ~/.respike-complete.zsh' >> ~/.zshrc       (behind compinit)
  fish: respike completion fish > ~/.config/fish/completions/respike.fish
Then open a new shell.""",
)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete commands, options, choices, models and data sets."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(click.get_current_context().find_root().command, {}, "respike", "_RESPIKE_COMPLETE").source()
    click.echo(f"{script}{COLONS if shell == 'bash' else ''}", nl=False)

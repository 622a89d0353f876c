"""``python -m respike``, the command ``respike``."""

from .cli import main

main()

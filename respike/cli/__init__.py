"""The command line: one file for each command in ``commands``, and what they share.

``program.py`` lists the commands; ``command.py`` is what a command is here: options from a TOML file (``config.py``),
and errors in words (``guard.py``).
"""

try:
    from .program import main as main
except KeyboardInterrupt:  # while click is imported; later ``guard.py`` answers
    raise SystemExit(130) from None

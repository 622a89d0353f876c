"""The command line: one file for each command, the options that they share, and what all of them can.

``program.py`` puts them together; ``command.py`` is what a command is here: options from a TOML file (``config.py``),
a printed equivalent (``equivalent.py``), and errors in words (``guard.py``).
"""

try:
    from .program import main as main
except KeyboardInterrupt:  # while click is imported; later ``guard.py`` answers
    raise SystemExit(130) from None

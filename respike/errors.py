"""The errors that respike raises on purpose: any other exception is a bug, or comes from the user's own code."""

from __future__ import annotations


class RespikeError(Exception):
    """Base class of all errors that respike raises on purpose, with a message for the user.

    >>> try:
    ...     respike.Percentile(150)
    ... except respike.RespikeError as error:
    ...     print(error)
    percentile must be a number, above 0 and at most 100 (percent); got 150
    """

    @property
    def plain(self) -> str:
        """The message without advice that only helps in Python; by default all of it."""
        return str(self)


class InputError(RespikeError, ValueError):
    """An argument, a name, a file or data that cannot be used; the message says why."""
